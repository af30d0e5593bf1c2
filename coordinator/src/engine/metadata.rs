//! What the doors may tell clients of the catalog: made once for each version of it, because tools ask
//! for it again and again.

use super::Coordinator;
use crate::service::{
    COLUMN_COMMENT, COLUMN_SQL_TYPE, CatalogMetadata, DatabaseMetadata, TableMetadata,
};
use crate::session::{Session, Temporary, name_of};
use arrow::datatypes::{Schema, SchemaRef};
use parking_lot::Mutex;
use skep_catalog::Relation;
use skep_catalog::model::{CatalogVersion, Table, View};
use skep_planner::CATALOG_NAME;
use skep_planner::table_schema;
use skep_protocol::QueryError;
use std::collections::HashMap;
use std::sync::Arc;

/// The metadata of the version that was asked for last.
#[derive(Default)]
pub(crate) struct MetadataCache(Mutex<Option<(CatalogVersion, Arc<CatalogMetadata>)>>);

impl Coordinator {
    pub(super) async fn metadata(
        &self,
        session: &Session,
    ) -> Result<Arc<CatalogMetadata>, QueryError> {
        let catalog = self.session_catalog(session);
        let permanent = self.permanent_metadata(session).await?;
        if catalog.version().temporary.is_none() {
            return Ok(permanent);
        }
        let mut metadata = CatalogMetadata::clone(&permanent);
        for database in &mut metadata.databases {
            for (relation, is_temporary) in catalog.relations(&database.name)? {
                if !is_temporary {
                    continue;
                }
                let (table_type, schema) = match relation {
                    Relation::Table(table) => ("LOCAL TEMPORARY", described_schema(table)),
                    Relation::View(view) => ("VIEW", self.view_schema(session, view).await),
                };
                let name = name_of(relation);
                database.tables.retain(|table| table.name != name);
                database.tables.push(TableMetadata {
                    name: name.to_owned(),
                    table_type: table_type.to_owned(),
                    schema,
                });
            }
            let tables = &mut database.tables;
            tables.sort_by(|left, right| left.name.cmp(&right.name));
        }
        Ok(Arc::new(metadata))
    }

    /// What everybody sees.
    async fn permanent_metadata(
        &self,
        session: &Session,
    ) -> Result<Arc<CatalogMetadata>, QueryError> {
        let snapshot = self.catalog.snapshot();
        let version = snapshot.version();
        // A temporary table must not hide what everybody sees.
        let session = &Session {
            temporary: Temporary::default(),
            ..session.clone()
        };
        if let Some((known, metadata)) = self.metadata.0.lock().as_ref()
            && *known == version
        {
            return Ok(Arc::clone(metadata));
        }
        let mut databases = Vec::new();
        for database in snapshot.databases() {
            let tables = snapshot.tables(&database.name)?;
            let mut tables: Vec<_> = tables
                .map(|table| TableMetadata {
                    name: table.definition.name.clone(),
                    table_type: "TABLE".to_owned(),
                    schema: described_schema(table),
                })
                .collect();
            for view in snapshot.views(&database.name)? {
                tables.push(TableMetadata {
                    name: view.definition.name.clone(),
                    table_type: "VIEW".to_owned(),
                    schema: self.view_schema(session, view).await,
                });
            }
            tables.sort_by(|left, right| left.name.cmp(&right.name));
            databases.push(DatabaseMetadata {
                name: database.name.clone(),
                tables,
            });
        }
        let metadata = Arc::new(CatalogMetadata {
            catalog: CATALOG_NAME.to_owned(),
            databases,
        });
        *self.metadata.0.lock() = Some((version, Arc::clone(&metadata)));
        Ok(metadata)
    }

    /// A view whose query has lost its tables is still there, only without columns.
    async fn view_schema(&self, session: &Session, view: &View) -> SchemaRef {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let (database, name) = (&view.definition.database, &view.definition.name);
        let sql = format!("SELECT * FROM {}.{}", quoted(database), quoted(name));
        match self.describe(session, &sql).await {
            Ok(description) => description.schema,
            Err(_) => Arc::new(Schema::empty()),
        }
    }
}

/// A table's columns with what the catalog says of them besides: comments, and the types that the table was
/// made with.
fn described_schema(table: &Table) -> SchemaRef {
    let definition = &table.definition;
    let columns = definition.columns.iter();
    let columns = columns.map(|column| (&column.name, (&column.comment, &column.sql_type)));
    let partitioning = definition.partition_columns.iter();
    let partitioning =
        partitioning.map(|column| (&column.name, (&column.comment, &column.sql_type)));
    let known: HashMap<_, _> = columns.chain(partitioning).collect();
    let schema = table_schema(table);
    let fields = schema.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        if let Some((comment, sql_type)) = known.get(field.name()) {
            let told = [(COLUMN_COMMENT, *comment), (COLUMN_SQL_TYPE, *sql_type)];
            let told = told
                .into_iter()
                .filter_map(|(key, text)| Some((key, text.as_ref()?)));
            metadata.extend(told.map(|(key, text)| (key.to_owned(), text.clone())));
        }
        field.as_ref().clone().with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
