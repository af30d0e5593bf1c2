//! The catalog in an SQL database, whichever it is.

use super::access;
use super::changes::Applier;
use super::database::{Database, Row, Transaction, Value, failed};
use super::{
    CatalogState, CatalogStore, Change, ReaderId, StateChanges, encoding, migrations, packed, rows,
    sql,
};
use crate::error::CatalogError;
use crate::model::{CatalogVersion, DataFile, Partition, Table, TableId, View};
use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How many partitions one statement asks for. One that asks for more asks for all, and the rest is
/// left out here.
const PARTITIONS_PER_QUERY_MAX: usize = 1_000;

/// How many of the latest commits can be told from those that were never made.
const COMMITS_REMEMBERED: i64 = 10_000;

/// For how long a commit of unknown outcome is looked for, and how often.
const OUTCOME_PATIENCE: Duration = Duration::from_secs(20);
const OUTCOME_INTERVAL: Duration = Duration::from_millis(200);

/// A catalog in an SQL database.
#[derive(Clone, Debug)]
pub(super) struct SqlStore {
    pub(super) database: Database,
}

impl SqlStore {
    /// The catalog in `database`, whose schema is brought up to date.
    pub(super) async fn open(database: Database) -> Result<Self, CatalogError> {
        migrations::migrate(&database).await?;
        Ok(Self { database })
    }

    async fn begin_read(&self) -> Result<Transaction, CatalogError> {
        let begun = self.database.begin_read().await;
        begun.map_err(failed("begin a transaction"))
    }

    async fn begin_write(&self) -> Result<Transaction, CatalogError> {
        let begun = self.database.begin_write().await;
        begun.map_err(failed("begin a transaction"))
    }

    /// A transaction that makes the version after `base`, if that is the latest.
    async fn begin_commit(
        &self,
        base: CatalogVersion,
    ) -> Result<(Transaction, CatalogVersion), CatalogError> {
        let mut transaction = self.begin_write().await?;
        let advanced = transaction
            .execute(
                sql::ADVANCE_VERSION,
                vec![encoding::encode_count(base.0)?.into()],
            )
            .await
            .map_err(failed("advance its version"))?;
        match advanced {
            1 => Ok((transaction, CatalogVersion(base.0 + 1))),
            _ => Err(CatalogError::Conflict),
        }
    }

    async fn end_commit(
        &self,
        mut transaction: Transaction,
        version: CatalogVersion,
    ) -> Result<CatalogVersion, CatalogError> {
        if matches!(self.database, Database::Sqlite(_)) {
            transaction.commit().await.map_err(failed("commit"))?;
            return Ok(version);
        }
        let token = remember_commit(&mut transaction, version).await?;
        match transaction.commit().await {
            Ok(()) => Ok(version),
            Err(error) => self.outcome_of(&token, version, error).await,
        }
    }

    /// What has become of a commit whose connection broke before the server said so.
    async fn outcome_of(
        &self,
        token: &str,
        version: CatalogVersion,
        error: sqlx::Error,
    ) -> Result<CatalogVersion, CatalogError> {
        let deadline = Instant::now() + OUTCOME_PATIENCE;
        loop {
            match self.find_commit(token).await {
                Ok(true) => return Ok(version),
                Ok(false) => return Err(failed("commit")(error)),
                Err(_) if Instant::now() < deadline => tokio::time::sleep(OUTCOME_INTERVAL).await,
                Err(_) => return Err(CatalogError::OutcomeUnknown { source: error }),
            }
        }
    }

    /// Whether a commit was made, and if not, that it never will be.
    async fn find_commit(&self, token: &str) -> Result<bool, CatalogError> {
        let mut transaction = self.begin_write().await?;
        // Its server process may still be at it; whoever has this row has seen it end.
        read_one(&mut transaction, sql::LOCK_STATE).await?;
        let found = transaction
            .query(
                sql::SELECT_COMMIT,
                vec![token.into()],
                rows::read_number,
                failed("look for a commit"),
            )
            .await?;
        Ok(!found.is_empty())
    }
}

async fn remember_commit(
    transaction: &mut Transaction,
    version: CatalogVersion,
) -> Result<String, CatalogError> {
    let token = Uuid::new_v4().to_string();
    let version = encoding::encode_count(version.0)?;
    for (statement, values) in [
        (
            sql::INSERT_COMMIT,
            vec![token.as_str().into(), version.into()],
        ),
        (
            sql::DELETE_COMMITS,
            vec![(version - COMMITS_REMEMBERED).into()],
        ),
    ] {
        transaction
            .execute(statement, values)
            .await
            .map_err(failed("remember a commit"))?;
    }
    Ok(token)
}

#[async_trait]
impl CatalogStore for SqlStore {
    async fn version(&self) -> Result<CatalogVersion, CatalogError> {
        let mut transaction = self.begin_read().await?;
        let version = read_one(&mut transaction, sql::SELECT_VERSION).await?;
        Ok(CatalogVersion(encoding::decode_count(version)?))
    }

    async fn load(&self) -> Result<CatalogState, CatalogError> {
        // One transaction, so that all of it belongs to one version.
        let mut transaction = self.begin_read().await?;
        let tables = read_all(&mut transaction, sql::SELECT_TABLES, rows::read_table).await?;
        let views = read_all(&mut transaction, sql::SELECT_VIEWS, rows::read_view).await?;
        read_state(&mut transaction, tables, views).await
    }

    async fn load_since(&self, base: CatalogVersion) -> Result<Option<StateChanges>, CatalogError> {
        let mut transaction = self.begin_read().await?;
        match check_kept(&mut transaction, base).await {
            Err(CatalogError::VersionForgotten(_)) => return Ok(None),
            kept => kept?,
        }
        let base = encoding::encode_count(base.0)?;
        let tables = format!("{}{}", sql::SELECT_TABLES, sql::CHANGED_SINCE);
        let tables = read_since(&mut transaction, &tables, base, rows::read_table).await?;
        let views = format!("{}{}", sql::SELECT_VIEWS, sql::CHANGED_SINCE);
        let views = read_since(&mut transaction, &views, base, rows::read_view).await?;
        let dropped = sql::SELECT_DROPPED;
        let dropped = read_since(&mut transaction, dropped, base, rows::read_number).await?;
        Ok(Some(StateChanges {
            state: read_state(&mut transaction, tables, views).await?,
            dropped: dropped.into_iter().map(TableId).collect(),
        }))
    }

    async fn load_partitions(
        &self,
        table: TableId,
        version: CatalogVersion,
    ) -> Result<Vec<Partition>, CatalogError> {
        let mut transaction = self.begin_read().await?;
        check_kept(&mut transaction, version).await?;
        if matches!(self.database, Database::Sqlite(_)) {
            return packed::read_partitions(&mut transaction, table, version).await;
        }
        let values = vec![table.0.into(), encoding::encode_count(version.0)?.into()];
        let mut partitions = transaction
            .query(
                sql::SELECT_PARTITIONS,
                values,
                rows::read_partition,
                failed("read a table's partitions"),
            )
            .await?;
        partitions.sort_by_key(|partition| partition.number);
        Ok(partitions)
    }

    async fn load_data_files(
        &self,
        table: TableId,
        version: CatalogVersion,
        partitions: Option<&[u32]>,
    ) -> Result<Vec<DataFile>, CatalogError> {
        let mut transaction = self.begin_read().await?;
        check_kept(&mut transaction, version).await?;
        let few = partitions.filter(|numbers| numbers.len() <= PARTITIONS_PER_QUERY_MAX);
        let mut files = match (&self.database, few) {
            (_, Some([])) => return Ok(Vec::new()),
            (Database::Sqlite(_), None) => {
                packed::read_files(&mut transaction, table, version).await?
            }
            _ => read_files(&mut transaction, table, version, few).await?,
        };
        if let (Some(numbers), None) = (partitions, few) {
            let wanted: HashSet<Option<u32>> = numbers.iter().copied().map(Some).collect();
            files.retain(|file| wanted.contains(&file.partition));
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(files)
    }

    async fn known_paths(&self, prefix: &str) -> Result<HashSet<String>, CatalogError> {
        let mut transaction = self.begin_read().await?;
        let length = encoding::encode_count(prefix.chars().count() as u64)?;
        let paths = transaction
            .query(
                sql::SELECT_KNOWN_PATHS,
                vec![prefix.into(), length.into()],
                rows::read_text,
                failed("read the known files"),
            )
            .await?;
        Ok(paths.into_iter().collect())
    }

    async fn commit(
        &self,
        base: CatalogVersion,
        changes: &[Change],
    ) -> Result<CatalogVersion, CatalogError> {
        let (mut transaction, version) = self.begin_commit(base).await?;
        let mut applier = Applier::new(version);
        for change in changes {
            applier.apply(&mut transaction, change).await?;
        }
        self.end_commit(transaction, version).await
    }

    async fn commit_stream(
        &self,
        base: CatalogVersion,
        mut changes: BoxStream<'_, Result<Change, CatalogError>>,
    ) -> Result<CatalogVersion, CatalogError> {
        let (mut transaction, version) = self.begin_commit(base).await?;
        let mut applier = Applier::new(version);
        while let Some(change) = changes.try_next().await? {
            applier.apply(&mut transaction, &change).await?;
        }
        self.end_commit(transaction, version).await
    }

    async fn hold(
        &self,
        reader: &ReaderId,
        oldest: CatalogVersion,
        time: Duration,
    ) -> Result<(), CatalogError> {
        if matches!(self.database, Database::Sqlite(_)) {
            // The file belongs to one process, which knows what it reads.
            return Ok(());
        }
        let mut transaction = self.begin_write().await?;
        let values = vec![
            reader.as_str().into(),
            encoding::encode_count(oldest.0)?.into(),
            encoding::encode_count(time.as_secs())?.into(),
        ];
        for (statement, values) in [
            (sql::HOLD_VERSION, values),
            (sql::FORGET_READERS, Vec::new()),
        ] {
            transaction
                .execute(statement, values)
                .await
                .map_err(failed("hold a version"))?;
        }
        transaction.commit().await.map_err(failed("commit"))
    }

    async fn readers(&self) -> Result<Vec<ReaderId>, CatalogError> {
        if matches!(self.database, Database::Sqlite(_)) {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin_read().await?;
        read_all(&mut transaction, sql::SELECT_READERS, |row: &Row| {
            Ok(ReaderId::new(row.get::<String, _>(0)?))
        })
        .await
    }

    async fn purge(&self, reader: &ReaderId, oldest: CatalogVersion) -> Result<u64, CatalogError> {
        let mut transaction = self.begin_write().await?;
        let mut oldest = encoding::encode_count(oldest.0)?;
        if matches!(self.database, Database::Postgres(_)) {
            let others = transaction
                .query(
                    sql::SELECT_OLDEST_READER,
                    vec![reader.as_str().into()],
                    |row: &Row| row.get::<Option<i64>, _>(0),
                    failed("read what others hold"),
                )
                .await?;
            oldest = others.into_iter().flatten().fold(oldest, i64::min);
            if read_one(&mut transaction, sql::TRY_LOCK_PURGE).await? == 0 {
                // Somebody else is at it.
                return Ok(0);
            }
        }
        let mut count = 0;
        for statement in sql::PURGE {
            count += transaction
                .execute(statement, vec![oldest.into()])
                .await
                .map_err(failed("forget old versions"))?;
        }
        if count > 0 {
            transaction
                .execute(sql::MARK_PURGED, vec![oldest.into()])
                .await
                .map_err(failed("forget old versions"))?;
        }
        transaction.commit().await.map_err(failed("commit"))?;
        Ok(count)
    }
}

/// The latest state with these of its tables and views.
async fn read_state(
    transaction: &mut Transaction,
    tables: Vec<Table>,
    views: Vec<View>,
) -> Result<CatalogState, CatalogError> {
    let version = read_one(transaction, sql::SELECT_VERSION).await?;
    let locations = sql::SELECT_ABANDONED_LOCATIONS;
    let mut state = CatalogState {
        version: CatalogVersion(encoding::decode_count(version)?),
        databases: read_all(transaction, sql::SELECT_DATABASES, rows::read_database).await?,
        tables,
        views,
        users: read_all(transaction, sql::SELECT_USERS, rows::read_user).await?,
        access: access::read(transaction).await?,
        abandoned_locations: read_all(transaction, locations, rows::read_location).await?,
    };
    state.sort();
    Ok(state)
}

/// The files of a table, or those of a few of its partitions.
async fn read_files(
    transaction: &mut Transaction,
    table: TableId,
    version: CatalogVersion,
    partitions: Option<&[u32]>,
) -> Result<Vec<DataFile>, CatalogError> {
    let mut values: Vec<Value> = vec![table.0.into(), encoding::encode_count(version.0)?.into()];
    let which = match partitions {
        Some(numbers) => {
            values.extend(numbers.iter().map(|number| Value::from(*number)));
            sql::is_one_of("partition_number", 3, numbers.len())
        }
        None => String::new(),
    };
    let statement = format!("{}{which}", sql::SELECT_FILES);
    transaction
        .query(
            &statement,
            values,
            rows::read_file,
            failed("read a table's files"),
        )
        .await
}

/// Fails where rows that `version` sees may be gone.
async fn check_kept(
    transaction: &mut Transaction,
    version: CatalogVersion,
) -> Result<(), CatalogError> {
    let purged = read_one(transaction, sql::SELECT_PURGED_VERSION).await?;
    match encoding::decode_count::<u64>(purged)? <= version.0 {
        true => Ok(()),
        false => Err(CatalogError::VersionForgotten(version.0)),
    }
}

async fn read_all<T>(
    transaction: &mut Transaction,
    statement: &str,
    read: fn(&Row) -> Result<T, CatalogError>,
) -> Result<Vec<T>, CatalogError> {
    transaction
        .query(statement, Vec::new(), read, failed("read the catalog"))
        .await
}

async fn read_since<T>(
    transaction: &mut Transaction,
    statement: &str,
    base: i64,
    read: fn(&Row) -> Result<T, CatalogError>,
) -> Result<Vec<T>, CatalogError> {
    let failed = failed("read what has changed");
    transaction
        .query(statement, vec![base.into()], read, failed)
        .await
}

async fn read_one(transaction: &mut Transaction, statement: &str) -> Result<i64, CatalogError> {
    let found = read_all(transaction, statement, rows::read_number).await?;
    let first = found.first().copied();
    first.ok_or_else(|| CatalogError::Damaged("the catalog has no state".to_owned()))
}
