//! A catalog snapshot as DataFusion resolves names in it. Databases are its schemas.
//!
//! Nothing is listed and no file is opened: what a table consists of comes from the snapshot.

use crate::resolution::catalog_names::CATALOG_NAME;
use crate::resolution::catalog_names::INFORMATION_SCHEMA;
use crate::resolution::information_schema::InformationSchema;
use crate::resolution::loose_files::LOOSE_DATABASE;
use crate::resolution::readable::{check_readable, with_readable_columns};
use crate::session::{SessionCatalog, name_of};
use crate::table_scan::CatalogTable;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::TableType;
use parking_lot::RwLock;
use skep_catalog::Relation;
use skep_runtime::error::to_datafusion;
use std::collections::HashMap;
use std::sync::Arc;

/// The catalog that a statement sees, from its planning to its end.
#[derive(Clone, Debug)]
pub struct SnapshotCatalog {
    snapshot: SessionCatalog,
    uses_views: bool,
    /// The views that the statement uses, planned.
    views: PlannedViews,
}

/// What a statement alone knows: views, each with the plan of its query, and the files that it names.
#[derive(Clone, Debug, Default)]
pub struct PlannedViews {
    views: Arc<RwLock<HashMap<ViewKey, Arc<dyn TableProvider>>>>,
    loose_files: Arc<RwLock<Vec<Arc<CatalogTable>>>>,
}

/// Which view it is. A temporary one may have the name of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ViewKey {
    pub(crate) database: String,
    pub(crate) name: String,
    pub(crate) is_temporary: bool,
    /// Whose rights it has where it has the caller's.
    pub(crate) invoker: Option<String>,
}

impl ViewKey {
    /// The view that a name stands for in `catalog`, which keeps names in lower case.
    pub(crate) fn new(catalog: &SessionCatalog, database: &str, name: &str) -> Self {
        Self {
            database: database.to_lowercase(),
            name: name.to_lowercase(),
            is_temporary: catalog.is_temporary(database, name),
            invoker: catalog.invoker_of(database, name),
        }
    }
}

impl PlannedViews {
    /// Whether the view has been planned.
    pub(crate) fn has(&self, view: &ViewKey) -> bool {
        self.views.read().contains_key(view)
    }

    /// Whether the view of that name has been planned, with whosever rights.
    pub(super) fn has_named(&self, database: &str, name: &str, is_temporary: bool) -> bool {
        let views = self.views.read();
        views.keys().any(|key| {
            key.database == database && key.name == name && key.is_temporary == is_temporary
        })
    }

    /// Adds a view.
    pub(crate) fn add(&self, view: ViewKey, plan: Arc<dyn TableProvider>) {
        self.views.write().insert(view, plan);
    }

    /// A view.
    pub(crate) fn get(&self, view: &ViewKey) -> Option<Arc<dyn TableProvider>> {
        self.views.read().get(view).cloned()
    }
}

impl PlannedViews {
    /// How many tables there are of files that the statement names.
    pub(crate) fn loose_files(&self) -> usize {
        self.loose_files.read().len()
    }

    /// Adds such a table. Its name is its number.
    pub(crate) fn add_loose_files(&self, table: CatalogTable) {
        self.loose_files.write().push(Arc::new(table));
    }

    fn loose_table(&self, name: &str) -> Option<Arc<CatalogTable>> {
        let number: usize = name.parse().ok()?;
        self.loose_files.read().get(number).cloned()
    }
}

/// The tables of files that a statement names.
#[derive(Debug)]
struct LooseDatabase(PlannedViews);

#[async_trait]
impl SchemaProvider for LooseDatabase {
    fn table_names(&self) -> Vec<String> {
        (0..self.0.loose_files())
            .map(|number| number.to_string())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let table = self.0.loose_table(name);
        Ok(table.map(|table| table as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.loose_table(name).is_some()
    }
}

impl SnapshotCatalog {
    /// The catalog of `snapshot`. Text and bytes are read as views, as DataFusion does by default.
    pub fn new(snapshot: SessionCatalog) -> Self {
        Self {
            snapshot,
            uses_views: true,
            views: PlannedViews::default(),
        }
    }

    /// With these views of SQL's.
    pub fn with_planned_views(mut self, views: PlannedViews) -> Self {
        self.views = views;
        self
    }

    /// Whether text and bytes are read as views: `datafusion.execution.parquet.schema_force_view_types`.
    pub fn with_views(mut self, uses_views: bool) -> Self {
        self.uses_views = uses_views;
        self
    }
}

impl CatalogProvider for SnapshotCatalog {
    fn schema_names(&self) -> Vec<String> {
        let databases = self.snapshot.databases();
        let names = databases.map(|database| database.name.clone());
        names.chain([INFORMATION_SCHEMA.to_owned()]).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == INFORMATION_SCHEMA {
            return Some(Arc::new(InformationSchema::new(
                CATALOG_NAME,
                self.snapshot.clone(),
                self.views.clone(),
            )));
        }
        if name == LOOSE_DATABASE {
            return Some(Arc::new(LooseDatabase(self.views.clone())));
        }
        let database = self.snapshot.database(name).ok()?;
        Some(Arc::new(SnapshotDatabase {
            catalog: self.clone(),
            name: database.name.clone(),
            owner: database.owner.clone(),
        }))
    }
}

/// One database of a snapshot.
#[derive(Debug)]
struct SnapshotDatabase {
    catalog: SnapshotCatalog,
    name: String,
    owner: String,
}

#[async_trait]
impl SchemaProvider for SnapshotDatabase {
    fn owner_name(&self) -> Option<&str> {
        Some(&self.owner)
    }

    fn table_names(&self) -> Vec<String> {
        match self.catalog.snapshot.relations(&self.name) {
            Ok(relations) => {
                let names = relations.into_iter();
                names
                    .map(|(relation, _)| name_of(relation).to_owned())
                    .collect()
            }
            Err(_) => Vec::new(),
        }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let catalog = &self.catalog.snapshot;
        let Some(relation) = catalog.find_relation(&self.name, name) else {
            return Ok(None);
        };
        check_readable(catalog, relation).map_err(to_datafusion)?;
        let provider: Arc<dyn TableProvider> = match relation {
            Relation::View(_) => {
                let key = ViewKey::new(catalog, &self.name, name);
                match self.catalog.views.get(&key) {
                    Some(view) => view,
                    None => return Ok(None),
                }
            }
            Relation::Table(table) => {
                let snapshot = Arc::clone(catalog.owner(&self.name, name));
                let uses_views = self.catalog.uses_views;
                Arc::new(CatalogTable::new(snapshot, Arc::clone(table), uses_views))
            }
        };
        with_readable_columns(provider, relation, catalog.readable(relation)).map(Some)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        let found = self.catalog.snapshot.find_relation(&self.name, name);
        Ok(found.map(|relation| match relation {
            Relation::Table(_) => TableType::Base,
            Relation::View(_) => TableType::View,
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        match self.catalog.snapshot.find_relation(&self.name, name) {
            Some(Relation::Table(_)) => true,
            Some(Relation::View(_)) => {
                let key = ViewKey::new(&self.catalog.snapshot, &self.name, name);
                self.catalog.views.has(&key)
            }
            None => false,
        }
    }
}
