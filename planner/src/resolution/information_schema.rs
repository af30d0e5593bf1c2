//! `information_schema`: what the catalog has, as tables that BI tools know how to read.
//!
//! The columns are those of the SQL standard (ISO/IEC 9075-11), in the standard's order, and behind them
//! what Skep knows besides.

mod columns;
mod privileges;
mod rows;

use crate::PlannedViews;
use crate::session::SessionCatalog;
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProviderList, MemTable, SchemaProvider, TableProvider};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};
use rows::Rows;
use skep_catalog::Relation;
use skep_catalog::model::Privilege;
use skep_catalog::rights::Readable;
use skep_runtime::error::to_datafusion;
use std::sync::Arc;

/// The tables that are made here.
const TABLES: &[&str] = &[
    "applicable_roles",
    "column_privileges",
    "columns",
    "enabled_roles",
    "key_column_usage",
    "referential_constraints",
    "schemata",
    "table_constraints",
    "table_privileges",
    "table_statistics",
    "tables",
    "views",
];

/// Those that DataFusion makes.
const STOCK_TABLES: &[&str] = &["df_settings", "parameters", "routines"];

/// Those of them that list functions.
const TABLES_OF_FUNCTIONS: &[&str] = &["parameters", "routines"];

/// A table of functions without those that only plans use.
fn without_inner_functions(
    name: &str,
    table: Arc<dyn TableProvider>,
) -> Result<Arc<dyn TableProvider>> {
    let is_known = col("specific_name").not_like(lit("skep\\_%"));
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?;
    Ok(Arc::new(ViewTable::new(
        plan.filter(is_known)?.build()?,
        None,
    )))
}

/// The schema of that name.
#[derive(Debug)]
pub struct InformationSchema {
    catalog_name: &'static str,
    snapshot: SessionCatalog,
    views: PlannedViews,
    stock: InformationSchemaProvider,
}

impl InformationSchema {
    /// What `snapshot` has. Of views, the columns are known of those in `views`.
    pub fn new(catalog_name: &'static str, snapshot: SessionCatalog, views: PlannedViews) -> Self {
        let nothing = datafusion::catalog::MemoryCatalogProviderList::new();
        let nothing: Arc<dyn CatalogProviderList> = Arc::new(nothing);
        Self {
            catalog_name,
            snapshot,
            views,
            stock: InformationSchemaProvider::new(nothing),
        }
    }

    /// Tables and views, each with whether it is temporary.
    fn all_relations(&self) -> impl Iterator<Item = (&Relation, bool)> {
        let databases = self.snapshot.databases();
        // Every database of the snapshot has its relations.
        databases
            .filter_map(|database| self.snapshot.relations(&database.name).ok())
            .flatten()
    }

    fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.all_relations().map(|(relation, _)| relation)
    }

    async fn batch(&self, name: &str) -> Result<RecordBatch> {
        if let Some(table) = privileges::table(self, name) {
            return table;
        }
        match name {
            "columns" => columns::columns(self),
            "schemata" => self.schemata(),
            "tables" => self.tables(),
            "table_statistics" => self.table_statistics().await,
            "views" => self.view_definitions(),
            "key_column_usage" => Rows::new(&[
                "constraint_catalog",
                "constraint_schema",
                "constraint_name",
                "table_catalog",
                "table_schema",
                "table_name",
                "column_name",
                "ordinal_position",
            ])
            .finish(),
            "referential_constraints" => Rows::new(&[
                "constraint_catalog",
                "constraint_schema",
                "constraint_name",
                "unique_constraint_catalog",
                "unique_constraint_schema",
                "unique_constraint_name",
                "match_option",
                "update_rule",
                "delete_rule",
            ])
            .finish(),
            _ => Rows::new(&[
                "constraint_catalog",
                "constraint_schema",
                "constraint_name",
                "table_catalog",
                "table_schema",
                "table_name",
                "constraint_type",
            ])
            .finish(),
        }
    }

    fn schemata(&self) -> Result<RecordBatch> {
        let mut rows = Rows::new(&[
            "catalog_name",
            "schema_name",
            "schema_owner",
            "comment",
            "location",
        ]);
        for database in self.snapshot.databases() {
            let location = database.location.as_ref().map(ToString::to_string);
            rows.text(self.catalog_name)
                .text(&database.name)
                .text(&database.owner)
                .maybe(database.comment.as_deref())
                .maybe(location.as_deref());
        }
        rows.text(self.catalog_name)
            .text("information_schema")
            .maybe(None)
            .maybe(None)
            .maybe(None);
        rows.finish()
    }

    fn tables(&self) -> Result<RecordBatch> {
        let mut rows = Rows::new(&[
            "table_catalog",
            "table_schema",
            "table_name",
            "table_type",
            "comment",
            "owner",
            "format",
            "location",
            "created_at",
        ]);
        for (relation, is_temporary) in self.all_relations() {
            rows.text(self.catalog_name);
            match relation {
                Relation::Table(table) => {
                    let definition = &table.definition;
                    rows.text(&definition.database)
                        .text(&definition.name)
                        .text(match is_temporary {
                            true => "LOCAL TEMPORARY",
                            false => "BASE TABLE",
                        })
                        .maybe(definition.comment.as_deref())
                        .text(&definition.owner)
                        .text(definition.format.as_str())
                        .text(&definition.location.to_string())
                        .text(&definition.created_at.to_rfc3339());
                }
                Relation::View(view) => {
                    let definition = &view.definition;
                    rows.text(&definition.database)
                        .text(&definition.name)
                        .text("VIEW")
                        .maybe(definition.comment.as_deref())
                        .text(&definition.owner)
                        .maybe(None)
                        .maybe(None)
                        .text(&definition.created_at.to_rfc3339());
                }
            }
        }
        for name in TABLES.iter().chain(STOCK_TABLES) {
            rows.text(self.catalog_name)
                .text("information_schema")
                .text(name)
                .text("VIEW");
            (0..5).for_each(|_| {
                rows.maybe(None);
            });
        }
        rows.finish()
    }

    async fn table_statistics(&self) -> Result<RecordBatch> {
        let mut rows = Rows::new(&["table_catalog", "table_schema", "table_name"]).with_numbers(&[
            "partitions",
            "files",
            "row_count",
            "size_bytes",
            "version",
        ]);
        for relation in self.relations() {
            let Relation::Table(table) = relation else {
                continue;
            };
            // The number of rows is shown to users who may read them.
            if self.snapshot.readable(relation) != Readable::All {
                continue;
            }
            let definition = &table.definition;
            let owner = self.snapshot.owner(&definition.database, &definition.name);
            let files = owner.table_files(table).await;
            let files = files.map_err(|error| to_datafusion(error.into()))?;
            rows.text(self.catalog_name)
                .text(&table.definition.database)
                .text(&table.definition.name)
                .number(Some(files.partitions.len() as u64))
                .number(Some(files.files.len() as u64))
                .number(files.rows())
                .number(Some(files.size_bytes()))
                .number(Some(table.version.0));
        }
        rows.finish()
    }

    fn view_definitions(&self) -> Result<RecordBatch> {
        let mut rows = Rows::new(&[
            "table_catalog",
            "table_schema",
            "table_name",
            "view_definition",
            "check_option",
            "is_updatable",
            "comment",
        ]);
        for relation in self.relations() {
            if let Relation::View(view) = relation {
                let is_told = self.snapshot.may(relation, &[Privilege::Alter]);
                let definition = is_told.then_some(view.definition.sql.as_str());
                rows.text(self.catalog_name)
                    .text(&view.definition.database)
                    .text(&view.definition.name)
                    .maybe(definition)
                    .text("NONE")
                    .text("NO")
                    .maybe(view.definition.comment.as_deref());
            }
        }
        rows.finish()
    }
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        let names = TABLES.iter().chain(STOCK_TABLES);
        names.map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if STOCK_TABLES.contains(&name) {
            let table = self.stock.table(name).await?;
            return match table {
                Some(table) if TABLES_OF_FUNCTIONS.contains(&name) => {
                    without_inner_functions(name, table).map(Some)
                }
                table => Ok(table),
            };
        }
        if !TABLES.contains(&name) {
            return Ok(None);
        }
        let batch = self.batch(name).await?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        Ok(Some(Arc::new(table)))
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.contains(&name) || STOCK_TABLES.contains(&name)
    }
}
