//! How changes are written into the catalog's database, within the transaction that commits them.

use super::database::{Transaction, Value};
use super::{Change, Cleared, FileChanges, access, encoding, rows, sql};
use crate::error::CatalogError;
use crate::model::{
    CatalogVersion, Database, Securable, TableDefinition, TableFiles, TableId, User, ViewDefinition,
};
use std::collections::BTreeMap;

/// Rows per statement: SQLite allows 32,766 parameters in one, and a file has nine.
const STATEMENT_ROWS_MAX: usize = 500;

/// Carries out the changes of one commit.
pub(super) struct Applier {
    version: CatalogVersion,
    last_created: Option<TableId>,
}

impl Applier {
    pub(super) fn new(version: CatalogVersion) -> Self {
        Self {
            version,
            last_created: None,
        }
    }

    fn last_created(&self) -> Result<TableId, CatalogError> {
        let id = self.last_created;
        id.ok_or_else(|| {
            CatalogError::Damaged("what belongs to a table comes before any".to_owned())
        })
    }

    /// Carries out one change.
    pub(super) async fn apply(
        &mut self,
        transaction: &mut Transaction,
        change: &Change,
    ) -> Result<(), CatalogError> {
        let version = self.version;
        match change {
            Change::CreateTable { definition, files } => {
                let id = take_id(transaction).await?;
                self.last_created = Some(id);
                write_table(transaction, sql::INSERT_TABLE, id, version, definition).await?;
                insert_files(transaction, id, version, files).await
            }
            Change::CreateView(definition) => {
                let id = take_id(transaction).await?;
                self.last_created = Some(id);
                write_view(transaction, sql::INSERT_VIEW, id, version, definition).await
            }
            Change::ExtendTable { files } => {
                insert_files(transaction, self.last_created()?, version, files).await
            }
            Change::GrantOnCreated(grant) => {
                let mut grant = grant.clone();
                grant.key.object = Securable::Relation(self.last_created()?);
                access::apply(transaction, &Change::SetGrant(grant)).await
            }
            Change::UpdateTable {
                id,
                definition,
                files,
            } => {
                write_table(transaction, sql::UPDATE_TABLE, *id, version, definition).await?;
                remove_files(transaction, *id, version, files).await?;
                insert_files(transaction, *id, version, &files.added).await
            }
            Change::DropTable { id } => {
                write(transaction, sql::ABANDON_LOCATION, vec![id.0.into()]).await?;
                let values = vec![id.0.into(), encoding::encode_count(version.0)?.into()];
                write_one(transaction, sql::DROP_TABLE, values).await
            }
            change => apply_small(transaction, version, change).await,
        }
    }
}

/// Carries out a change that has nothing to do with tables' files.
async fn apply_small(
    transaction: &mut Transaction,
    version: CatalogVersion,
    change: &Change,
) -> Result<(), CatalogError> {
    match change {
        Change::CreateDatabase(database) => {
            write_database(transaction, sql::INSERT_DATABASE, database).await
        }
        Change::AlterDatabase(database) => {
            write_database(transaction, sql::UPDATE_DATABASE, database).await
        }
        Change::DropDatabase { name } => {
            write_one(
                transaction,
                sql::DELETE_DATABASE,
                vec![name.as_str().into()],
            )
            .await
        }
        Change::CreateUser(user) => write_user(transaction, sql::INSERT_USER, user).await,
        Change::AlterUser(user) => write_user(transaction, sql::UPDATE_USER, user).await,
        Change::DropUser { name } => {
            write_one(transaction, sql::DELETE_USER, vec![name.as_str().into()]).await
        }
        Change::CreateRole(_)
        | Change::DropRole { .. }
        | Change::SetMembership(_)
        | Change::RemoveMembership { .. }
        | Change::SetGrant(_)
        | Change::RemoveGrant(_) => access::apply(transaction, change).await,
        Change::AbandonLocation(location) => {
            let values = vec![location.to_string().into()];
            write(transaction, sql::INSERT_ABANDONED, values).await?;
            Ok(())
        }
        Change::ForgetLocation(location) => {
            let values = vec![location.to_string().into()];
            write(transaction, sql::FORGET_LOCATION, values).await?;
            Ok(())
        }
        Change::UpdateView { id, definition } => {
            write_view(transaction, sql::UPDATE_VIEW, *id, version, definition).await
        }
        Change::DropView { id } => {
            let values = vec![id.0.into(), encoding::encode_count(version.0)?.into()];
            write_one(transaction, sql::DROP_VIEW, values).await
        }
        Change::CreateTable { .. }
        | Change::CreateView(_)
        | Change::GrantOnCreated(_)
        | Change::ExtendTable { .. }
        | Change::UpdateTable { .. }
        | Change::DropTable { .. } => Err(CatalogError::Damaged(
            "a change of files came where there is none".to_owned(),
        )),
    }
}

async fn write(
    transaction: &mut Transaction,
    statement: &str,
    values: Vec<Value>,
) -> Result<u64, CatalogError> {
    transaction
        .execute(statement, values)
        .await
        .map_err(failed("write a change"))
}

/// Runs a statement that must change one row. One that finds nothing to change was decided from a state
/// that the store has never had.
async fn write_one(
    transaction: &mut Transaction,
    statement: &str,
    values: Vec<Value>,
) -> Result<(), CatalogError> {
    require(write(transaction, statement, values).await?, 1, statement)
}

fn require(found: u64, expected: usize, statement: &str) -> Result<(), CatalogError> {
    match found == expected as u64 {
        true => Ok(()),
        false => Err(CatalogError::Damaged(format!(
            "{found} rows instead of {expected}: {statement}"
        ))),
    }
}

fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> CatalogError {
    move |source| CatalogError::Store { action, source }
}

async fn take_id(transaction: &mut Transaction) -> Result<TableId, CatalogError> {
    let ids = transaction
        .query(
            sql::TAKE_TABLE_ID,
            Vec::new(),
            rows::read_number,
            failed("take an id"),
        )
        .await?;
    let id = ids.first().copied();
    id.map(TableId)
        .ok_or_else(|| CatalogError::Damaged("the catalog has no state".to_owned()))
}

/// Runs INSERT_DATABASE or UPDATE_DATABASE, which have the same parameters.
async fn write_database(
    transaction: &mut Transaction,
    statement: &str,
    database: &Database,
) -> Result<(), CatalogError> {
    let values = vec![
        database.name.as_str().into(),
        database.comment.clone().into(),
        database.location.as_ref().map(ToString::to_string).into(),
        encoding::to_json(&database.properties)?.into(),
        database.owner.as_str().into(),
        database.created_at.timestamp_micros().into(),
    ];
    write_one(transaction, statement, values).await
}

/// Runs INSERT_USER or UPDATE_USER, which have the same parameters.
async fn write_user(
    transaction: &mut Transaction,
    statement: &str,
    user: &User,
) -> Result<(), CatalogError> {
    let values = vec![
        user.name.as_str().into(),
        user.password_hash.as_str().into(),
        user.admin.into(),
        user.created_at.timestamp_micros().into(),
    ];
    write_one(transaction, statement, values).await
}

/// Runs INSERT_TABLE or UPDATE_TABLE, which have the same parameters.
async fn write_table(
    transaction: &mut Transaction,
    statement: &str,
    id: TableId,
    version: CatalogVersion,
    definition: &TableDefinition,
) -> Result<(), CatalogError> {
    let name = &definition.name;
    let bucketing = definition.bucketing.as_ref();
    let values = vec![
        id.0.into(),
        encoding::encode_count(version.0)?.into(),
        definition.database.as_str().into(),
        name.as_str().into(),
        definition.kind.as_str().into(),
        definition.format.as_str().into(),
        encoding::to_json(&definition.storage)?.into(),
        definition.location.to_string().into(),
        encoding::encode_columns(name, &definition.columns)?.into(),
        definition.columns_declared.into(),
        encoding::to_json(&definition.retired_columns)?.into(),
        encoding::encode_partition_columns(name, &definition.partition_columns)?.into(),
        bucketing.map(encoding::to_json).transpose()?.into(),
        encoding::to_json(&definition.properties)?.into(),
        definition.comment.clone().into(),
        definition.owner.as_str().into(),
        definition.created_at.timestamp_micros().into(),
    ];
    write_one(transaction, statement, values).await
}

/// Runs INSERT_VIEW or UPDATE_VIEW, which have the same parameters.
async fn write_view(
    transaction: &mut Transaction,
    statement: &str,
    id: TableId,
    version: CatalogVersion,
    definition: &ViewDefinition,
) -> Result<(), CatalogError> {
    let values = vec![
        id.0.into(),
        encoding::encode_count(version.0)?.into(),
        definition.database.as_str().into(),
        definition.name.as_str().into(),
        encoding::to_json(&definition.columns)?.into(),
        definition.sql.as_str().into(),
        definition.resolve_in.as_str().into(),
        encoding::to_json(&definition.properties)?.into(),
        definition.comment.clone().into(),
        definition.owner.as_str().into(),
        definition.created_at.timestamp_micros().into(),
    ];
    write_one(transaction, statement, values).await
}

async fn insert_files(
    transaction: &mut Transaction,
    table: TableId,
    version: CatalogVersion,
    files: &TableFiles,
) -> Result<(), CatalogError> {
    let version = encoding::encode_count(version.0)?;
    for partitions in files.partitions.chunks(STATEMENT_ROWS_MAX) {
        let mut values: Vec<Value> = Vec::new();
        for partition in partitions {
            values.extend([
                table.0.into(),
                partition.number.into(),
                version.into(),
                encoding::to_json(&partition.values)?.into(),
                partition.location.to_string().into(),
            ]);
        }
        let rows = transaction.placeholders(partitions.len(), sql::INSERT_PARTITIONS_WIDTH);
        let statement = format!("{}{rows}", sql::INSERT_PARTITIONS);
        write(transaction, &statement, values).await?;
    }
    for files in files.files.chunks(STATEMENT_ROWS_MAX) {
        let mut values: Vec<Value> = Vec::new();
        for file in files {
            let rows = file.rows.map(encoding::encode_count).transpose()?;
            values.extend([
                table.0.into(),
                file.path.as_str().into(),
                version.into(),
                encoding::encode_partition(file.partition).into(),
                encoding::encode_count(file.size_bytes)?.into(),
                rows.into(),
                file.last_modified.timestamp_micros().into(),
                file.e_tag.clone().into(),
                file.bounds.as_bytes().to_vec().into(),
            ]);
        }
        let rows = transaction.placeholders(files.len(), sql::INSERT_FILES_WIDTH);
        let statement = format!("{}{rows}", sql::INSERT_FILES);
        write(transaction, &statement, values).await?;
    }
    Ok(())
}

async fn remove_files(
    transaction: &mut Transaction,
    table: TableId,
    version: CatalogVersion,
    changes: &FileChanges,
) -> Result<(), CatalogError> {
    let head = || -> Result<Vec<Value>, CatalogError> {
        Ok(vec![
            table.0.into(),
            encoding::encode_count(version.0)?.into(),
        ])
    };
    let mut by_partition: BTreeMap<Option<u32>, Vec<&str>> = BTreeMap::new();
    for file in &changes.removed_files {
        let paths = by_partition.entry(file.partition).or_default();
        paths.push(&file.path);
    }
    for (partition, paths) in by_partition {
        for paths in paths.chunks(STATEMENT_ROWS_MAX) {
            let mut values = head()?;
            values.push(encoding::encode_partition(partition).into());
            values.extend(paths.iter().map(|path| Value::from(*path)));
            let statement = format!(
                "{} AND partition_number = $3{}",
                sql::REMOVE_FILES,
                sql::is_one_of("path", 4, paths.len())
            );
            let removed = write(transaction, &statement, values).await?;
            require(removed, paths.len(), sql::REMOVE_FILES)?;
        }
    }
    if changes.cleared == Cleared::Everything {
        write(transaction, sql::REMOVE_FILES, head()?).await?;
        write(transaction, sql::REMOVE_PARTITIONS, head()?).await?;
    }
    if let Cleared::Partitions(numbers) = &changes.cleared {
        for numbers in numbers.chunks(STATEMENT_ROWS_MAX) {
            let mut values = head()?;
            values.extend(numbers.iter().map(|number| Value::from(*number)));
            let which = sql::is_one_of("partition_number", 3, numbers.len());
            let statement = format!("{}{which}", sql::REMOVE_FILES);
            write(transaction, &statement, values).await?;
        }
    }
    for numbers in changes.removed_partitions.chunks(STATEMENT_ROWS_MAX) {
        let mut values = head()?;
        values.extend(numbers.iter().map(|number| Value::from(*number)));
        let which = sql::is_one_of("number", 3, numbers.len());
        let statement = format!("{}{which}", sql::REMOVE_PARTITIONS);
        let removed = write(transaction, &statement, values).await?;
        require(removed, numbers.len(), sql::REMOVE_PARTITIONS)?;
    }
    Ok(())
}
