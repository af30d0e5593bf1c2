//! One state of the catalog, for as long as a query needs it.

mod file_cache;

pub(crate) use file_cache::FileCache;

use crate::error::CatalogError;
use crate::model::{
    AccessRules, CatalogVersion, Database, Partition, Table, TableFiles, TableId, User, View, name,
};
use crate::store::{CatalogState, CatalogStore, StateChanges};
use skep_protocol::storage_url::StorageUrl;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// An immutable state of the catalog. Names are resolved in it without any wait; a table's partitions
/// and files are read from the store when somebody first asks for them, and are those of this state
/// even if the catalog has moved on since.
pub struct CatalogSnapshot {
    version: CatalogVersion,
    databases: BTreeMap<String, DatabaseEntry>,
    users: BTreeMap<String, Arc<User>>,
    access: Arc<AccessRules>,
    abandoned_locations: Vec<StorageUrl>,
    store: Arc<dyn CatalogStore>,
    file_cache: Arc<FileCache>,
}

/// A database and what is in it, which snapshots share for as long as it stays the same.
struct DatabaseEntry {
    database: Arc<Database>,
    relations: Arc<BTreeMap<String, Relation>>,
}

/// What a name in a database stands for.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A table.
    Table(Arc<Table>),
    /// A view.
    View(Arc<View>),
}

impl Relation {
    /// Its id, whatever it is called.
    pub fn id(&self) -> TableId {
        match self {
            Self::Table(table) => table.id,
            Self::View(view) => view.id,
        }
    }

    /// Whose it is.
    pub fn owner(&self) -> &str {
        match self {
            Self::Table(table) => &table.definition.owner,
            Self::View(view) => &view.definition.owner,
        }
    }

    /// The names of its database and of itself.
    pub fn names(&self) -> (&str, &str) {
        let (database, name) = match self {
            Self::Table(table) => (&table.definition.database, &table.definition.name),
            Self::View(view) => (&view.definition.database, &view.definition.name),
        };
        (database, name)
    }
}

impl CatalogSnapshot {
    pub(crate) fn new(
        state: CatalogState,
        store: Arc<dyn CatalogStore>,
        file_cache: Arc<FileCache>,
    ) -> Result<Self, CatalogError> {
        let nothing = Self {
            version: state.version,
            databases: BTreeMap::new(),
            users: BTreeMap::new(),
            access: Arc::default(),
            abandoned_locations: Vec::new(),
            store,
            file_cache,
        };
        nothing.after(StateChanges {
            state,
            dropped: Vec::new(),
        })
    }

    /// This state of the same catalog, whatever has changed.
    pub(crate) fn replaced_by(&self, state: CatalogState) -> Result<Self, CatalogError> {
        Self::new(state, Arc::clone(&self.store), Arc::clone(&self.file_cache))
    }

    /// The state of the same catalog after these changes to this one.
    pub(crate) fn after(&self, changes: StateChanges) -> Result<Self, CatalogError> {
        let StateChanges { state, dropped } = changes;
        let tables = state.tables.into_iter().map(Arc::new).map(Relation::Table);
        let views = state.views.into_iter().map(Arc::new).map(Relation::View);
        let changed: Vec<Relation> = tables.chain(views).collect();
        let mut outdated: HashSet<TableId> = dropped.into_iter().collect();
        outdated.extend(changed.iter().map(Relation::id));
        let mut databases = BTreeMap::new();
        for database in state.databases {
            let known = self.databases.get(&database.name);
            let mut relations =
                known.map_or_else(Arc::default, |known| Arc::clone(&known.relations));
            if relations.values().any(|old| outdated.contains(&old.id())) {
                Arc::make_mut(&mut relations).retain(|_, old| !outdated.contains(&old.id()));
            }
            let name = database.name.clone();
            let database = Arc::new(database);
            databases.insert(
                name,
                DatabaseEntry {
                    database,
                    relations,
                },
            );
        }
        for relation in changed {
            let (database, name) = relation.names();
            let entry = databases
                .get_mut(database)
                .ok_or_else(|| CatalogError::Damaged(format!("'{name}' has no database")))?;
            let name = name.to_owned();
            Arc::make_mut(&mut entry.relations).insert(name, relation);
        }
        let users = state.users.into_iter();
        // Caches of what follows from the rules compare the address of the rules.
        let access = match *self.access == state.access {
            true => Arc::clone(&self.access),
            false => Arc::new(state.access),
        };
        Ok(Self {
            version: state.version,
            databases,
            users: users
                .map(|user| (user.name.clone(), Arc::new(user)))
                .collect(),
            access,
            abandoned_locations: state.abandoned_locations,
            store: Arc::clone(&self.store),
            file_cache: Arc::clone(&self.file_cache),
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
        let relations = self.entry(database)?.relations.values();
        Ok(relations.filter_map(|relation| match relation {
            Relation::Table(table) => Some(table),
            Relation::View(_) => None,
        }))
    }

    /// The views of a database, by name.
    pub fn views(&self, database: &str) -> Result<impl Iterator<Item = &Arc<View>>, CatalogError> {
        let relations = self.entry(database)?.relations.values();
        Ok(relations.filter_map(|relation| match relation {
            Relation::View(view) => Some(view),
            Relation::Table(_) => None,
        }))
    }

    /// Every table of every database.
    pub fn all_tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        let relations = self
            .databases
            .values()
            .map(|entry| entry.relations.values());
        relations.flatten().filter_map(|relation| match relation {
            Relation::Table(table) => Some(table),
            Relation::View(_) => None,
        })
    }

    /// The table of that id.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.all_tables().find(|table| table.id == id)
    }

    /// The tables and views of a database, by name.
    pub fn relations(
        &self,
        database: &str,
    ) -> Result<impl Iterator<Item = &Relation>, CatalogError> {
        Ok(self.entry(database)?.relations.values())
    }

    /// What that name stands for, in any case, if it stands for something. Nothing is looked for in its
    /// place, which takes far longer where there are many names.
    pub fn find_relation(&self, database: &str, name: &str) -> Option<&Relation> {
        let entry = self.databases.get(&name::normalise(database))?;
        entry.relations.get(&name::normalise(name))
    }

    /// What that name stands for, in any case; the error offers the nearest name.
    pub fn relation(&self, database: &str, name: &str) -> Result<&Relation, CatalogError> {
        let entry = self.entry(database)?;
        let name = name::normalise(name);
        entry
            .relations
            .get(&name)
            .ok_or_else(|| CatalogError::TableNotFound {
                database: entry.database.name.clone(),
                suggestion: name::nearest(&name, entry.relations.keys().map(String::as_str)),
                name,
            })
    }

    /// The table of that name, in any case; the error offers the nearest name.
    pub fn table(&self, database: &str, table: &str) -> Result<&Arc<Table>, CatalogError> {
        match self.relation(database, table)? {
            Relation::Table(table) => Ok(table),
            Relation::View(view) => Err(CatalogError::IsView {
                database: view.definition.database.clone(),
                name: view.definition.name.clone(),
            }),
        }
    }

    /// The view of that name, in any case; the error offers the nearest name.
    pub fn view(&self, database: &str, view: &str) -> Result<&Arc<View>, CatalogError> {
        match self.relation(database, view) {
            Ok(Relation::View(view)) => Ok(view),
            Ok(Relation::Table(table)) => Err(CatalogError::IsTable {
                database: table.definition.database.clone(),
                name: table.definition.name.clone(),
            }),
            Err(CatalogError::TableNotFound {
                database,
                name,
                suggestion,
            }) => Err(CatalogError::ViewNotFound {
                database,
                name,
                suggestion,
            }),
            Err(error) => Err(error),
        }
    }

    /// The table or view of that id.
    pub fn relation_by_id(&self, id: TableId) -> Option<&Relation> {
        let mut relations = self
            .databases
            .values()
            .flat_map(|entry| entry.relations.values());
        relations.find(|relation| relation.id() == id)
    }

    /// Where managed tables lay that have been dropped and whose files may still be there.
    pub fn abandoned_locations(&self) -> &[StorageUrl] {
        &self.abandoned_locations
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

    /// Roles, who has them, and who may do what.
    pub fn access(&self) -> &Arc<AccessRules> {
        &self.access
    }

    /// All that the table consists of in this state. Read from the store once, then from memory, by
    /// however many snapshots share the table's version.
    pub async fn table_files(&self, table: &Table) -> Result<Arc<TableFiles>, CatalogError> {
        self.file_cache
            .files(&*self.store, table, self.version)
            .await
    }

    /// The partitions of the table, by number, without its files. Read once, like
    /// [`CatalogSnapshot::table_files`].
    pub async fn table_partitions(&self, table: &Table) -> Result<Arc<[Partition]>, CatalogError> {
        self.file_cache
            .partitions(&*self.store, table, self.version)
            .await
    }

    /// All partitions of the table with the files of at least those whose numbers are given. Where these
    /// are few, their files are read without the others.
    pub async fn partition_files(
        &self,
        table: &Table,
        numbers: &[u32],
    ) -> Result<Arc<TableFiles>, CatalogError> {
        self.file_cache
            .files_of(&*self.store, table, self.version, numbers)
            .await
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
