//! One state of the catalog, for as long as a query needs it.

mod file_cache;

pub(crate) use file_cache::FileCache;

use crate::error::CatalogError;
use crate::model::{CatalogVersion, Database, Table, TableFiles, User, name};
use crate::store::{CatalogState, CatalogStore};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// An immutable state of the catalog. Names are resolved in it without any wait; a table's partitions
/// and files are read from the store when somebody first asks for them, and are those of this state
/// even if the catalog has moved on since.
pub struct CatalogSnapshot {
    version: CatalogVersion,
    databases: BTreeMap<String, DatabaseEntry>,
    users: BTreeMap<String, Arc<User>>,
    store: Arc<dyn CatalogStore>,
    file_cache: Arc<FileCache>,
}

struct DatabaseEntry {
    database: Arc<Database>,
    tables: BTreeMap<String, Arc<Table>>,
}

impl CatalogSnapshot {
    pub(crate) fn new(
        state: CatalogState,
        store: Arc<dyn CatalogStore>,
        file_cache: Arc<FileCache>,
    ) -> Result<Self, CatalogError> {
        let mut databases: BTreeMap<String, DatabaseEntry> = state
            .databases
            .into_iter()
            .map(|database| {
                let entry = DatabaseEntry {
                    database: Arc::new(database),
                    tables: BTreeMap::new(),
                };
                (entry.database.name.clone(), entry)
            })
            .collect();
        for table in state.tables {
            let name = table.definition.name.clone();
            let entry = databases
                .get_mut(&table.definition.database)
                .ok_or_else(|| CatalogError::Damaged(format!("table '{name}' has no database")))?;
            entry.tables.insert(name, Arc::new(table));
        }
        let users = state.users.into_iter();
        Ok(Self {
            version: state.version,
            databases,
            users: users
                .map(|user| (user.name.clone(), Arc::new(user)))
                .collect(),
            store,
            file_cache,
        })
    }

    /// Which state it is.
    pub fn version(&self) -> CatalogVersion {
        self.version
    }

    /// Every database, by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.databases.values().map(|entry| &entry.database)
    }

    /// The database of that name, in any case; the error offers the nearest name.
    pub fn database(&self, name: &str) -> Result<&Arc<Database>, CatalogError> {
        self.entry(name).map(|entry| &entry.database)
    }

    /// The tables of a database, by name.
    pub fn tables(
        &self,
        database: &str,
    ) -> Result<impl Iterator<Item = &Arc<Table>>, CatalogError> {
        self.entry(database).map(|entry| entry.tables.values())
    }

    /// The table of that name, in any case; the error offers the nearest name.
    pub fn table(&self, database: &str, table: &str) -> Result<&Arc<Table>, CatalogError> {
        let entry = self.entry(database)?;
        let table = name::normalise(table);
        entry
            .tables
            .get(&table)
            .ok_or_else(|| CatalogError::TableNotFound {
                database: entry.database.name.clone(),
                suggestion: name::nearest(&table, entry.tables.keys().map(String::as_str)),
                name: table,
            })
    }

    /// Every user, by name.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// The user of that name, in any case. The error offers no other name: whoever guesses should not
    /// be helped.
    pub fn user(&self, name: &str) -> Result<&Arc<User>, CatalogError> {
        let name = name::normalise(name);
        self.users
            .get(&name)
            .ok_or(CatalogError::UserNotFound(name))
    }

    /// What the table consists of in this state. Read from the store once, then from memory, by
    /// however many snapshots share the table's version.
    pub async fn table_files(&self, table: &Table) -> Result<Arc<TableFiles>, CatalogError> {
        self.file_cache.get(&*self.store, table).await
    }

    fn entry(&self, database: &str) -> Result<&DatabaseEntry, CatalogError> {
        let database = name::normalise(database);
        self.databases
            .get(&database)
            .ok_or_else(|| CatalogError::DatabaseNotFound {
                suggestion: name::nearest(&database, self.databases.keys().map(String::as_str)),
                name: database,
            })
    }
}

impl fmt::Debug for CatalogSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogSnapshot")
            .field("version", &self.version)
            .field("databases", &self.databases.len())
            .finish_non_exhaustive()
    }
}
