//! What the doors may tell clients of the catalog: made once for each version of it, because tools ask
//! for it again and again.

use super::Coordinator;
use crate::service::{
    COLUMN_COMMENT, COLUMN_SQL_TYPE, CatalogMetadata, DatabaseMetadata, TableMetadata,
};
use crate::session::{Session, Temporary, name_of};
use arrow::datatypes::{Schema, SchemaRef};
use parking_lot::Mutex;
use skep_catalog::model::{CatalogVersion, Table, View};
use skep_catalog::rights::Readable;
use skep_catalog::{Relation, Rights};
use skep_planner::CATALOG_NAME;
use skep_planner::table_schema;
use skep_protocol::QueryError;
use std::collections::HashMap;
use std::sync::Arc;

/// For how many users metadata is kept.
const KEPT_MAX: usize = 16;

/// The metadata of the version that was asked for last, for each of the users who asked for it.
#[derive(Default)]
pub(crate) struct MetadataCache(Mutex<Vec<Kept>>);

struct Kept {
    version: CatalogVersion,
    rights: Arc<Rights>,
    metadata: Arc<CatalogMetadata>,
}

impl MetadataCache {
    fn get(&self, version: CatalogVersion, rights: &Rights) -> Option<Arc<CatalogMetadata>> {
        let kept = self.0.lock();
        let found = kept
            .iter()
            .find(|kept| kept.version == version && kept.rights.are_of_same(rights));
        found.map(|kept| Arc::clone(&kept.metadata))
    }

    fn keep(&self, version: CatalogVersion, rights: &Arc<Rights>, metadata: &Arc<CatalogMetadata>) {
        let mut kept = self.0.lock();
        kept.retain(|kept| kept.version == version && !kept.rights.are_of_same(rights));
        kept.truncate(KEPT_MAX - 1);
        kept.push(Kept {
            version,
            rights: Arc::clone(rights),
            metadata: Arc::clone(metadata),
        });
    }
}

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
                    Relation::Table(table) => {
                        ("LOCAL TEMPORARY", described_schema(table, Readable::All))
                    }
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

    /// What is not temporary.
    async fn permanent_metadata(
        &self,
        session: &Session,
    ) -> Result<Arc<CatalogMetadata>, QueryError> {
        // A temporary table must not hide what everybody sees.
        let session = &Session {
            temporary: Temporary::default(),
            ..session.clone()
        };
        let catalog = self.session_catalog(session);
        let version = catalog.version().permanent;
        if let Some(metadata) = self.metadata.get(version, catalog.rights()) {
            return Ok(metadata);
        }
        let mut databases = Vec::new();
        for database in catalog.databases() {
            let mut tables = Vec::new();
            for (relation, _) in catalog.relations(&database.name)? {
                let (table_type, schema) = match relation {
                    Relation::Table(table) => {
                        ("TABLE", described_schema(table, catalog.shown(relation)))
                    }
                    Relation::View(view) => ("VIEW", self.view_schema(session, view).await),
                };
                tables.push(TableMetadata {
                    name: name_of(relation).to_owned(),
                    table_type: table_type.to_owned(),
                    schema,
                });
            }
            databases.push(DatabaseMetadata {
                name: database.name.clone(),
                tables,
            });
        }
        let metadata = Arc::new(CatalogMetadata {
            catalog: CATALOG_NAME.to_owned(),
            databases,
        });
        self.metadata.keep(version, catalog.rights(), &metadata);
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

/// A table's columns that are shown, with what the catalog says of them besides: comments, and the types that the
/// table was made with.
fn described_schema(table: &Table, shown: Readable<'_>) -> SchemaRef {
    let definition = &table.definition;
    let columns = definition.columns.iter();
    let columns = columns.map(|column| (&column.name, (&column.comment, &column.sql_type)));
    let partitioning = definition.partition_columns.iter();
    let partitioning =
        partitioning.map(|column| (&column.name, (&column.comment, &column.sql_type)));
    let known: HashMap<_, _> = columns.chain(partitioning).collect();
    let schema = table_schema(table);
    let fields = schema.fields().iter();
    let fields = fields.filter(|field| shown.has(field.name()));
    let fields = fields.map(|field| {
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
