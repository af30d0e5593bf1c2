//! ALTER TABLE, but for what it does to partitions.

use super::columns::{ColumnEditor, ColumnPosition, ColumnSpec};
use super::{Catalog, free_name, unset_properties};
use crate::error::CatalogError;
use crate::model::{StorageOptions, TableDefinition};
use crate::snapshot::CatalogSnapshot;
use crate::store::{Change, FileChanges};
use std::collections::BTreeMap;

/// ALTER TABLE.
#[derive(Clone, Debug)]
pub enum TableChange {
    /// RENAME TO, perhaps into another database. The files stay where they are.
    Rename {
        /// Where to; `None` for where it is.
        database: Option<String>,
        /// What it is to be called.
        name: String,
    },
    /// SET TBLPROPERTIES: others stay as they are.
    SetProperties(BTreeMap<String, String>),
    /// UNSET TBLPROPERTIES.
    UnsetProperties {
        /// Which.
        keys: Vec<String>,
        /// Whether they may be missing.
        if_exists: bool,
    },
    /// What is said of the table.
    SetComment(Option<String>),
    /// SET OWNER.
    SetOwner(String),
    /// SET SERDE and SET SERDEPROPERTIES, as the statement leaves them.
    SetStorage(StorageOptions),
    /// ADD COLUMNS, behind the others.
    AddColumns(Vec<ColumnSpec>),
    /// REPLACE COLUMNS. Columns of the same name stay what they are; others go.
    ReplaceColumns(Vec<ColumnSpec>),
    /// CHANGE COLUMN.
    ChangeColumn {
        /// Which.
        name: String,
        /// What it is now. A comment that is missing stays as it was.
        column: ColumnSpec,
        /// Where it goes, if not where it is.
        position: Option<ColumnPosition>,
    },
    /// RENAME COLUMN.
    RenameColumn {
        /// Which.
        name: String,
        /// What it is to be called.
        to: String,
    },
    /// DROP COLUMN.
    DropColumns {
        /// Which.
        names: Vec<String>,
        /// Whether they may be missing.
        if_exists: bool,
    },
}

impl Catalog {
    /// Changes a table. Its files stay as they are: columns are found in them by what they were called
    /// when they were written, and columns that files do not have are NULL.
    pub async fn alter_table(
        &self,
        database: &str,
        name: &str,
        change: TableChange,
    ) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            let table = snapshot.table(database, name)?;
            Ok(vec![Change::UpdateTable {
                id: table.id,
                definition: altered(snapshot, &table.definition, &change)?,
                files: FileChanges::default(),
            }])
        })
        .await
        .map(|_| ())
    }
}

fn altered(
    snapshot: &CatalogSnapshot,
    definition: &TableDefinition,
    change: &TableChange,
) -> Result<TableDefinition, CatalogError> {
    let mut new = definition.clone();
    match change {
        TableChange::Rename { database, name } => {
            let database = database.as_deref().unwrap_or(&definition.database);
            (new.database, new.name) = free_name(snapshot, "table", database, name)?;
        }
        TableChange::SetProperties(properties) => new.properties.extend(properties.clone()),
        TableChange::UnsetProperties { keys, if_exists } => {
            unset_properties(&definition.name, &mut new.properties, keys, *if_exists)?;
        }
        TableChange::SetComment(comment) => new.comment.clone_from(comment),
        TableChange::SetOwner(owner) => new.owner.clone_from(owner),
        TableChange::SetStorage(storage) => new.storage.clone_from(storage),
        TableChange::AddColumns(columns) => ColumnEditor::new(&mut new).add(columns)?,
        TableChange::ReplaceColumns(columns) => ColumnEditor::new(&mut new).replace(columns)?,
        TableChange::ChangeColumn {
            name,
            column,
            position,
        } => ColumnEditor::new(&mut new).change(name, column, position.as_ref())?,
        TableChange::RenameColumn { name, to } => ColumnEditor::new(&mut new).rename(name, to)?,
        TableChange::DropColumns { names, if_exists } => {
            ColumnEditor::new(&mut new).drop(names, *if_exists)?;
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests;
