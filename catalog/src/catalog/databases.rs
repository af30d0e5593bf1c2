//! CREATE, ALTER and DROP DATABASE.

use super::{Catalog, DEFAULT_DATABASE};
use crate::discovery::check_roots;
use crate::error::CatalogError;
use crate::model::{Database, name};
use crate::snapshot::{CatalogSnapshot, Relation};
use crate::store::Change;
use chrono::{DateTime, Utc};
use skep_protocol::storage_url::StorageUrl;
use std::collections::BTreeMap;

/// CREATE DATABASE.
#[derive(Clone, Debug, Default)]
pub struct NewDatabase {
    /// In any case.
    pub name: String,
    /// Whether it may be there already.
    pub if_not_exists: bool,
    /// COMMENT.
    pub comment: Option<String>,
    /// LOCATION: where its managed tables go.
    pub location: Option<StorageUrl>,
    /// WITH DBPROPERTIES.
    pub properties: BTreeMap<String, String>,
    /// Who creates it.
    pub owner: String,
}

/// ALTER DATABASE.
#[derive(Clone, Debug)]
pub enum DatabaseChange {
    /// SET DBPROPERTIES: others stay as they are.
    SetProperties(BTreeMap<String, String>),
    /// SET OWNER.
    SetOwner(String),
    /// SET LOCATION: where managed tables go that are yet to be created.
    SetLocation(StorageUrl),
}

impl Catalog {
    /// Creates a database; false where it was there already and that is no error.
    pub async fn create_database(&self, new: NewDatabase) -> Result<bool, CatalogError> {
        check_roots(&self.allowed_roots, new.location.iter().cloned().collect()).await?;
        let now = Utc::now();
        self.change(|snapshot| create(snapshot, &new, now)).await
    }

    /// Changes a database.
    pub async fn alter_database(
        &self,
        name: &str,
        change: DatabaseChange,
    ) -> Result<(), CatalogError> {
        if let DatabaseChange::SetLocation(location) = &change {
            check_roots(&self.allowed_roots, vec![location.clone()]).await?;
        }
        self.change(|snapshot| {
            let mut database = (**snapshot.database(name)?).clone();
            match change.clone() {
                DatabaseChange::SetProperties(properties) => database.properties.extend(properties),
                DatabaseChange::SetOwner(owner) => database.owner = owner,
                DatabaseChange::SetLocation(location) => {
                    database.location = Some(location.as_directory());
                }
            }
            Ok(vec![Change::AlterDatabase(database)])
        })
        .await
        .map(|_| ())
    }

    /// Drops a database, with its tables and views if `cascade` is set; false where there was none and
    /// that is no error. The files of external tables stay.
    pub async fn drop_database(
        &self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<bool, CatalogError> {
        self.change(|snapshot| drop(snapshot, name, if_exists, cascade))
            .await
    }
}

fn create(
    snapshot: &CatalogSnapshot,
    new: &NewDatabase,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, CatalogError> {
    let name = name::validate("database", &new.name)?;
    match (snapshot.database(&name).is_ok(), new.if_not_exists) {
        (true, true) => Ok(Vec::new()),
        (true, false) => Err(CatalogError::DatabaseExists(name)),
        (false, _) => Ok(vec![Change::CreateDatabase(Database {
            name,
            comment: new.comment.clone(),
            location: new.location.as_ref().map(StorageUrl::as_directory),
            properties: new.properties.clone(),
            owner: new.owner.clone(),
            created_at: now,
        })]),
    }
}

fn drop(
    snapshot: &CatalogSnapshot,
    name: &str,
    if_exists: bool,
    cascade: bool,
) -> Result<Vec<Change>, CatalogError> {
    let database = match snapshot.database(name) {
        Err(CatalogError::DatabaseNotFound { .. }) if if_exists => return Ok(Vec::new()),
        found => found?,
    };
    if database.name == DEFAULT_DATABASE {
        return Err(CatalogError::DatabaseProtected(database.name.clone()));
    }
    let relations = snapshot.relations(name)?;
    let mut changes: Vec<Change> = relations
        .map(|relation| match relation {
            Relation::Table(table) => Change::DropTable { id: table.id },
            Relation::View(view) => Change::DropView { id: view.id },
        })
        .collect();
    if !changes.is_empty() && !cascade {
        return Err(CatalogError::DatabaseNotEmpty {
            name: database.name.clone(),
            tables: changes.len(),
        });
    }
    changes.push(Change::DropDatabase {
        name: database.name.clone(),
    });
    Ok(changes)
}
