//! CREATE, ALTER and DROP VIEW.

use super::Catalog;
use crate::error::CatalogError;
use crate::model::{ViewColumn, ViewDefinition, name};
use crate::snapshot::{CatalogSnapshot, Relation};
use crate::store::Change;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};

/// CREATE VIEW.
#[derive(Clone, Debug)]
pub struct NewView {
    /// In any case.
    pub database: String,
    /// In any case.
    pub name: String,
    /// Whether it may be there already, and then stays as it is.
    pub if_not_exists: bool,
    /// OR REPLACE: whether it may be there already, and then becomes this one.
    pub or_replace: bool,
    /// The list of columns, with names in any case; empty where there is none.
    pub columns: Vec<ViewColumn>,
    /// The query.
    pub sql: String,
    /// The database in which the query's unqualified names are looked up.
    pub resolve_in: String,
    /// TBLPROPERTIES.
    pub properties: BTreeMap<String, String>,
    /// COMMENT.
    pub comment: Option<String>,
    /// Who creates it.
    pub owner: String,
}

/// ALTER VIEW.
#[derive(Clone, Debug)]
pub enum ViewChange {
    /// AS: another query. A list of columns is given up, as in Hive.
    SetQuery {
        /// The query.
        sql: String,
        /// The database in which its unqualified names are looked up.
        resolve_in: String,
    },
    /// RENAME TO, perhaps into another database.
    Rename {
        /// Where to; `None` for where it is.
        database: Option<String>,
        /// What it is to be called.
        name: String,
    },
    /// SET OWNER.
    SetOwner(String),
    /// SET TBLPROPERTIES: others stay as they are.
    SetProperties(BTreeMap<String, String>),
    /// UNSET TBLPROPERTIES.
    UnsetProperties {
        /// Which.
        keys: Vec<String>,
        /// Whether they may be missing.
        if_exists: bool,
    },
}

impl Catalog {
    /// Creates or replaces a view; false where it was there already and that is no error.
    pub async fn create_view(&self, new: NewView) -> Result<bool, CatalogError> {
        let now = Utc::now();
        self.change(|snapshot| create(snapshot, &new, now)).await
    }

    /// Changes a view.
    pub async fn alter_view(
        &self,
        database: &str,
        name: &str,
        change: ViewChange,
    ) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            let view = snapshot.view(database, name)?;
            let definition = altered(snapshot, &view.definition, &change)?;
            Ok(vec![Change::UpdateView {
                id: view.id,
                definition,
            }])
        })
        .await
        .map(|_| ())
    }

    /// Drops a view; false where there was none and that is no error.
    pub async fn drop_view(
        &self,
        database: &str,
        name: &str,
        if_exists: bool,
    ) -> Result<bool, CatalogError> {
        self.change(|snapshot| match snapshot.view(database, name) {
            Ok(view) => Ok(vec![Change::DropView { id: view.id }]),
            Err(CatalogError::ViewNotFound { .. } | CatalogError::DatabaseNotFound { .. })
                if if_exists =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        })
        .await
    }
}

fn create(
    snapshot: &CatalogSnapshot,
    new: &NewView,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, CatalogError> {
    let name = name::validate("view", &new.name)?;
    let mut definition = ViewDefinition {
        database: snapshot.database(&new.database)?.name.clone(),
        columns: columns(&name, &new.columns)?,
        name,
        sql: new.sql.clone(),
        resolve_in: name::normalise(&new.resolve_in),
        properties: new.properties.clone(),
        comment: new.comment.clone(),
        owner: new.owner.clone(),
        created_at: now,
    };
    snapshot.database(&definition.database)?;
    match snapshot.find_relation(&definition.database, &definition.name) {
        None => Ok(vec![Change::CreateView(definition)]),
        Some(_) if new.if_not_exists => Ok(Vec::new()),
        Some(Relation::View(view)) if new.or_replace => {
            definition.created_at = view.definition.created_at;
            Ok(vec![Change::UpdateView {
                id: view.id,
                definition,
            }])
        }
        Some(relation) => Err(super::taken(relation)),
    }
}

fn columns(view: &str, columns: &[ViewColumn]) -> Result<Vec<ViewColumn>, CatalogError> {
    let mut names = HashSet::new();
    let column = |column: &ViewColumn| {
        let name = name::validate("column", &column.name)?;
        match names.insert(name.clone()) {
            true => Ok(ViewColumn {
                name,
                comment: column.comment.clone(),
            }),
            false => Err(super::columns::invalid(
                view,
                format!("column '{name}' is listed twice"),
            )),
        }
    };
    columns.iter().map(column).collect()
}

fn altered(
    snapshot: &CatalogSnapshot,
    definition: &ViewDefinition,
    change: &ViewChange,
) -> Result<ViewDefinition, CatalogError> {
    let mut definition = definition.clone();
    match change {
        ViewChange::SetQuery { sql, resolve_in } => {
            definition.sql.clone_from(sql);
            definition.resolve_in = name::normalise(resolve_in);
            definition.columns.clear();
        }
        ViewChange::Rename { database, name } => {
            let database = database.as_deref().unwrap_or(&definition.database);
            (definition.database, definition.name) =
                super::free_name(snapshot, "view", database, name)?;
        }
        ViewChange::SetOwner(owner) => definition.owner.clone_from(owner),
        ViewChange::SetProperties(properties) => definition.properties.extend(properties.clone()),
        ViewChange::UnsetProperties { keys, if_exists } => super::unset_properties(
            &definition.name,
            &mut definition.properties,
            keys,
            *if_exists,
        )?,
    }
    Ok(definition)
}
