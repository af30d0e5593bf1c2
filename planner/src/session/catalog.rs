//! The catalog as a session sees it: what its user may know of what is there, and in front of it what is
//! temporary.
//!
//! A lookup here finds what the user may see; what they may not see is as if it were not there.

use skep_catalog::model::{CatalogVersion, Database, Table, View};
use skep_catalog::model::{Privilege, name};
use skep_catalog::rights::Readable;
use skep_catalog::{CatalogError, CatalogSnapshot, Relation, Rights};
use skep_sql::statement::{SECURITY_INVOKER, SECURITY_PROPERTY};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One state of the catalog and one of a session's temporary tables and views, which hide what has
/// their names.
#[derive(Clone, Debug)]
pub struct SessionCatalog {
    permanent: Arc<CatalogSnapshot>,
    temporary: Option<Arc<CatalogSnapshot>>,
    rights: Arc<Rights>,
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
    /// What somebody with `rights` sees, and what is temporary.
    pub fn new(
        permanent: Arc<CatalogSnapshot>,
        temporary: Option<Arc<CatalogSnapshot>>,
        rights: Arc<Rights>,
    ) -> Self {
        Self {
            permanent,
            temporary,
            rights,
        }
    }

    /// What somebody sees who may do everything, in `permanent` alone.
    pub fn unchecked(permanent: Arc<CatalogSnapshot>) -> Self {
        Self::new(permanent, None, Arc::new(Rights::unchecked("")))
    }

    /// What the user may do.
    pub fn rights(&self) -> &Arc<Rights> {
        &self.rights
    }

    /// The catalog as the query of a view sees it, which is not temporary: with its owner's rights, or with those
    /// of the caller where it says so.
    pub fn of_view(&self, view: &View) -> Self {
        let rights = match is_invokers(view) {
            true => Arc::clone(&self.rights),
            false => {
                let owner = &view.definition.owner;
                Arc::new(self.rights.of_owner(&self.permanent, owner))
            }
        };
        Self::new(Arc::clone(&self.permanent), None, rights)
    }

    /// Whose rights the query of that view has where these are not always the same: the caller's.
    pub fn invoker_of(&self, database: &str, name: &str) -> Option<String> {
        match self.find_relation(database, name) {
            Some(Relation::View(view)) if is_invokers(view) => {
                let roles: Vec<&str> = self.rights.roles().collect();
                Some(format!("{}\n{}", self.rights.user(), roles.join("\n")))
            }
            _ => None,
        }
    }

    /// What the user sees, but for what is temporary.
    pub fn without_temporary(&self) -> Self {
        let (permanent, rights) = (Arc::clone(&self.permanent), Arc::clone(&self.rights));
        Self::new(permanent, None, rights)
    }

    /// All that is not temporary, whether or not the user may see it.
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

    /// The snapshot in which that name is to be looked up, if it may be.
    pub fn owner(&self, database: &str, name: &str) -> &Arc<CatalogSnapshot> {
        match &self.temporary {
            Some(temporary) if temporary.find_relation(database, name).is_some() => temporary,
            _ => &self.permanent,
        }
    }

    /// Every database, by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        let all = self.permanent.databases();
        all.filter(|database| self.rights.see_database(&self.permanent, database))
    }

    /// The database of that name; the error offers the nearest name.
    ///
    /// # Errors
    /// `DatabaseNotFound`.
    pub fn database(&self, name: &str) -> Result<&Arc<Database>, CatalogError> {
        let found = self.permanent.database(name);
        if self.rights.are_everything() {
            return found;
        }
        match found {
            Ok(database) if self.rights.see_database(&self.permanent, database) => Ok(database),
            _ => {
                let name = name::normalise(name);
                let known = self.databases().map(|database| database.name.as_str());
                let suggestion = name::nearest(&name, known);
                Err(CatalogError::DatabaseNotFound { name, suggestion })
            }
        }
    }

    /// What that name stands for; the error offers the nearest name.
    ///
    /// # Errors
    /// `DatabaseNotFound` and `TableNotFound`.
    pub fn relation(&self, database: &str, name: &str) -> Result<&Relation, CatalogError> {
        if self.rights.are_everything() || self.is_temporary(database, name) {
            return self.owner(database, name).relation(database, name);
        }
        if let Some(found) = self.find_relation(database, name) {
            return Ok(found);
        }
        let database = self.database(database)?.name.clone();
        let known = self.relations(&database)?;
        let known = known.into_iter().map(|(relation, _)| name_of(relation));
        let name = name::normalise(name);
        Err(CatalogError::TableNotFound {
            suggestion: name::nearest(&name, known),
            database,
            name,
        })
    }

    /// What that name stands for, if it stands for something.
    pub fn find_relation(&self, database: &str, name: &str) -> Option<&Relation> {
        let found = self.owner(database, name).find_relation(database, name)?;
        let is_seen = self.is_temporary(database, name) || self.sees(found);
        is_seen.then_some(found)
    }

    /// Whether the user may know of what is not temporary.
    fn sees(&self, relation: &Relation) -> bool {
        self.rights.see(&self.permanent, relation)
    }

    /// Whether the user may do one of `privileges` with what that name stands for, which is something that they
    /// see. They may do everything with what is temporary.
    pub fn may(&self, relation: &Relation, privileges: &[Privilege]) -> bool {
        let (database, name) = relation.names();
        let rights = &self.rights;
        rights.are_everything()
            || self.is_temporary(database, name)
            || rights.may(&self.permanent, relation, privileges)
    }

    /// The columns that the user may read.
    pub fn readable(&self, relation: &Relation) -> Readable<'_> {
        let (database, name) = relation.names();
        match self.rights.are_everything() || self.is_temporary(database, name) {
            true => Readable::All,
            false => self.rights.readable(&self.permanent, relation),
        }
    }

    /// The columns of which the user may know.
    pub fn shown(&self, relation: &Relation) -> Readable<'_> {
        let (database, name) = relation.names();
        match self.rights.are_everything() || self.is_temporary(database, name) {
            true => Readable::All,
            false => self.rights.shown(&self.permanent, relation),
        }
    }

    /// The table of that name; the error offers the nearest name.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `TableNotFound` and `IsView`.
    pub fn table(&self, database: &str, name: &str) -> Result<&Arc<Table>, CatalogError> {
        match self.relation(database, name)? {
            Relation::Table(table) => Ok(table),
            Relation::View(view) => Err(CatalogError::IsView {
                database: view.definition.database.clone(),
                name: view.definition.name.clone(),
            }),
        }
    }

    /// The view of that name; the error offers the nearest name.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `ViewNotFound` and `IsTable`.
    pub fn view(&self, database: &str, name: &str) -> Result<&Arc<View>, CatalogError> {
        match self.relation(database, name) {
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

    /// The tables and views of a database, by name, each with whether it is temporary.
    ///
    /// # Errors
    /// `DatabaseNotFound`.
    pub fn relations(&self, database: &str) -> Result<Vec<(&Relation, bool)>, CatalogError> {
        let database = &self.database(database)?.name;
        let permanent = self.permanent.relations(database)?;
        let permanent = permanent.filter(|relation| self.sees(relation));
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

/// Whether a view's query runs with the rights of the calling user.
fn is_invokers(view: &View) -> bool {
    let security = view.definition.properties.get(SECURITY_PROPERTY);
    security.is_some_and(|security| security.eq_ignore_ascii_case(SECURITY_INVOKER))
}

/// The name of a table or a view.
pub fn name_of(relation: &Relation) -> &str {
    match relation {
        Relation::Table(table) => &table.definition.name,
        Relation::View(view) => &view.definition.name,
    }
}
