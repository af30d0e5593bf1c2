//! Directories of Parquet files for tests.

use arrow::array::{ArrayRef, RecordBatch};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use skep_protocol::storage_url::StorageUrl;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A temporary directory that files are written into.
pub(crate) struct TestFiles {
    directory: TempDir,
}

impl TestFiles {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a Parquet file with those columns and two rows per row group.
    pub(crate) fn write(&self, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| {
                let nullable = array.null_count() > 0;
                (name, array, nullable)
            }))
            .unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(2))
            .build();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    pub(crate) fn location(&self, name: &str) -> StorageUrl {
        StorageUrl::from_local_path(&self.path().join(name)).unwrap()
    }

    pub(crate) fn store() -> Arc<dyn ObjectStore> {
        Arc::new(LocalFileSystem::new())
    }
}
