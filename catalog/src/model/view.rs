//! Queries that have a name.

use super::{CatalogVersion, TableId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A column of a view. Its type is that of the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewColumn {
    /// In lower case.
    pub name: String,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What a view is, but for its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewDefinition {
    /// Its database, in lower case.
    pub database: String,
    /// Its name, in lower case.
    pub name: String,
    /// The columns that its creator listed, one per column of the query; empty where there was no list
    /// and the columns are called as in the query.
    pub columns: Vec<ViewColumn>,
    /// The query, as given.
    pub sql: String,
    /// The database in which the query's unqualified names are looked up.
    pub resolve_in: String,
    /// Properties, as given.
    pub properties: BTreeMap<String, String>,
    /// What its creator said of it.
    pub comment: Option<String>,
    /// Who created it.
    pub owner: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A view. It shares names and ids with tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Which one.
    pub id: TableId,
    /// The version of the catalog that changed it last.
    pub version: CatalogVersion,
    /// What it is.
    pub definition: ViewDefinition,
}
