//! `skep catalog`: the catalog from the outside, without an engine.

use skep_tests::process::run;

#[tokio::test]
async fn a_catalog_is_checked_and_moves() {
    let home = tempfile::tempdir().expect("a directory");
    let path = |name: &str| home.path().join(name).display().to_string();
    let (old, new, file) = (path("old"), path("new"), path("catalog.jsonl"));
    let skep = async |parts: &[&str]| run(parts, home.path()).await;
    let sql = "CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2)";
    let ended = skep(&["--data-dir", &old, "-e", sql]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = skep(&["catalog", "check", "--data-dir", &old]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.contains(" 0 damaged, 0 unknown"),
        "{}",
        ended.stdout
    );

    let ended = skep(&["catalog", "export", &file, "--data-dir", &old]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = skep(&["catalog", "export", &file, "--data-dir", &old]).await;
    assert_eq!(
        ended.code,
        Some(1),
        "a file that is there is not overwritten"
    );
    let import = ["catalog", "import", &file, "--data-dir", &new];
    let ended = skep(&import).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = skep(&import).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("not empty"), "{}", ended.stderr);
    let ended = skep(&["--data-dir", &new, "-e", "SELECT sum(a) AS s FROM t"]).await;
    assert_eq!(ended.stdout, "s\n3\n", "{}", ended.stderr);

    for entry in std::fs::read_dir(home.path().join("old/warehouse/t")).expect("the table") {
        std::fs::remove_file(entry.expect("a file").path()).expect("removed");
    }
    let ended = skep(&["catalog", "check", "--data-dir", &new]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("missing: "), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("of table default.t"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn a_password_is_never_printed() {
    let home = tempfile::tempdir().expect("a directory");
    let address = "postgres://ada:secret@127.0.0.1:1/skep";
    let ended = run(&["--catalog", address, "-e", "SELECT 1"], home.path()).await;
    assert_eq!(ended.code, Some(1));
    assert!(!ended.stdout.contains("secret") && !ended.stderr.contains("secret"));
    let malformed = "postgres://ada:secret@127.0.0.1:x/skep";
    let ended = run(&["--catalog", malformed, "-e", "SELECT 1"], home.path()).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}
