//! The tests of the module above: several processes that share a database, which are several catalogs
//! here.

use crate::catalog::test_catalog::{TestCatalog, flat, new_file, write};
use crate::catalog::{NewDatabase, WriteMode};
use crate::store::CatalogLocation;
use crate::test_postgres::TestPostgres;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn database(name: &str) -> NewDatabase {
    NewDatabase {
        name: name.to_owned(),
        if_not_exists: false,
        comment: None,
        location: None,
        properties: BTreeMap::new(),
        owner: String::new(),
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "it never became so");
}

#[tokio::test]
async fn each_sees_its_own_changes_at_once_and_those_of_others_soon() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let location = CatalogLocation::Postgres(server.new_database().await);
    let one = TestCatalog::at(location.clone()).await;
    let two = TestCatalog::at(location).await;
    one.catalog
        .create_database(database("first"))
        .await
        .unwrap();
    assert!(one.catalog.snapshot().database("first").is_ok());
    until(|| two.catalog.snapshot().database("first").is_ok()).await;
    // Even before the other's change has been noticed, it is reckoned with.
    one.catalog
        .create_database(database("second"))
        .await
        .unwrap();
    two.catalog
        .create_database(database("second"))
        .await
        .unwrap_err();
    assert!(two.catalog.snapshot().database("second").is_ok());
}

#[tokio::test]
async fn writers_of_several_processes_all_get_their_turn() {
    const WRITERS: usize = 4;
    const WRITES: usize = 10;
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let location = CatalogLocation::Postgres(server.new_database().await);
    let first = TestCatalog::at(location.clone()).await;
    let table = first.create(flat("t")).await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (location, table) = (location.clone(), Arc::clone(&table));
        writers.spawn(async move {
            let own = TestCatalog::at(location).await;
            for number in 0..WRITES {
                let file = new_file(&format!("{writer}-{number}"), &[]);
                let commit = write(&table, WriteMode::Append, vec![file]);
                own.catalog.commit_write(&commit).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    first.catalog.create_database(database("x")).await.unwrap();
    assert_eq!(first.files("t").await.files.len(), WRITERS * WRITES);
}

#[tokio::test]
async fn a_query_of_one_process_outlives_what_another_drops() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let location = CatalogLocation::Postgres(server.new_database().await);
    let one = TestCatalog::at(location.clone()).await;
    let table = one.create(flat("t")).await;
    let commit = write(&table, WriteMode::Append, vec![new_file("a", &[])]);
    one.catalog.commit_write(&commit).await.unwrap();
    let two = TestCatalog::at(location).await;
    let held = two.catalog.snapshot();
    one.catalog.drop_table("default", "t", false).await.unwrap();
    one.catalog.create_database(database("x")).await.unwrap();
    until(|| two.catalog.snapshot().database("x").is_ok()).await;
    let table = held.table("default", "t").unwrap();
    assert_eq!(held.table_files(table).await.unwrap().files.len(), 1);
}
