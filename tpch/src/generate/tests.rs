//! Generation end to end at the smallest scale: what is written, kept and done again.

use std::sync::Mutex;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::*;

fn memory() -> DataLocation {
    DataLocation::parse("memory:///tpch", &[]).expect("a location")
}

async fn names(output: &DataLocation) -> Vec<String> {
    let objects: Vec<_> = output
        .store()
        .list(None)
        .try_collect()
        .await
        .expect("a listing");
    let mut names: Vec<String> = objects
        .iter()
        .map(|object| object.location.to_string())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn all_tables_are_written_once() {
    let output = memory();
    let last = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&last);
    let options = GenerateOptions {
        parts: Some(2),
        progress: Some(Arc::new(move |progress| {
            *seen.lock().expect("a lock") = Some(progress)
        })),
        ..GenerateOptions::new(0.01, output.clone())
    };
    assert!(!is_complete(&output, 0.01).await.expect("a state"));
    let report = generate(&options).await.expect("data");
    assert_eq!(report.generated.len(), 8);
    assert_eq!(report.manifest.tables["lineitem"].rows, 60175);
    assert_eq!(report.manifest.tables["orders"].rows, 15000);
    assert_eq!(report.manifest.tables["nation"].parts, 1);
    assert!(is_complete(&output, 0.01).await.expect("a state"));
    // Six tables of two files, two of one, and the manifest.
    assert_eq!(names(&output).await.len(), 15);
    let bytes: u64 = report
        .manifest
        .tables
        .values()
        .map(|entry| entry.bytes)
        .sum();
    let progress = last.lock().expect("a lock").expect("progress");
    assert!(
        progress.bytes >= bytes && progress.rows >= 86_000,
        "{progress:?}"
    );

    let again = generate(&options).await.expect("nothing to do");
    assert!(again.generated.is_empty());
    assert_eq!(again.manifest, report.manifest);
    let any_parts = GenerateOptions::new(0.01, output.clone());
    assert!(
        generate(&any_parts)
            .await
            .expect("nothing to do")
            .generated
            .is_empty()
    );
}

#[tokio::test]
async fn an_interrupted_table_is_done_again() {
    let output = memory();
    let options = GenerateOptions {
        parts: Some(1),
        ..GenerateOptions::new(0.01, output.clone())
    };
    let mut manifest = generate(&options).await.expect("data").manifest;
    manifest.tables.remove("supplier");
    manifest::store(&output, &manifest).await.expect("stored");
    // A file of a run with more parts, and one that is not ours.
    for name in ["supplier/part-0007.parquet", "supplier/mine.parquet"] {
        let put = output
            .store()
            .put(&output.path(name), PutPayload::from("x"))
            .await;
        put.expect("stored");
    }
    let report = generate(&options).await.expect("data");
    assert_eq!(report.generated, [Table::Supplier]);
    let names: Vec<_> = names(&output)
        .await
        .into_iter()
        .filter(|name| name.contains("supplier"))
        .collect();
    assert_eq!(
        names,
        [
            "tpch/supplier/mine.parquet",
            "tpch/supplier/part-0000.parquet"
        ]
    );
}

#[tokio::test]
async fn leftovers_of_a_killed_run_on_disk_are_removed() {
    let directory = std::env::temp_dir().join(format!("skep-tpch-{}", std::process::id()));
    let leftover = directory.join("region/part-0000.parquet#1");
    std::fs::create_dir_all(directory.join("region")).expect("a directory");
    std::fs::write(&leftover, "half").expect("a file");
    let output = DataLocation::parse(&directory.to_string_lossy(), &[]).expect("a location");
    generate(&GenerateOptions::new(0.01, output))
        .await
        .expect("data");
    assert!(!leftover.exists());
    assert!(directory.join("region/part-0000.parquet").exists());
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[tokio::test]
async fn bad_options_are_named() {
    for scale in [0.0, -1.0, 0.005, f64::NAN, f64::INFINITY] {
        let error = generate(&GenerateOptions::new(scale, memory()))
            .await
            .expect_err("a scale");
        assert!(error.to_string().contains("0.01 upwards"), "{error}");
    }
    let options = GenerateOptions {
        parts: Some(0),
        ..GenerateOptions::new(0.01, memory())
    };
    let error = generate(&options).await.expect_err("no parts");
    assert!(error.to_string().contains("from 1 to 9999"), "{error}");
    assert!("orc".parse::<Format>().is_err());
}

#[tokio::test]
async fn another_scale_is_not_overwritten() {
    let output = memory();
    generate(&GenerateOptions::new(0.01, output.clone()))
        .await
        .expect("data");
    let error = generate(&GenerateOptions::new(0.02, output))
        .await
        .expect_err("another scale");
    assert!(
        error.to_string().contains("scale 0.01, not of scale 0.02"),
        "{error}"
    );
}
