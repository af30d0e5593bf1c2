//! The partitions and files of the tables that were planned lately.

use crate::error::CatalogError;
use crate::model::{CatalogVersion, Table, TableFiles, TableId};
use crate::store::CatalogStore;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// How many files, over all tables, are kept. A file with ten bounded columns takes about 1.5 KiB.
pub const CACHED_FILES_MAX: usize = 1_000_000;

/// How many versions of tables are kept, however few files they have.
pub const CACHED_TABLES_MAX: usize = 10_000;

type Key = (TableId, CatalogVersion);
type Cell = Arc<OnceCell<Arc<TableFiles>>>;

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
    cell: Cell,
    last_use: u64,
}

impl FileCache {
    /// What `table` consists of, read from `store` unless it is here. Several callers at once cause
    /// one read; a failed read is tried again by the next caller.
    pub(crate) async fn get(
        &self,
        store: &dyn CatalogStore,
        table: &Table,
    ) -> Result<Arc<TableFiles>, CatalogError> {
        let key = (table.id, table.version);
        let cell = self.entries.lock().touch(key);
        let files = cell
            .get_or_try_init(|| async {
                store
                    .load_files(table.id, table.version)
                    .await
                    .map(Arc::new)
            })
            .await
            .cloned()?;
        self.entries
            .lock()
            .shrink_to(CACHED_FILES_MAX, CACHED_TABLES_MAX, key);
        Ok(files)
    }
}

impl Entries {
    fn touch(&mut self, key: Key) -> Cell {
        self.uses += 1;
        let entry = self.by_key.entry(key).or_insert_with(|| Entry {
            cell: Cell::default(),
            last_use: 0,
        });
        entry.last_use = self.uses;
        Arc::clone(&entry.cell)
    }

    fn shrink_to(&mut self, files_max: usize, tables_max: usize, keep: Key) {
        let size = |entry: &Entry| entry.cell.get().map_or(0, |files| files.files.len());
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
    use crate::model::DataFile;
    use chrono::DateTime;

    fn key(table: i64) -> Key {
        (TableId(table), CatalogVersion(1))
    }

    fn fill(entries: &mut Entries, table: i64, files: usize) {
        let file = DataFile {
            path: String::new(),
            size_bytes: 0,
            rows: 0,
            last_modified: DateTime::UNIX_EPOCH,
            e_tag: None,
            partition: None,
            bounds: Vec::new(),
        };
        let files = TableFiles {
            partitions: Vec::new(),
            files: vec![file; files],
        };
        entries.touch(key(table)).set(Arc::new(files)).unwrap();
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
