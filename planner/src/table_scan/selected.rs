//! The files of a table that a scan reads, for those who want to know what is in them.

use skep_catalog::model::{DataFile, TableFiles};
use std::collections::HashSet;
use std::sync::Arc;

/// The files that the filters of a scan leave.
pub struct SelectedFiles {
    files: Arc<TableFiles>,
    indexes: Vec<usize>,
}

impl SelectedFiles {
    /// Those of `files` at these places.
    pub fn new(files: Arc<TableFiles>, indexes: Vec<usize>) -> Self {
        Self { files, indexes }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.indexes.len()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &DataFile> + Clone {
        let indexes = self.indexes.iter();
        indexes.filter_map(|index| self.files.files.get(*index))
    }

    /// All files of the table that were looked up, also those that are left out.
    pub fn all(&self) -> impl Iterator<Item = &DataFile> {
        self.files.files.iter()
    }

    /// How many values a partition column has in them.
    pub fn partition_values(&self, column: usize) -> usize {
        let numbers: HashSet<u32> = self.iter().filter_map(|file| file.partition).collect();
        let values: HashSet<&str> = numbers
            .into_iter()
            .filter_map(|number| self.files.partition(number)?.values.get(column)?.as_deref())
            .collect();
        values.len()
    }
}
