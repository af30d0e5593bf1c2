//! The catalog in an embedded SQLite database.
//!
//! One file in WAL mode: readers see the state of the moment at which they began while a writer works,
//! and a commit is on disk before it returns.

use super::CatalogStore;
use super::database::Database;
use super::sql_store::{SqlStore, failed};
use crate::error::CatalogError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Reads that run at the same time. Writes take turns anyhow.
const CONNECTIONS_MAX: u32 = 4;

/// How long a writer waits for another one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the catalog in a file, which is created where it is missing, and brings its schema up to date.
pub async fn open(path: &Path) -> Result<Arc<dyn CatalogStore>, CatalogError> {
    Ok(Arc::new(open_file(path).await?))
}

async fn open_file(path: &Path) -> Result<SqlStore, CatalogError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .connect_with(options)
        .await
        .map_err(failed("open"))?;
    SqlStore::open(Database::Sqlite(pool)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Change;
    use crate::store::contract::run_contract_suite;

    #[tokio::test]
    async fn sqlite_meets_the_contract() {
        let directory = tempfile::tempdir().unwrap();
        let count = std::sync::atomic::AtomicUsize::new(0);
        run_contract_suite(|| async {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let path = directory.path().join(format!("{number}.sqlite"));
            open(&path).await.unwrap()
        })
        .await;
    }

    #[tokio::test]
    async fn a_newer_catalog_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        let store = open_file(&path).await.unwrap();
        let mut transaction = store.database.begin_write().await.unwrap();
        transaction
            .execute_script("INSERT INTO schema_version (version) VALUES (1000)")
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        store.database.close().await;
        let error = open_file(&path).await.unwrap_err();
        assert!(
            matches!(error, CatalogError::NewerCatalog { found: 1000, .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        let store = open_file(&path).await.unwrap();
        let base = store.load().await.unwrap().version;
        let change = Change::DropDatabase {
            name: "default".to_owned(),
        };
        store.commit(base, &[change]).await.unwrap();
        let before = store.load().await.unwrap();
        store.database.close().await;
        let store = open_file(&path).await.unwrap();
        assert_eq!(store.load().await.unwrap(), before);
        assert!(before.databases.is_empty());
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        std::fs::write(&path, "no database at all, but long enough to look at").unwrap();
        let error = open_file(&path).await.unwrap_err();
        assert!(matches!(error, CatalogError::Store { .. }), "{error}");
    }
}
