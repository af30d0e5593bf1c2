//! Formats against files that show them, to the byte.

use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use skep_tests::process::{binary, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Values that every format has to be careful with.
const SQL: &str = "select * from (values
  (1, 1.5e0, 'plain', true, date '2026-01-02'),
  (-20, null, 'a, \"b\" | c', false, null),
  (3, 0.25e0, '日本 <b>&', null, date '1999-12-31'),
  (4, 100e0, '', true, null),
  (5, 7e0, null, true, null)
) as t(id, ratio, text, flag, day) order by abs(id)";

fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/shell/golden")
        .join(name)
}

#[tokio::test]
async fn formats_are_what_their_files_show() {
    let home = home();
    for format in [
        "table", "vertical", "csv", "tsv", "json", "ndjson", "markdown", "html",
    ] {
        let ended = run(&["--format", format, "-e", SQL], home.path()).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let path = golden(&format!("values.{format}"));
        let shown = std::fs::read_to_string(&path);
        let shown = shown.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(ended.stdout, shown, "{}", path.display());
    }
}

#[test]
fn binary_formats_are_read_back() {
    let home = home();
    let bytes = |format: &str| {
        let output = Command::new(binary())
            .args(["--format", format, "-e", SQL])
            .env_clear()
            .env("HOME", home.path())
            .output()
            .expect("skep runs");
        assert!(output.status.success());
        output.stdout
    };
    let arrow = FileReader::try_new(std::io::Cursor::new(bytes("arrow")), None);
    let arrow: Vec<RecordBatch> = arrow
        .expect("a file")
        .map(|batch| batch.expect("rows"))
        .collect();
    let parquet = bytes::Bytes::from(bytes("parquet"));
    let parquet = ParquetRecordBatchReader::try_new(parquet, 1024);
    let parquet: Vec<RecordBatch> = parquet
        .expect("a file")
        .map(|batch| batch.expect("rows"))
        .collect();
    for batches in [arrow, parquet] {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 5);
        let text = arrow::util::pretty::pretty_format_batches(&batches)
            .expect("text")
            .to_string();
        assert!(
            text.contains("日本 <b>&") && text.contains("1999-12-31"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_chart_is_drawn_of_the_last_result() {
    let home = home();
    let script = "select * from (values ('a', 4), ('b', 2)) as t(k, v) order by k \\chart bar\n";
    let path = home.path().join("chart.sql");
    std::fs::write(&path, script).expect("written");
    let ended = run(&["-f", &path.display().to_string()], home.path()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let chart: Vec<_> = ended.stdout.lines().skip(3).collect();
    assert_eq!(chart[0], "v by k");
    let length = |line: &str| line.matches('█').count();
    assert_eq!(length(chart[1]), 2 * length(chart[2]), "{}", ended.stdout);
}
