//! What is known of the tables that a plan reads.

use super::files::{TableProfile, table_profile};
use crate::table_scan::CatalogTable;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, TableSource};
use std::sync::Arc;

/// What is known of the scans of one plan.
#[derive(Default)]
pub struct ScanProfiles(Vec<(Arc<dyn TableSource>, Vec<Expr>, TableProfile)>);

impl ScanProfiles {
    /// What is known of the table of a scan, of the files that its filters leave.
    pub fn of(&self, scan: &TableScan) -> Option<&TableProfile> {
        let known = self.0.iter();
        let mut known = known.filter(|(source, filters, _)| {
            Arc::ptr_eq(source, &scan.source) && *filters == scan.filters
        });
        known.next().map(|(_, _, profile)| profile)
    }

    /// Says it of one scan.
    pub fn insert(&mut self, scan: &TableScan, profile: TableProfile) {
        let source = Arc::clone(&scan.source);
        self.0.push((source, scan.filters.clone(), profile));
    }
}

/// What the catalog knows of the tables that `plan` reads.
///
/// # Errors
/// Those of reading the catalog.
pub async fn profile_scans(plan: &LogicalPlan, session: &dyn Session) -> Result<ScanProfiles> {
    let mut scans = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            scans.push(scan.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut profiles = ScanProfiles::default();
    for scan in scans {
        if profiles.of(&scan).is_some() {
            continue;
        }
        let Ok(provider) = source_as_provider(&scan.source) else {
            continue;
        };
        let Some(table) = provider.downcast_ref::<CatalogTable>() else {
            continue;
        };
        let profile = table_profile(table, &scan, session).await?;
        profiles.insert(&scan, profile);
    }
    Ok(profiles)
}
