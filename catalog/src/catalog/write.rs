//! Makes what INSERT and CREATE TABLE AS SELECT have written visible, all at once.

use super::partition_specs::{by_values, canonical_values};
use super::partitions::{default_location, next_number};
use super::tables::{is_of, is_taken};
use super::{COMMIT_ATTEMPTS_MAX, Catalog, locations};
use crate::error::CatalogError;
use crate::model::{
    CatalogVersion, DataFile, Partition, Table, TableDefinition, TableFiles, TableId, TableKind,
};
use crate::snapshot::CatalogSnapshot;
use crate::store::{Change, Cleared, FileChanges};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a statement has written.
#[derive(Clone, Debug)]
pub struct WriteCommit {
    /// One per table; several for a multi-insert. No table is there twice.
    pub tables: Vec<TableWrite>,
}

/// What a statement has written into one table.
#[derive(Clone, Debug)]
pub struct TableWrite {
    /// Which.
    pub target: WriteTarget,
    /// What becomes of the files that are there.
    pub mode: WriteMode,
    /// What was written.
    pub files: Vec<NewFile>,
    /// Whether the rows were made of the table's own rows, so that the write makes sense only if
    /// nobody has changed it since it was planned: INSERT OVERWRITE t SELECT … FROM t.
    pub reads_target: bool,
}

/// The table that was written into.
#[derive(Clone, Debug)]
pub enum WriteTarget {
    /// One that was there: as it was when the statement was planned.
    Existing(Arc<Table>),
    /// One that is yet to be created, from [`Catalog::plan_managed_table`].
    New {
        /// What it is.
        definition: Box<TableDefinition>,
        /// Whether a table of its name that has come up meanwhile is no error. What was written is then
        /// given up.
        if_not_exists: bool,
        /// The table that goes in the same moment, where the new one takes its place.
        replaces: Option<TableId>,
    },
}

/// What becomes of the files that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// They stay: INSERT INTO.
    Append,
    /// All of them go, and all partitions: INSERT OVERWRITE of a whole table.
    OverwriteTable,
    /// Those of some partitions go, each given by the values of all partition columns in their order.
    /// The partitions are created where they are missing, even without files: INSERT OVERWRITE with
    /// static partitions.
    OverwritePartitions {
        /// Which.
        partitions: Vec<Vec<Option<String>>>,
        /// IF NOT EXISTS: where one of them is there, nothing is written.
        if_not_exists: bool,
    },
    /// Those of the partitions that new files belong to go: INSERT OVERWRITE with dynamic partitions.
    OverwriteDynamic,
}

/// A file that was written.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// The values of its partition, in the order of the partition columns.
    pub partition: Vec<Option<String>>,
    /// What [`crate::discovery::describe_files`] says of it. Its partition's number is not looked at.
    pub file: DataFile,
}

/// What a commit has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSummary {
    /// The version that has it all; `None` where there was nothing to do.
    pub version: Option<CatalogVersion>,
    /// What has happened to each table, in their order.
    pub tables: Vec<TableWriteSummary>,
}

/// What a commit has done to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableWriteSummary {
    /// The files that are new.
    pub files: usize,
    /// The partitions that are new.
    pub partitions: usize,
    /// Whether what was written was given up, since what was not to be there was there.
    pub skipped: bool,
}

impl Catalog {
    /// Makes all that a statement has written visible in one version, or none of it.
    ///
    /// Others may have changed the tables since the statement was planned. What they have written stays
    /// and is overwritten like anything else; where they have changed what the tables are, it fails.
    ///
    /// # Errors
    /// [`CatalogError::WriteConflict`] where a table was dropped or changed meanwhile,
    /// [`CatalogError::TableExists`] where one that was to be created is there.
    pub async fn commit_write(&self, write: &WriteCommit) -> Result<WriteSummary, CatalogError> {
        let _turn = self.turn().await?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let mut changes = Vec::new();
            let mut summary = WriteSummary::default();
            for table in &write.tables {
                let (change, done) = decide(&snapshot, table).await?;
                changes.extend(change);
                summary.tables.push(done);
            }
            if changes.is_empty() {
                return Ok(summary);
            }
            if self.try_commit(&snapshot, &changes).await? {
                summary.version = Some(CatalogVersion(snapshot.version().0 + 1));
                return Ok(summary);
            }
        }
        Err(CatalogError::Conflict)
    }
}

type Decision = (Vec<Change>, TableWriteSummary);

async fn decide(snapshot: &CatalogSnapshot, write: &TableWrite) -> Result<Decision, CatalogError> {
    match &write.target {
        WriteTarget::New {
            definition,
            if_not_exists,
            replaces,
        } => match replaces {
            Some(old) => decide_replacing(snapshot, write, definition, *old),
            None => decide_new(snapshot, write, definition, *if_not_exists),
        },
        WriteTarget::Existing(planned) => {
            let table = check_unchanged(snapshot, planned, write.reads_target)?;
            let partitions = snapshot.table_partitions(table).await?;
            decide_existing(table, &partitions, write)
        }
    }
}

fn decide_new(
    snapshot: &CatalogSnapshot,
    write: &TableWrite,
    definition: &TableDefinition,
    if_not_exists: bool,
) -> Result<Decision, CatalogError> {
    if is_taken(
        snapshot,
        &definition.database,
        &definition.name,
        if_not_exists,
    )? {
        return Ok((Vec::new(), skipped()));
    }
    create(snapshot, write, definition)
}

/// Drops the table `old` and creates another of its name.
fn decide_replacing(
    snapshot: &CatalogSnapshot,
    write: &TableWrite,
    definition: &TableDefinition,
    old: TableId,
) -> Result<Decision, CatalogError> {
    if !is_of(snapshot, &definition.database, &definition.name, Some(old)) {
        return Err(CatalogError::WriteConflict {
            table: definition.name.clone(),
            what: "was dropped or replaced",
        });
    }
    let (mut changes, summary) = create(snapshot, write, definition)?;
    changes.insert(0, Change::DropTable { id: old });
    Ok((changes, summary))
}

fn create(
    snapshot: &CatalogSnapshot,
    write: &TableWrite,
    definition: &TableDefinition,
) -> Result<Decision, CatalogError> {
    let location = &definition.location;
    locations::check_free(snapshot, location, TableKind::Managed, None)?;
    let mut plan = Plan::new(definition, &[])?;
    plan.add_files(&write.files)?;
    let summary = plan.summary();
    let change = Change::CreateTable {
        definition: definition.clone(),
        files: plan.added(),
    };
    Ok((vec![change], summary))
}

fn skipped() -> TableWriteSummary {
    TableWriteSummary {
        skipped: true,
        ..TableWriteSummary::default()
    }
}

/// The table as it is now, if what was written for it as it was still fits.
fn check_unchanged<'s>(
    snapshot: &'s CatalogSnapshot,
    planned: &Table,
    reads_target: bool,
) -> Result<&'s Arc<Table>, CatalogError> {
    let conflict = |what| CatalogError::WriteConflict {
        table: planned.definition.name.clone(),
        what,
    };
    let table = snapshot
        .table_by_id(planned.id)
        .ok_or_else(|| conflict("was dropped or replaced"))?;
    if !table.definition.has_layout_of(&planned.definition) {
        return Err(conflict("was altered"));
    }
    if reads_target && table.version != planned.version {
        return Err(conflict("was changed"));
    }
    Ok(table)
}

fn decide_existing(
    table: &Table,
    partitions: &[Partition],
    write: &TableWrite,
) -> Result<Decision, CatalogError> {
    let definition = &table.definition;
    let is_partitioned = !definition.partition_columns.is_empty();
    let overwrites_all = match write.mode {
        WriteMode::OverwriteTable => true,
        // Without partitions there is nothing smaller to overwrite.
        WriteMode::OverwriteDynamic => !is_partitioned,
        WriteMode::Append | WriteMode::OverwritePartitions { .. } => false,
    };
    let mut plan = Plan::new(definition, if overwrites_all { &[] } else { partitions })?;
    // Numbers are used once, even where all partitions go.
    plan.next = next_number(partitions);
    if let WriteMode::OverwritePartitions {
        partitions,
        if_not_exists,
    } = &write.mode
    {
        for values in partitions {
            let values = canonical_values(definition, values)?;
            if *if_not_exists && plan.known.contains_key(&values) {
                return Ok((Vec::new(), skipped()));
            }
            let number = plan.partition(values)?;
            plan.touched.insert(number);
        }
    }
    let named = plan.touched.clone();
    plan.add_files(&write.files)?;
    let cleared = match &write.mode {
        WriteMode::OverwritePartitions { .. } => Cleared::Partitions(existing(&named, partitions)),
        WriteMode::OverwriteDynamic if is_partitioned => {
            Cleared::Partitions(existing(&plan.touched, partitions))
        }
        _ if overwrites_all => Cleared::Everything,
        _ => Cleared::Nothing,
    };
    let summary = plan.summary();
    let files = FileChanges {
        cleared,
        added: plan.added(),
        ..FileChanges::default()
    };
    if files.is_empty() {
        return Ok((Vec::new(), summary));
    }
    Ok((vec![super::partitions::update(table, files)], summary))
}

fn existing(touched: &BTreeSet<u32>, partitions: &[Partition]) -> Vec<u32> {
    let numbers = partitions.iter().map(|partition| partition.number);
    numbers.filter(|number| touched.contains(number)).collect()
}

/// Finds or creates the partitions of new files.
struct Plan<'a> {
    definition: &'a TableDefinition,
    known: HashMap<Vec<Option<String>>, u32>,
    next: u32,
    /// The partitions that new files belong to or that are named.
    touched: BTreeSet<u32>,
    new_partitions: Vec<Partition>,
    files: Vec<DataFile>,
}

impl<'a> Plan<'a> {
    fn new(
        definition: &'a TableDefinition,
        partitions: &[Partition],
    ) -> Result<Self, CatalogError> {
        Ok(Self {
            definition,
            known: by_values(definition, partitions)?,
            next: next_number(partitions),
            touched: BTreeSet::new(),
            new_partitions: Vec::new(),
            files: Vec::new(),
        })
    }

    /// The number of the partition with those values, which are in their canonical form.
    fn partition(&mut self, values: Vec<Option<String>>) -> Result<u32, CatalogError> {
        if let Some(number) = self.known.get(&values) {
            return Ok(*number);
        }
        let number = self.next;
        self.next += 1;
        self.known.insert(values.clone(), number);
        self.new_partitions.push(Partition {
            number,
            location: default_location(self.definition, &values)?,
            values,
        });
        Ok(number)
    }

    fn add_files(&mut self, files: &[NewFile]) -> Result<(), CatalogError> {
        for new in files {
            let values = canonical_values(self.definition, &new.partition)?;
            let partition = match values.is_empty() {
                true => None,
                false => {
                    let number = self.partition(values)?;
                    self.touched.insert(number);
                    Some(number)
                }
            };
            self.files.push(DataFile {
                partition,
                ..new.file.clone()
            });
        }
        self.files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(())
    }

    fn summary(&self) -> TableWriteSummary {
        TableWriteSummary {
            files: self.files.len(),
            partitions: self.new_partitions.len(),
            skipped: false,
        }
    }

    fn added(self) -> TableFiles {
        TableFiles {
            partitions: self.new_partitions.into(),
            files: self.files,
        }
    }
}

#[cfg(test)]
mod tests;
