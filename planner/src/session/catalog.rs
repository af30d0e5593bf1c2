//! The catalog as a session sees it: what everybody sees, and in front of it what is temporary.

use skep_catalog::model::{CatalogVersion, Database, Table, View};
use skep_catalog::{CatalogError, CatalogSnapshot, Relation};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One state of the catalog and one of a session's temporary tables and views, which hide what has
/// their names.
#[derive(Clone, Debug)]
pub struct SessionCatalog {
    permanent: Arc<CatalogSnapshot>,
    temporary: Option<Arc<CatalogSnapshot>>,
}

/// Which state it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionCatalogVersion {
    /// Of what everybody sees.
    pub permanent: CatalogVersion,
    /// Of what is temporary, where there is any.
    pub temporary: Option<CatalogVersion>,
}

impl SessionCatalog {
    /// What everybody sees, and what is temporary.
    pub fn new(permanent: Arc<CatalogSnapshot>, temporary: Option<Arc<CatalogSnapshot>>) -> Self {
        Self {
            permanent,
            temporary,
        }
    }

    /// What everybody sees, alone.
    pub fn without_temporary(&self) -> Self {
        Self::new(Arc::clone(&self.permanent), None)
    }

    /// What everybody sees.
    pub fn permanent(&self) -> &Arc<CatalogSnapshot> {
        &self.permanent
    }

    /// Which state it is.
    pub fn version(&self) -> SessionCatalogVersion {
        SessionCatalogVersion {
            permanent: self.permanent.version(),
            temporary: self.temporary.as_ref().map(|found| found.version()),
        }
    }

    /// Whether that name stands for something temporary.
    pub fn is_temporary(&self, database: &str, name: &str) -> bool {
        let temporary = self.temporary.as_ref();
        temporary.is_some_and(|temporary| temporary.find_relation(database, name).is_some())
    }

    /// The snapshot in which that name is to be looked up.
    pub fn owner(&self, database: &str, name: &str) -> &Arc<CatalogSnapshot> {
        match &self.temporary {
            Some(temporary) if temporary.find_relation(database, name).is_some() => temporary,
            _ => &self.permanent,
        }
    }

    /// Every database, by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.permanent.databases()
    }

    /// The database of that name; the error offers the nearest name.
    ///
    /// # Errors
    /// `DatabaseNotFound`.
    pub fn database(&self, name: &str) -> Result<&Arc<Database>, CatalogError> {
        self.permanent.database(name)
    }

    /// What that name stands for; the error offers the nearest name.
    ///
    /// # Errors
    /// `DatabaseNotFound` and `TableNotFound`.
    pub fn relation(&self, database: &str, name: &str) -> Result<&Relation, CatalogError> {
        self.owner(database, name).relation(database, name)
    }

    /// What that name stands for, if it stands for something.
    pub fn find_relation(&self, database: &str, name: &str) -> Option<&Relation> {
        self.owner(database, name).find_relation(database, name)
    }

    /// The table of that name; the error offers the nearest name.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `TableNotFound` and `IsView`.
    pub fn table(&self, database: &str, name: &str) -> Result<&Arc<Table>, CatalogError> {
        self.owner(database, name).table(database, name)
    }

    /// The view of that name; the error offers the nearest name.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `ViewNotFound` and `IsTable`.
    pub fn view(&self, database: &str, name: &str) -> Result<&Arc<View>, CatalogError> {
        self.owner(database, name).view(database, name)
    }

    /// The tables and views of a database, by name, each with whether it is temporary.
    ///
    /// # Errors
    /// `DatabaseNotFound`.
    pub fn relations(&self, database: &str) -> Result<Vec<(&Relation, bool)>, CatalogError> {
        let permanent = self.permanent.relations(database)?;
        // A database has a temporary part only where something in it is temporary.
        let temporary = self.temporary.as_ref();
        let temporary = temporary.and_then(|temporary| temporary.relations(database).ok());
        let Some(temporary) = temporary else {
            return Ok(permanent.map(|relation| (relation, false)).collect());
        };
        let named = |relation, is_temporary| (name_of(relation), (relation, is_temporary));
        let mut all: BTreeMap<&str, (&Relation, bool)> =
            permanent.map(|relation| named(relation, false)).collect();
        all.extend(temporary.map(|relation| named(relation, true)));
        Ok(all.into_values().collect())
    }
}

/// The name of a table or a view.
pub fn name_of(relation: &Relation) -> &str {
    match relation {
        Relation::Table(table) => &table.definition.name,
        Relation::View(view) => &view.definition.name,
    }
}
