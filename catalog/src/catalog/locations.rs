//! Where managed tables lie: nobody else's files are there, and nobody else's tables.

use super::{Catalog, DEFAULT_DATABASE};
use crate::error::CatalogError;
use crate::model::{Database, TableId, TableKind};
use crate::snapshot::CatalogSnapshot;
use skep_protocol::storage_url::{StorageUrl, StorageUrlError};

/// How many names for a table's directory are tried. All but one are needed only where tables of the
/// same name have been renamed or dropped.
const CANDIDATES_MAX: usize = 10_000;

impl Catalog {
    /// The directory below which the managed tables of a database go.
    pub fn database_location(&self, database: &Database) -> Result<StorageUrl, StorageUrlError> {
        if let Some(location) = &database.location {
            return Ok(location.clone());
        }
        match database.name == DEFAULT_DATABASE {
            true => Ok(self.warehouse.clone()),
            false => below(&self.warehouse, &format!("{}.db", database.name)),
        }
    }

    /// A directory for a new managed table that is no other table's.
    pub(super) fn free_location(
        &self,
        snapshot: &CatalogSnapshot,
        database: &Database,
        table: &str,
    ) -> Result<StorageUrl, CatalogError> {
        let base = self.database_location(database)?;
        let mut numbered = (2..).map(|number| format!("{table}-{number}"));
        let mut candidate = below(&base, table)?;
        for _ in 0..CANDIDATES_MAX {
            let is_abandoned = snapshot
                .abandoned_locations()
                .iter()
                .any(|abandoned| abandoned.contains(&candidate) || candidate.contains(abandoned));
            match check_free(snapshot, &candidate, TableKind::Managed, None) {
                Ok(()) if !is_abandoned => return Ok(candidate),
                // No number helps against a table around all of them.
                Err(error) if owner_above(snapshot, &base) => return Err(error),
                _ => {}
            }
            if let Some(next) = numbered.next() {
                candidate = below(&base, &next)?;
            }
        }
        Err(CatalogError::LocationTaken {
            location: candidate.to_string(),
            table: table.to_owned(),
        })
    }
}

fn owner_above(snapshot: &CatalogSnapshot, location: &StorageUrl) -> bool {
    let mut tables = snapshot.all_tables();
    tables.any(|table| table.definition.location.contains(location))
}

/// The directory of that name in another one.
pub(super) fn below(base: &StorageUrl, name: &str) -> Result<StorageUrl, StorageUrlError> {
    let key = match base.key().is_empty() {
        true => name.to_owned(),
        false => format!("{}/{name}", base.key()),
    };
    Ok(base.with_key(&key)?.as_directory())
}

/// Checks that a table of `kind`, which is not `except`, may lie at `location`: a managed table shares
/// no directory with any other one.
pub(super) fn check_free(
    snapshot: &CatalogSnapshot,
    location: &StorageUrl,
    kind: TableKind,
    except: Option<TableId>,
) -> Result<(), CatalogError> {
    let mut others = snapshot.all_tables().filter(|table| {
        let is_owned = kind == TableKind::Managed || table.definition.kind == TableKind::Managed;
        is_owned && Some(table.id) != except
    });
    let overlapping = others.find(|table| {
        let other = &table.definition.location;
        other.contains(location) || location.contains(other)
    });
    match overlapping {
        None => Ok(()),
        Some(table) => Err(CatalogError::LocationTaken {
            location: location.to_string(),
            table: format!("{}.{}", table.definition.database, table.definition.name),
        }),
    }
}
