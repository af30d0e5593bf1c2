//! Statements that change something and return no rows.

use super::{Statement, TableName};
use crate::engine::Inner;
use crate::session::Session;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::logical_expr::{CreateExternalTable, DdlStatement, LogicalPlan};
use datafusion::sql::parser::Statement as DataFusionStatement;
use object_store::ObjectStore;
use skep_catalog::catalog::{ColumnSpec, PartitionColumnSpec};
use skep_catalog::model::{FileFormat, StorageOptions};
use skep_catalog::{NewDatabase, NewExternalTable};
use skep_exchange::error::from_datafusion;
use skep_protocol::storage_url::StorageUrl;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

impl Inner {
    /// Runs a command; returns how many rows it changed, where that has a meaning.
    pub(crate) async fn command(
        &self,
        session: &Session,
        query: &QueryId,
        command: Statement,
    ) -> Result<Option<u64>, QueryError> {
        match command {
            Statement::CreateDatabase(create) => {
                let location = create.location.as_deref().map(parse_location).transpose()?;
                let new = NewDatabase {
                    name: create.name,
                    if_not_exists: create.if_not_exists,
                    comment: create.comment,
                    location,
                    properties: BTreeMap::new(),
                    owner: session.user.clone(),
                };
                self.catalog.create_database(new).await?;
            }
            Statement::DropDatabase {
                name,
                if_exists,
                cascade,
            } => {
                self.catalog
                    .drop_database(&name, if_exists, cascade)
                    .await?;
            }
            Statement::Use(name) => {
                let name = self.catalog.snapshot().database(&name)?.name.clone();
                self.sessions.update(&session.id, |session| {
                    session.database = name;
                    Ok(())
                })?;
            }
            Statement::CreateExternalTable(statement) => {
                let new = self.external_table(session, query, &statement).await?;
                let store = self.object_store(&new.location)?;
                self.catalog.create_external_table(new, &store).await?;
            }
            Statement::DropTable { name, if_exists } => {
                let database = self.database_of(session, &name);
                self.catalog
                    .drop_table(&database, &name.table, if_exists)
                    .await?;
            }
            Statement::RefreshTable(name) => {
                let database = self.database_of(session, &name);
                let table = Arc::clone(self.catalog.snapshot().table(&database, &name.table)?);
                let store = self.object_store(&table.definition.location)?;
                self.catalog
                    .refresh_table(&database, &name.table, &store)
                    .await?;
            }
            Statement::Set { name, value } => {
                self.sessions
                    .update(&session.id, |session| session.settings.set(&name, &value))?;
            }
            Statement::Reset(name) => {
                self.sessions.update(&session.id, |session| {
                    session.settings.reset(name.as_deref())
                })?;
            }
            Statement::KillQuery(id) => self.kill(session, &id)?,
            Statement::Query(_) | Statement::Explain(_) | Statement::Show(_) => {
                return Err(QueryError::internal("a statement with rows is no command"));
            }
        }
        Ok(None)
    }

    /// The database that a name refers to.
    pub(crate) fn database_of(&self, session: &Session, name: &TableName) -> String {
        name.database
            .clone()
            .unwrap_or_else(|| session.database.clone())
    }

    fn kill(&self, session: &Session, id: &str) -> Result<(), QueryError> {
        let not_found = || {
            let text = format!("there is no running query '{id}'; see SHOW QUERIES");
            QueryError::new(ErrorCode::QueryNotFound, text)
        };
        let query: QueryId = id.parse().map_err(|_| not_found())?;
        match self
            .queries
            .cancel(&query, &format!("killed by {}", session.user))
        {
            true => Ok(()),
            false => Err(not_found()),
        }
    }

    fn object_store(&self, location: &StorageUrl) -> Result<Arc<dyn ObjectStore>, QueryError> {
        let url = Url::parse(&location.store_url()).map_err(|error| {
            QueryError::internal(format!("'{}' is no URL: {error}", location.store_url()))
        })?;
        let registry: &Arc<dyn ObjectStoreRegistry> = &self.planner.runtime.object_store_registry;
        registry
            .get_store(&url)
            .map_err(|error| from_datafusion(&error))
    }

    async fn external_table(
        &self,
        session: &Session,
        query: &QueryId,
        statement: &DataFusionStatement,
    ) -> Result<NewExternalTable, QueryError> {
        let context = self.planning_context(session, query);
        match context.ddl(statement).await? {
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) => {
                new_external_table(session, *create)
            }
            _ => Err(QueryError::internal(
                "CREATE EXTERNAL TABLE became something else",
            )),
        }
    }
}

fn new_external_table(
    session: &Session,
    create: CreateExternalTable,
) -> Result<NewExternalTable, QueryError> {
    refuse_unsupported(&create)?;
    let location = match create.locations.as_slice() {
        [location] => parse_location(location)?,
        _ => {
            let text = "a table has one LOCATION";
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
    };
    let schema: &Schema = create.schema.as_arrow();
    let partition_names: Vec<String> = create
        .table_partition_cols
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    let is_partition = |name: &str| {
        partition_names
            .iter()
            .any(|found| found == &name.to_lowercase())
    };
    let columns = schema
        .fields()
        .iter()
        .filter(|field| !is_partition(field.name()))
        .map(|field| ColumnSpec {
            name: field.name().clone(),
            data_type: stored_type(field.data_type()),
            sql_type: None,
            nullable: field.is_nullable(),
            comment: None,
        })
        .collect();
    let partition_columns = partition_names
        .iter()
        .map(|name| PartitionColumnSpec {
            name: name.clone(),
            data_type: schema
                .fields()
                .iter()
                .find(|field| field.name().eq_ignore_ascii_case(name))
                .map(|field| stored_type(field.data_type())),
            sql_type: None,
            comment: None,
        })
        .collect::<Vec<_>>();
    let database = create.name.schema().unwrap_or(&session.database);
    Ok(NewExternalTable {
        database: database.to_owned(),
        name: create.name.table().to_owned(),
        if_not_exists: create.if_not_exists,
        format: FileFormat::Parquet,
        storage: StorageOptions::default(),
        location,
        columns,
        partition_columns: (!partition_columns.is_empty()).then_some(partition_columns),
        bucketing: None,
        properties: BTreeMap::new(),
        comment: None,
        owner: session.user.clone(),
    })
}

/// The type as the catalog has it: views are a matter of the plan.
fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other.clone(),
    }
}

/// What is parsed and would be ignored is refused by name.
fn refuse_unsupported(create: &CreateExternalTable) -> Result<(), QueryError> {
    let format = create.file_type.to_ascii_uppercase();
    let refused = if FileFormat::from_name(&format) != Some(FileFormat::Parquet) {
        format!("STORED AS {format}")
    } else if create.or_replace {
        "OR REPLACE".to_owned()
    } else if create.temporary {
        "TEMPORARY".to_owned()
    } else if create.unbounded {
        "UNBOUNDED".to_owned()
    } else if !create.order_exprs.is_empty() {
        "WITH ORDER".to_owned()
    } else if !create.options.is_empty() {
        "OPTIONS".to_owned()
    } else if create.constraints.iter().next().is_some() {
        "a table constraint".to_owned()
    } else if !create.column_defaults.is_empty() {
        "DEFAULT".to_owned()
    } else {
        return Ok(());
    };
    let text = format!("{refused} is not supported in CREATE EXTERNAL TABLE");
    Err(QueryError::new(ErrorCode::Unsupported, text))
}

fn parse_location(text: &str) -> Result<StorageUrl, QueryError> {
    StorageUrl::parse(text).map_err(QueryError::from)
}
