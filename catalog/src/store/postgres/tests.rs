//! The tests of the module above.

use super::*;
use crate::model::CatalogVersion;
use crate::store::contract::run_contract_suite;
use crate::store::{Change, ReaderId};
use crate::test_postgres::TestPostgres;

#[tokio::test]
async fn postgres_meets_the_contract() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    run_contract_suite(|| async { open(&server.new_database().await).await.unwrap() }).await;
}

#[tokio::test]
async fn a_newer_catalog_is_refused_and_left_alone() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let url = server.new_database().await;
    let store = connect(&url).await.unwrap();
    let mut transaction = store.database.begin_write().await.unwrap();
    transaction
        .execute_script("INSERT INTO schema_version (version) VALUES (1000)")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let error = connect(&url).await.unwrap_err();
    assert!(
        matches!(error, CatalogError::NewerCatalog { found: 1000, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn processes_that_start_together_make_one_schema() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let url = server.new_database().await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = url.clone();
        starts.spawn(async move { connect(&url).await.map(|_| ()) });
    }
    for started in starts.join_all().await {
        started.unwrap();
    }
}

#[tokio::test]
async fn what_another_process_holds_is_not_purged() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let store = open(&server.new_database().await).await.unwrap();
    let (me, other) = (ReaderId::new("me"), ReaderId::new("other"));
    let base = store.version().await.unwrap();
    let definition = crate::store::contract::definition("t");
    let files = crate::store::contract::two_files();
    let create = Change::CreateTable { definition, files };
    let old = store.commit(base, &[create]).await.unwrap();
    let table = store.load().await.unwrap().tables[0].id;
    let hour = Duration::from_secs(3600);
    store.hold(&other, old, hour).await.unwrap();
    let drop = Change::DropTable { id: table };
    let new = store.commit(old, &[drop]).await.unwrap();
    assert_eq!(store.purge(&me, new).await.unwrap(), 0);
    let found = store.load_files(table, old).await.unwrap();
    assert_eq!(found.files.len(), 2);
    // It has moved on, or has not been heard of for too long.
    for (version, time) in [(new, hour), (CatalogVersion(1), Duration::ZERO)] {
        store.hold(&other, version, time).await.unwrap();
        store.purge(&me, new).await.unwrap();
        let error = store.load_files(table, old).await.unwrap_err();
        assert!(
            matches!(error, CatalogError::VersionForgotten(_)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_that_may_pass() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let url = server.new_database().await;
    let store = open(&url).await.unwrap();
    let base = store.version().await.unwrap();
    drop(server);
    let change = Change::DropDatabase {
        name: "default".to_owned(),
    };
    let error = store.commit(base, &[change]).await.unwrap_err();
    assert_eq!(
        error.code(),
        skep_protocol::ErrorCode::CatalogStore,
        "{error}"
    );
    assert!(error.code().is_retryable());
}
