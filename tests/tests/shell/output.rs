//! Where results go, and what happens when they cannot.

use skep_tests::process::{Ended, binary, run};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn script(home: &Path, script: &str) -> Ended {
    let path = home.join("script.sql");
    std::fs::write(&path, script).expect("written");
    run(&["-f", &path.display().to_string()], home).await
}

#[tokio::test]
async fn results_go_to_files_in_the_formats_of_their_names() {
    let home = home();
    let path = |name: &str| home.path().join(name).display().to_string();
    let (json, csv, parquet) = (path("a.json"), path("b.csv"), path("c.parquet"));
    let text = format!(
        "\\o {json}\nselect 1 as n;\n\\o\nselect 2 as n;\nselect 3 as n \\g {csv}\nselect 4 as n;\n\
         \\o {parquet}\nselect 5 as n;\nselect 6 as n;\n"
    );
    let ended = script(home.path(), &text).await;
    assert_eq!(ended.stdout, "n\n2\nn\n4\n", "{}", ended.stderr);
    let read = |path: &str| std::fs::read_to_string(path).expect("a file");
    assert_eq!(read(&json), "[\n{\"n\":1}\n]\n");
    assert_eq!(read(&csv), "n\n3\n");
    assert_eq!(ended.code, Some(1), "a Parquet file holds one result");
    assert!(
        ended.stderr.contains("holds one result"),
        "{}",
        ended.stderr
    );
    assert!(std::fs::read(&parquet).expect("a file").ends_with(b"PAR1"));
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    let home = home();
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: this system has no /dev/full");
        return;
    }
    let text = "\\o /dev/full\nselect * from unnest(range(0, 100000)) as t(n);\nselect 2;\n";
    let ended = script(home.path(), text).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended
            .stderr
            .contains("cannot write /dev/full: No space left"),
        "{}",
        ended.stderr
    );
    let missing = format!("\\o {}/no/such/directory/x\n", home.path().display());
    let ended = script(home.path(), &missing).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("No such file"), "{}", ended.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_shell_quietly() {
    let home = home();
    let mut child = Command::new(binary())
        .args(["-e", "select * from unnest(range(0, 10000000)) as t(n)"])
        .env_clear()
        .env("HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("skep starts");
    let mut some = [0; 100];
    let mut out = child.stdout.take().expect("its output");
    out.read_exact(&mut some).expect("the first rows");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
