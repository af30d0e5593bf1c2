//! The catalog in an embedded SQLite database.
//!
//! One file in WAL mode: readers see the state of the moment at which they began while a writer works,
//! and a commit is on disk before it returns.

use super::CatalogStore;
use super::database::{Database, failed};
use super::sql_store::SqlStore;
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

/// Opens a catalog of its own in memory, which is gone when it is dropped.
pub async fn open_in_memory() -> Result<Arc<dyn CatalogStore>, CatalogError> {
    // Another connection would be to another database, and so would be one that was closed and opened
    // again.
    let pool = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(
            SqliteConnectOptions::new()
                .in_memory(true)
                .foreign_keys(true),
        )
        .await
        .map_err(failed("open"))?;
    Ok(Arc::new(SqlStore::open(Database::Sqlite(pool)).await?))
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
    use crate::model::{BoundValue, CatalogVersion, ColumnId, FileBounds, StorageOptions, TableId};
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
    async fn a_catalog_in_memory_meets_the_contract() {
        run_contract_suite(|| async { open_in_memory().await.unwrap() }).await;
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

    /// Users of a catalog from before there were grants may do what they could, and say so.
    #[tokio::test]
    async fn users_keep_what_they_could_when_a_catalog_is_upgraded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        for script in [
            include_str!("migrations/0001_first.sql"),
            include_str!("migrations/0002_users.sql"),
            include_str!("migrations/0003_hive.sql"),
            include_str!("migrations/0004_changes.sql"),
            "CREATE TABLE schema_version (version BIGINT NOT NULL);
             INSERT INTO schema_version (version) VALUES (4);
             INSERT INTO users VALUES ('ada', 'x', TRUE, 1);
             INSERT INTO users VALUES ('bob', 'x', FALSE, 1);
             INSERT INTO users VALUES ('eve', 'x', FALSE, 1);",
        ] {
            sqlx::raw_sql(script).execute(&pool).await.unwrap();
        }
        pool.close().await;
        let store = open_file(&path).await.unwrap();
        let rules = store.load().await.unwrap().access;
        let members: Vec<&str> = rules.memberships.iter().map(|m| m.member.name()).collect();
        assert_eq!((rules.roles.len(), members), (1, vec!["bob", "eve"]));
        // The same as for users that come with an export of those times.
        let mut expected: Vec<_> = crate::catalog::upgraded_role()
            .into_iter()
            .filter_map(|change| match change {
                Change::SetGrant(grant) => Some(grant),
                _ => None,
            })
            .collect();
        expected.sort();
        assert_eq!(rules.grants, expected);
        store.database.close().await;
        let again = open_file(&path).await.unwrap();
        assert_eq!(again.load().await.unwrap().access, rules);
    }

    /// A catalog as the first version of the schema had it comes up with all that it held.
    #[tokio::test]
    async fn a_catalog_of_the_first_schema_is_upgraded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let first = concat!(
            include_str!("migrations/0001_first.sql"),
            "CREATE TABLE schema_version (version BIGINT NOT NULL);
             INSERT INTO schema_version (version) VALUES (1);
             UPDATE catalog_state SET version = 7, next_table_id = 4;
             INSERT INTO databases (name, owner, created_at) VALUES ('shop', 'me', 1);
             INSERT INTO tables VALUES (3, 'shop', 't', 6, NULL, 'EXTERNAL', 'PARQUET', '/data/t/',
                '[{\"id\":0,\"name\":\"id\",\"type\":\"Int32\",\"nullable\":true}]', FALSE,
                '[{\"name\":\"k\",\"type\":\"Int32\"}]', '{\"a\":\"b\"}', NULL, 'me', 1);
             INSERT INTO partitions VALUES (3, 0, 6, NULL, '[\"1\"]', '/data/t/k=1/');
             INSERT INTO data_files VALUES (3, 'data/t/k=1/a', 6, NULL, 0, 10, 2, 1, NULL,
                '[{\"c\":0,\"l\":{\"i\":-5},\"h\":{\"i\":7},\"le\":true,\"n\":1}]');
             INSERT INTO data_files VALUES (3, 'data/t/k=1/b', 6, NULL, NULL, 10, 2, 1, 'x', '[]');"
        );
        sqlx::raw_sql(first).execute(&pool).await.unwrap();
        pool.close().await;

        let store = open_file(&path).await.unwrap();
        let state = store.load().await.unwrap();
        assert_eq!(
            (state.version, state.databases.len()),
            (CatalogVersion(7), 2)
        );
        let table = &state.tables[0];
        let definition = &table.definition;
        assert_eq!((table.id, &*definition.name), (TableId(3), "t"));
        assert_eq!(definition.storage, StorageOptions::default());
        assert_eq!(definition.properties["a"], "b");
        let found = store.load_files(table.id, state.version).await.unwrap();
        assert_eq!(found.partitions[0].values, [Some("1".to_owned())]);
        let [a, b] = found.files.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((a.partition, a.rows, a.size_bytes), (Some(0), Some(2), 10));
        let bounds = a.bounds_of(ColumnId(0)).unwrap();
        assert_eq!(bounds.min, Some(BoundValue::Int(-5)));
        assert!(bounds.min_is_exact && !bounds.max_is_exact);
        assert_eq!((b.partition, b.e_tag.as_deref()), (None, Some("x")));
        assert_eq!(b.bounds, FileBounds::default());
        let change = Change::DropTable { id: table.id };
        let version = store.commit(state.version, &[change]).await.unwrap();
        assert_eq!(version, CatalogVersion(8));
    }
}
