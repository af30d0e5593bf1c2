//! What the doors may tell clients of the catalog.

use super::Inner;
use crate::planning::CATALOG_NAME;
use crate::planning::table_schema;
use crate::service::{CatalogMetadata, DatabaseMetadata, TableMetadata};
use crate::session::Session;
use skep_protocol::QueryError;

impl Inner {
    pub(super) async fn metadata(&self, _session: &Session) -> Result<CatalogMetadata, QueryError> {
        let snapshot = self.catalog.snapshot();
        let mut databases = Vec::new();
        for database in snapshot.databases() {
            let tables = snapshot
                .tables(&database.name)?
                .map(|table| TableMetadata {
                    name: table.definition.name.clone(),
                    table_type: "TABLE".to_owned(),
                    schema: table_schema(table),
                })
                .collect();
            databases.push(DatabaseMetadata {
                name: database.name.clone(),
                tables,
            });
        }
        Ok(CatalogMetadata {
            catalog: CATALOG_NAME.to_owned(),
            databases,
        })
    }
}
