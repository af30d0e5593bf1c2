//! The partitions and files of the tables that were planned lately.

use crate::error::CatalogError;
use crate::model::{CatalogVersion, DataFile, Partition, Table, TableFiles, TableId};
use crate::store::CatalogStore;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// How many files and partitions, over all tables, are kept. A file with ten bounded columns takes about
/// 400 bytes.
pub const CACHED_FILES_MAX: usize = 2_000_000;

/// Where this many partitions' files are wanted, all of the table's are read and kept.
pub const PARTITIONS_READ_ALONE_MAX: usize = 1_000;

/// How many versions of tables are kept, however few files they have.
pub const CACHED_TABLES_MAX: usize = 10_000;

type Key = (TableId, CatalogVersion);

#[derive(Debug, Default)]
struct Cell {
    partitions: OnceCell<Arc<[Partition]>>,
    files: OnceCell<Arc<TableFiles>>,
}

impl Cell {
    /// How much of the cache it takes.
    fn size(&self) -> usize {
        let partitions = self.partitions.get().map_or(0, |found| found.len());
        partitions + self.files.get().map_or(0, |found| found.files.len())
    }
}

/// Keeps what was read last, within bounds; the least recently used goes first. A table that is larger
/// than the whole cache is kept for as long as it is the one used last.
#[derive(Debug, Default)]
pub(crate) struct FileCache {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    cell: Arc<Cell>,
    last_use: u64,
}

impl FileCache {
    /// What `table` consists of at `version`, read from `store` unless it is here. Several callers at
    /// once cause one read; a failed read is tried again by the next caller.
    pub(crate) async fn files(
        &self,
        store: &dyn CatalogStore,
        table: &Table,
        version: CatalogVersion,
    ) -> Result<Arc<TableFiles>, CatalogError> {
        let partitions = self.partitions(store, table, version).await?;
        let key = (table.id, table.version);
        let cell = self.entries.lock().touch(key);
        let files = cell
            .files
            .get_or_try_init(|| async {
                let files = store.load_data_files(table.id, version, None).await?;
                Ok::<_, CatalogError>(Arc::new(TableFiles { partitions, files }))
            })
            .await
            .cloned()?;
        self.shrink(key);
        Ok(files)
    }

    /// The partitions alone.
    pub(crate) async fn partitions(
        &self,
        store: &dyn CatalogStore,
        table: &Table,
        version: CatalogVersion,
    ) -> Result<Arc<[Partition]>, CatalogError> {
        if table.definition.partition_columns.is_empty() {
            return Ok(Arc::default());
        }
        let key = (table.id, table.version);
        let cell = self.entries.lock().touch(key);
        let partitions = cell
            .partitions
            .get_or_try_init(|| async {
                let partitions = store.load_partitions(table.id, version).await?;
                Ok::<_, CatalogError>(partitions.into())
            })
            .await
            .cloned()?;
        self.shrink(key);
        Ok(partitions)
    }

    /// All partitions with the files of some of them. Those of few are not kept.
    pub(crate) async fn files_of(
        &self,
        store: &dyn CatalogStore,
        table: &Table,
        version: CatalogVersion,
        numbers: &[u32],
    ) -> Result<Arc<TableFiles>, CatalogError> {
        let partitions = self.partitions(store, table, version).await?;
        let cell = self.entries.lock().touch((table.id, table.version));
        let files: Vec<DataFile> = if let Some(all) = cell.files.get() {
            if numbers.len() == partitions.len() {
                return Ok(Arc::clone(all));
            }
            let wanted: HashSet<u32> = numbers.iter().copied().collect();
            let is_wanted = |file: &&DataFile| file.partition.is_some_and(|n| wanted.contains(&n));
            all.files.iter().filter(is_wanted).cloned().collect()
        } else if numbers.len() <= PARTITIONS_READ_ALONE_MAX {
            store
                .load_data_files(table.id, version, Some(numbers))
                .await?
        } else {
            return self.files(store, table, version).await;
        };
        Ok(Arc::new(TableFiles { partitions, files }))
    }

    fn shrink(&self, keep: Key) {
        self.entries
            .lock()
            .shrink_to(CACHED_FILES_MAX, CACHED_TABLES_MAX, keep);
    }
}

impl Entries {
    fn touch(&mut self, key: Key) -> Arc<Cell> {
        self.uses += 1;
        let entry = self.by_key.entry(key).or_insert_with(|| Entry {
            cell: Arc::default(),
            last_use: 0,
        });
        entry.last_use = self.uses;
        Arc::clone(&entry.cell)
    }

    fn shrink_to(&mut self, files_max: usize, tables_max: usize, keep: Key) {
        let size = |entry: &Entry| entry.cell.size();
        let mut files: usize = self.by_key.values().map(size).sum();
        if files <= files_max && self.by_key.len() <= tables_max {
            return;
        }
        let mut by_age: Vec<(u64, Key)> = self
            .by_key
            .iter()
            .filter(|(key, _)| **key != keep)
            .map(|(key, entry)| (entry.last_use, *key))
            .collect();
        by_age.sort_unstable();
        for (_, key) in by_age {
            if files <= files_max && self.by_key.len() <= tables_max {
                break;
            }
            if let Some(entry) = self.by_key.remove(&key) {
                files -= size(&entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FileBounds;
    use chrono::DateTime;

    fn key(table: i64) -> Key {
        (TableId(table), CatalogVersion(1))
    }

    fn fill(entries: &mut Entries, table: i64, files: usize) {
        let file = DataFile {
            path: String::new(),
            size_bytes: 0,
            rows: None,
            last_modified: DateTime::UNIX_EPOCH,
            e_tag: None,
            partition: None,
            bounds: FileBounds::default(),
        };
        let files = TableFiles {
            partitions: Arc::default(),
            files: vec![file; files],
        };
        let cell = entries.touch(key(table));
        cell.files.set(Arc::new(files)).unwrap();
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut entries = Entries::default();
        for table in 1..=3 {
            fill(&mut entries, table, 10);
        }
        entries.touch(key(1));
        entries.shrink_to(20, 100, key(1));
        let mut kept: Vec<_> = entries.by_key.keys().map(|(table, _)| table.0).collect();
        kept.sort_unstable();
        assert_eq!(kept, [1, 3]);
        entries.shrink_to(20, 1, key(3));
        assert!(entries.by_key.contains_key(&key(3)) && entries.by_key.len() == 1);
    }

    #[test]
    fn the_one_in_use_stays_even_where_it_is_too_large() {
        let mut entries = Entries::default();
        fill(&mut entries, 1, 50);
        entries.shrink_to(20, 100, key(1));
        assert!(entries.by_key.contains_key(&key(1)));
    }
}
