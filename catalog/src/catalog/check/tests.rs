//! The tests of the module above.

use super::*;
use crate::catalog::WriteMode;
use crate::catalog::test_catalog::{TestCatalog, flat, new_file, write};
use object_store::local::LocalFileSystem;

#[tokio::test]
async fn what_is_missing_damaged_or_unknown_is_found() {
    let test = TestCatalog::new().await;
    let table = test.create(flat("t")).await;
    let directory = table.definition.location.to_local_path().unwrap();
    std::fs::create_dir_all(&directory).unwrap();
    let files = ["good", "short", "missing"].map(|name| {
        let mut file = new_file(name, &[]);
        let path = directory.join(name);
        file.file.path = path.to_str().unwrap().trim_start_matches('/').to_owned();
        file.file.size_bytes = 4;
        file
    });
    let commit = write(&table, WriteMode::Append, files.to_vec());
    test.catalog.commit_write(&commit).await.unwrap();
    std::fs::write(directory.join("good"), "rows").unwrap();
    std::fs::write(directory.join("short"), "row").unwrap();
    std::fs::write(directory.join("stray"), "?").unwrap();
    let mut findings = Vec::new();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
    let summary = test
        .catalog
        .check(
            |_| Ok(Arc::clone(&store)),
            |finding| findings.push(finding.to_string()),
        )
        .await
        .unwrap();
    let expected = CheckSummary {
        tables: 1,
        files: 3,
        damaged: 2,
        unknown: 1,
    };
    assert_eq!(summary, expected);
    findings.sort();
    let [missing, unknown, wrong] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert!(
        missing.contains("/missing' of table default.t"),
        "{missing}"
    );
    assert!(unknown.contains("/stray' in file://"), "{unknown}");
    assert!(
        wrong.ends_with("/short' of table default.t has 3 bytes instead of 4"),
        "{wrong}"
    );
}
