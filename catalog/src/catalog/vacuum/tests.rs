//! The tests of the module above.

use super::*;
use crate::catalog::test_catalog::{TestCatalog, flat, new_file, write};
use crate::catalog::{NewManagedTable, WriteMode};
use crate::model::Table;
use object_store::local::LocalFileSystem;
use std::path::PathBuf;

const QUERY: &str = "20240131_101112_00001_abcde";

#[test]
fn only_names_that_skep_gives_are_its_own() {
    let query = query_of_file(&format!("part-{QUERY}-0-3.parquet")).unwrap();
    assert_eq!(query.as_str(), QUERY);
    for other in [
        "part-00000-5b1f-c000.snappy.parquet",
        "part-20240131_101112_00001_abcde.parquet",
        "20240131_101112_00001_abcde-0.parquet",
        "_SUCCESS",
        "part-",
    ] {
        assert_eq!(query_of_file(other), None, "{other}");
    }
}

/// Writes a file into a table's directory; returns its path.
fn put(table: &Table, name: &str) -> PathBuf {
    let path = table
        .definition
        .location
        .to_local_path()
        .unwrap()
        .join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "rows").unwrap();
    path
}

async fn append(test: &TestCatalog, table: &Arc<Table>, name: &str) -> PathBuf {
    let path = put(table, name);
    let mut file = new_file(name, &[]);
    file.file.path = path.to_str().unwrap().trim_start_matches('/').to_owned();
    let commit = write(table, WriteMode::Append, vec![file]);
    test.catalog.commit_write(&commit).await.unwrap();
    path
}

/// The names of all that may be removed.
async fn orphans(test: &TestCatalog, safe_age: Duration, running: &str) -> Vec<String> {
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
    let mut names = Vec::new();
    for location in test.catalog.vacuum_locations() {
        let found = test
            .catalog
            .orphans(&location, &store, safe_age, |query| {
                query.as_str() == running
            })
            .await
            .unwrap();
        let found = found.iter().filter_map(|meta| meta.location.filename());
        names.extend(found.map(str::to_owned));
    }
    names.sort();
    names
}

#[tokio::test]
async fn what_no_version_needs_may_go_and_nothing_else() {
    let test = TestCatalog::new().await;
    let table = test.create(flat("t")).await;
    let name = |number: u32| format!("part-{QUERY}-{number}.parquet");
    append(&test, &table, &name(1)).await;
    put(&table, &name(2));
    put(&table, &format!("k=1/{}", name(3)));
    put(&table, "part-0.parquet");
    put(&table, "notes.txt");
    let at_once = Duration::ZERO;
    assert_eq!(orphans(&test, at_once, "").await, [name(2), name(3)]);
    let nothing: [String; 0] = [];
    assert_eq!(orphans(&test, at_once, QUERY).await, nothing);
    let hour = Duration::from_secs(3600);
    assert_eq!(orphans(&test, hour, "").await, nothing);

    // Dropped, but somebody still reads it.
    let reader = test.catalog.snapshot();
    let files = reader.table("default", "t").unwrap();
    test.catalog
        .drop_table("default", "t", false)
        .await
        .unwrap();
    assert_eq!(orphans(&test, at_once, "").await, [name(2), name(3)]);
    assert_eq!(reader.table_files(files).await.unwrap().files.len(), 1);
    drop(reader);
    assert_eq!(
        orphans(&test, at_once, "").await,
        [name(1), name(2), name(3)]
    );
}

/// LOAD DATA moves a file that may be years old into the table before it commits.
#[tokio::test]
async fn a_file_of_a_young_query_stays_however_old_the_file_is() {
    let test = TestCatalog::new().await;
    let table = test.create(flat("t")).await;
    let young = skep_protocol::ids::QueryIdGenerator::new().next(Utc::now());
    let years_ago = std::time::SystemTime::now() - Duration::from_secs(100_000_000);
    for query in [QUERY, young.as_str()] {
        let path = put(&table, &format!("part-{query}-1.parquet"));
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(years_ago).unwrap();
    }
    let day = Duration::from_secs(86_400);
    assert_eq!(
        orphans(&test, day, "").await,
        [format!("part-{QUERY}-1.parquet")]
    );
}

#[tokio::test]
async fn a_dropped_table_is_swept_where_it_lay() {
    let test = TestCatalog::new().await;
    let elsewhere = test.directory.path().join("elsewhere");
    let location = StorageUrl::from_local_path(&elsewhere).unwrap();
    let table = test
        .create(NewManagedTable {
            location: Some(location.clone()),
            ..flat("t")
        })
        .await;
    let name = format!("part-{QUERY}-1.parquet");
    append(&test, &table, &name).await;
    test.catalog
        .drop_table("default", "t", false)
        .await
        .unwrap();
    assert_eq!(orphans(&test, Duration::ZERO, "").await, [name]);
    let location = location.as_directory();
    assert!(test.catalog.vacuum_locations().contains(&location));
    test.catalog.forget_location(&location).await.unwrap();
    assert!(!test.catalog.vacuum_locations().contains(&location));
}

#[tokio::test]
async fn locations_are_swept_once() {
    let test = TestCatalog::new().await;
    test.create(flat("a")).await;
    test.create(flat("b")).await;
    let location = test.catalog.warehouse.clone();
    assert_eq!(test.catalog.vacuum_locations(), [location]);
}
