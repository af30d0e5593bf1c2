//! The catalog in an embedded SQLite database.
//!
//! One file in WAL mode: readers see the state of the moment at which they began while a writer works,
//! and a commit is on disk before it returns.

use super::{CatalogState, CatalogStore, Change, FileChanges, encoding, sql};
use crate::error::CatalogError;
use crate::model::{
    CatalogVersion, DataFile, Database, FileFormat, Partition, Table, TableDefinition, TableFiles,
    TableId, TableKind, User,
};
use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use std::path::Path;
use std::time::Duration;

/// Each takes the schema from the version that is its index to the next.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_users.sql"),
];

/// Reads that run at the same time. Writes take turns anyhow.
const CONNECTIONS_MAX: u32 = 4;

/// How long a writer waits for another one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows per INSERT: SQLite allows 32,766 parameters in one statement, and a file has nine.
const INSERT_ROWS_MAX: usize = 500;

/// A catalog in a SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, which is created where it is missing, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, CatalogError> {
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
        let store = Self { pool };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), CatalogError> {
        let mut transaction = self.begin_write().await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
            .execute(&mut *transaction)
            .await
            .map_err(failed("read its schema's version"))?;
        let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_version")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed("read its schema's version"))?;
        let supported = MIGRATIONS.len() as i64;
        if found > supported {
            return Err(CatalogError::NewerCatalog { found, supported });
        }
        for (version, migration) in (1..).zip(MIGRATIONS).skip(found.unsigned_abs() as usize) {
            sqlx::raw_sql(*migration)
                .execute(&mut *transaction)
                .await
                .map_err(failed("update its schema"))?;
            sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
                .bind::<i64>(version)
                .execute(&mut *transaction)
                .await
                .map_err(failed("update its schema"))?;
        }
        transaction
            .commit()
            .await
            .map_err(failed("update its schema"))
    }

    /// A transaction that is the only writer from its beginning, so that it cannot fail half-way.
    async fn begin_write(&self) -> Result<sqlx::Transaction<'static, Sqlite>, CatalogError> {
        self.pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed("begin a transaction"))
    }
}

#[async_trait]
impl CatalogStore for SqliteStore {
    async fn load(&self) -> Result<CatalogState, CatalogError> {
        let failed = failed("read the catalog");
        // One transaction, so that all three belong to one version.
        let mut transaction = self.pool.begin().await.map_err(&failed)?;
        let version: i64 = sqlx::query_scalar(sql::SELECT_VERSION)
            .fetch_one(&mut *transaction)
            .await
            .map_err(&failed)?;
        let databases = sqlx::query(sql::SELECT_DATABASES)
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
        let tables = sqlx::query(sql::SELECT_TABLES)
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
        let users = sqlx::query(sql::SELECT_USERS)
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
        Ok(CatalogState {
            version: CatalogVersion(encoding::decode_count(version)?),
            databases: databases
                .iter()
                .map(read_database)
                .collect::<Result<_, _>>()?,
            tables: tables.iter().map(read_table).collect::<Result<_, _>>()?,
            users: users.iter().map(read_user).collect::<Result<_, _>>()?,
        })
    }

    async fn load_files(
        &self,
        table: TableId,
        version: CatalogVersion,
    ) -> Result<TableFiles, CatalogError> {
        let failed = failed("read a table's files");
        let version = encoding::encode_count(version.0)?;
        let mut transaction = self.pool.begin().await.map_err(&failed)?;
        let mut result = TableFiles::default();
        {
            let mut rows = sqlx::query(sql::SELECT_PARTITIONS)
                .bind(table.0)
                .bind(version)
                .fetch(&mut *transaction);
            while let Some(row) = rows.try_next().await.map_err(&failed)? {
                result.partitions.push(read_partition(&row)?);
            }
        }
        let mut rows = sqlx::query(sql::SELECT_FILES)
            .bind(table.0)
            .bind(version)
            .fetch(&mut *transaction);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            result.files.push(read_file(&row)?);
        }
        Ok(result)
    }

    async fn commit(
        &self,
        base: CatalogVersion,
        changes: &[Change],
    ) -> Result<CatalogVersion, CatalogError> {
        let mut transaction = self.begin_write().await?;
        let advanced = sqlx::query(sql::ADVANCE_VERSION)
            .bind(encoding::encode_count(base.0)?)
            .execute(&mut *transaction)
            .await
            .map_err(failed("advance its version"))?;
        if advanced.rows_affected() != 1 {
            return Err(CatalogError::Conflict);
        }
        let version = CatalogVersion(base.0 + 1);
        for change in changes {
            apply(&mut transaction, version, change).await?;
        }
        transaction.commit().await.map_err(failed("commit"))?;
        Ok(version)
    }

    async fn purge(&self, oldest: CatalogVersion) -> Result<u64, CatalogError> {
        let mut transaction = self.begin_write().await?;
        let mut rows = 0;
        for statement in sql::PURGE {
            let result = sqlx::query(statement)
                .bind(encoding::encode_count(oldest.0)?)
                .execute(&mut *transaction)
                .await
                .map_err(failed("forget old versions"))?;
            rows += result.rows_affected();
        }
        transaction.commit().await.map_err(failed("commit"))?;
        Ok(rows)
    }
}

async fn apply(
    connection: &mut SqliteConnection,
    version: CatalogVersion,
    change: &Change,
) -> Result<(), CatalogError> {
    match change {
        Change::CreateDatabase(database) => insert_database(connection, database).await,
        Change::DropDatabase { name } => {
            let deletion = sqlx::query(sql::DELETE_DATABASE)
                .bind(name)
                .execute(connection)
                .await
                .map_err(failed("drop a database"))?;
            require_one(deletion.rows_affected(), || {
                format!("database '{name}' is gone")
            })
        }
        Change::CreateUser(user) => write_user(connection, sql::INSERT_USER, user).await,
        Change::AlterUser(user) => write_user(connection, sql::UPDATE_USER, user).await,
        Change::DropUser { name } => {
            let deletion = sqlx::query(sql::DELETE_USER)
                .bind(name)
                .execute(connection)
                .await
                .map_err(failed("drop a user"))?;
            require_one(deletion.rows_affected(), || {
                format!("user '{name}' is gone")
            })
        }
        Change::CreateTable { definition, files } => {
            let id = sqlx::query_scalar(sql::TAKE_TABLE_ID)
                .fetch_one(&mut *connection)
                .await
                .map_err(failed("create a table"))?;
            write_table(
                connection,
                sql::INSERT_TABLE,
                TableId(id),
                version,
                definition,
            )
            .await?;
            insert_files(connection, TableId(id), version, files).await
        }
        Change::DropTable { id } => {
            let update = sqlx::query(sql::DROP_TABLE)
                .bind(id.0)
                .bind(encoding::encode_count(version.0)?)
                .execute(connection)
                .await
                .map_err(failed("drop a table"))?;
            require_one(update.rows_affected(), || format!("table {} is gone", id.0))
        }
        Change::UpdateTable {
            id,
            definition,
            files,
        } => {
            write_table(connection, sql::UPDATE_TABLE, *id, version, definition).await?;
            remove_files(connection, *id, version, files).await?;
            insert_files(connection, *id, version, &files.added).await
        }
    }
}

async fn insert_database(
    connection: &mut SqliteConnection,
    database: &Database,
) -> Result<(), CatalogError> {
    sqlx::query(sql::INSERT_DATABASE)
        .bind(&database.name)
        .bind(&database.comment)
        .bind(database.location.as_ref().map(ToString::to_string))
        .bind(&database.owner)
        .bind(database.created_at.timestamp_micros())
        .execute(connection)
        .await
        .map_err(failed("create a database"))?;
    Ok(())
}

/// Runs INSERT_USER or UPDATE_USER, which have the same parameters.
async fn write_user(
    connection: &mut SqliteConnection,
    statement: &'static str,
    user: &User,
) -> Result<(), CatalogError> {
    let written = sqlx::query(statement)
        .bind(&user.name)
        .bind(&user.password_hash)
        .bind(user.admin)
        .bind(user.created_at.timestamp_micros())
        .execute(connection)
        .await
        .map_err(failed("write a user"))?;
    require_one(written.rows_affected(), || {
        format!("user '{}' is gone", user.name)
    })
}

/// Runs INSERT_TABLE or UPDATE_TABLE, which have the same parameters.
async fn write_table(
    connection: &mut SqliteConnection,
    statement: &'static str,
    id: TableId,
    version: CatalogVersion,
    definition: &TableDefinition,
) -> Result<(), CatalogError> {
    let name = &definition.name;
    let written = sqlx::query(statement)
        .bind(id.0)
        .bind(encoding::encode_count(version.0)?)
        .bind(&definition.database)
        .bind(name)
        .bind(definition.kind.as_str())
        .bind(definition.format.as_str())
        .bind(definition.location.to_string())
        .bind(encoding::encode_columns(name, &definition.columns)?)
        .bind(definition.columns_declared)
        .bind(encoding::encode_partition_columns(
            name,
            &definition.partition_columns,
        )?)
        .bind(encoding::to_json(&definition.properties)?)
        .bind(&definition.comment)
        .bind(&definition.owner)
        .bind(definition.created_at.timestamp_micros())
        .execute(connection)
        .await
        .map_err(failed("write a table"))?;
    require_one(written.rows_affected(), || {
        format!("table {} is gone", id.0)
    })
}

async fn insert_files(
    connection: &mut SqliteConnection,
    table: TableId,
    version: CatalogVersion,
    files: &TableFiles,
) -> Result<(), CatalogError> {
    let version = encoding::encode_count(version.0)?;
    for partitions in files.partitions.chunks(INSERT_ROWS_MAX) {
        let rows = partitions
            .iter()
            .map(|partition| Ok((partition, encoding::to_json(&partition.values)?)))
            .collect::<Result<Vec<_>, CatalogError>>()?;
        QueryBuilder::<Sqlite>::new(sql::INSERT_PARTITIONS)
            .push_values(rows, |mut row, (partition, values)| {
                row.push_bind(table.0)
                    .push_bind(i64::from(partition.number))
                    .push_bind(version)
                    .push_bind(values)
                    .push_bind(partition.location.to_string());
            })
            .build()
            .execute(&mut *connection)
            .await
            .map_err(failed("write partitions"))?;
    }
    for files in files.files.chunks(INSERT_ROWS_MAX) {
        let rows = files
            .iter()
            .map(|file| {
                let size_bytes = encoding::encode_count(file.size_bytes)?;
                let row_count = encoding::encode_count(file.rows)?;
                Ok((
                    file,
                    size_bytes,
                    row_count,
                    encoding::to_json(&file.bounds)?,
                ))
            })
            .collect::<Result<Vec<_>, CatalogError>>()?;
        QueryBuilder::<Sqlite>::new(sql::INSERT_FILES)
            .push_values(rows, |mut row, (file, size_bytes, row_count, bounds)| {
                row.push_bind(table.0)
                    .push_bind(file.path.clone())
                    .push_bind(version)
                    .push_bind(file.partition.map(i64::from))
                    .push_bind(size_bytes)
                    .push_bind(row_count)
                    .push_bind(file.last_modified.timestamp_micros())
                    .push_bind(file.e_tag.clone())
                    .push_bind(bounds);
            })
            .build()
            .execute(&mut *connection)
            .await
            .map_err(failed("write files"))?;
    }
    Ok(())
}

async fn remove_files(
    connection: &mut SqliteConnection,
    table: TableId,
    version: CatalogVersion,
    changes: &FileChanges,
) -> Result<(), CatalogError> {
    let version = encoding::encode_count(version.0)?;
    for path in &changes.removed_files {
        let update = sqlx::query(sql::REMOVE_FILE)
            .bind(table.0)
            .bind(path)
            .bind(version)
            .execute(&mut *connection)
            .await
            .map_err(failed("remove files"))?;
        require_one(update.rows_affected(), || format!("file '{path}' is gone"))?;
    }
    for number in &changes.removed_partitions {
        let update = sqlx::query(sql::REMOVE_PARTITION)
            .bind(table.0)
            .bind(i64::from(*number))
            .bind(version)
            .execute(&mut *connection)
            .await
            .map_err(failed("remove partitions"))?;
        require_one(update.rows_affected(), || {
            format!("partition {number} is gone")
        })?;
    }
    Ok(())
}

fn read_database(row: &SqliteRow) -> Result<Database, CatalogError> {
    let location: Option<String> = column(row, "location")?;
    Ok(Database {
        name: column(row, "name")?,
        comment: column(row, "comment")?,
        location: location
            .as_deref()
            .map(encoding::decode_location)
            .transpose()?,
        owner: column(row, "owner")?,
        created_at: encoding::decode_time(column(row, "created_at")?)?,
    })
}

fn read_user(row: &SqliteRow) -> Result<User, CatalogError> {
    Ok(User {
        name: column(row, "name")?,
        password_hash: column(row, "password_hash")?,
        admin: column(row, "is_admin")?,
        created_at: encoding::decode_time(column(row, "created_at")?)?,
    })
}

fn read_table(row: &SqliteRow) -> Result<Table, CatalogError> {
    let kind: String = column(row, "kind")?;
    let format: String = column(row, "format")?;
    let unknown = |what: &str, name: &str| CatalogError::Damaged(format!("{what} '{name}'"));
    Ok(Table {
        id: TableId(column(row, "id")?),
        version: CatalogVersion(encoding::decode_count(column(row, "version")?)?),
        definition: TableDefinition {
            database: column(row, "database_name")?,
            name: column(row, "name")?,
            kind: TableKind::from_name(&kind).ok_or_else(|| unknown("table kind", &kind))?,
            format: FileFormat::from_name(&format).ok_or_else(|| unknown("format", &format))?,
            location: encoding::decode_location(&column::<String>(row, "location")?)?,
            columns: encoding::decode_columns(&column::<String>(row, "columns")?)?,
            columns_declared: column(row, "columns_declared")?,
            partition_columns: encoding::decode_partition_columns(&column::<String>(
                row,
                "partition_columns",
            )?)?,
            properties: encoding::from_json(&column::<String>(row, "properties")?)?,
            comment: column(row, "comment")?,
            owner: column(row, "owner")?,
            created_at: encoding::decode_time(column(row, "created_at")?)?,
        },
    })
}

fn read_partition(row: &SqliteRow) -> Result<Partition, CatalogError> {
    Ok(Partition {
        number: encoding::decode_count(column(row, "number")?)?,
        values: encoding::from_json(&column::<String>(row, "partition_values")?)?,
        location: encoding::decode_location(&column::<String>(row, "location")?)?,
    })
}

fn read_file(row: &SqliteRow) -> Result<DataFile, CatalogError> {
    let partition: Option<i64> = column(row, "partition_number")?;
    Ok(DataFile {
        path: column(row, "path")?,
        size_bytes: encoding::decode_count(column(row, "size_bytes")?)?,
        rows: encoding::decode_count(column(row, "row_count")?)?,
        last_modified: encoding::decode_time(column(row, "last_modified")?)?,
        e_tag: column(row, "e_tag")?,
        partition: partition.map(encoding::decode_count).transpose()?,
        bounds: encoding::from_json(&column::<String>(row, "bounds")?)?,
    })
}

fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, CatalogError>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(name)
        .map_err(|error| CatalogError::Damaged(error.to_string()))
}

fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> CatalogError {
    move |source| CatalogError::Store { action, source }
}

/// A change that found nothing to change was decided from a state that the store has never had.
fn require_one(rows: u64, what: impl FnOnce() -> String) -> Result<(), CatalogError> {
    match rows {
        1 => Ok(()),
        _ => Err(CatalogError::Damaged(what())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::run_contract_suite;
    use std::sync::Arc;

    #[tokio::test]
    async fn sqlite_meets_the_contract() {
        let directory = tempfile::tempdir().unwrap();
        let count = std::sync::atomic::AtomicUsize::new(0);
        run_contract_suite(|| async {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let path = directory.path().join(format!("{number}.sqlite"));
            Arc::new(SqliteStore::open(&path).await.unwrap()) as Arc<dyn CatalogStore>
        })
        .await;
    }

    #[tokio::test]
    async fn a_newer_catalog_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        let store = SqliteStore::open(&path).await.unwrap();
        sqlx::query("INSERT INTO schema_version (version) VALUES (1000)")
            .execute(&store.pool)
            .await
            .unwrap();
        store.pool.close().await;
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert!(
            matches!(error, CatalogError::NewerCatalog { found: 1000, .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        let store = SqliteStore::open(&path).await.unwrap();
        let base = store.load().await.unwrap().version;
        let change = Change::DropDatabase {
            name: "default".to_owned(),
        };
        store.commit(base, &[change]).await.unwrap();
        let before = store.load().await.unwrap();
        store.pool.close().await;
        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(store.load().await.unwrap(), before);
        assert!(before.databases.is_empty());
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        std::fs::write(&path, "no database at all, but long enough to look at").unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert!(matches!(error, CatalogError::Store { .. }), "{error}");
    }
}
