//! One file that is being written.

mod avro;
mod csv;
mod parquet;

use crate::aborting::AbortingStore;
use crate::spec::{FileOptions, WriteSpec};
use ::parquet::arrow::AsyncArrowWriter;
use arrow::datatypes::SchemaRef;
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use avro::AvroEncoder;
use bytes::Bytes;
use csv::CsvEncoder;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use skep_hive_text::TextEncoder;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

/// A file that is being written. What is dropped before it is finished leaves nothing behind, or at
/// most parts that nobody sees.
pub(crate) struct OpenFile {
    path: Path,
    rows: u64,
    encoding: Encoding,
    memory: MemoryReservation,
}

enum Encoding {
    Parquet(Box<AsyncArrowWriter<BufWriter>>),
    Streamed {
        writer: Box<BufWriter>,
        format: Blocks,
        bytes: u64,
    },
}

enum Blocks {
    Avro(AvroEncoder),
    Json,
    Csv(CsvEncoder),
    Text(TextEncoder),
}

/// A file that is complete.
pub(crate) struct FinishedFile {
    pub(crate) path: Path,
    pub(crate) rows: u64,
    pub(crate) size_bytes: u64,
}

impl OpenFile {
    /// Begins the file at `path`, whose rows have `schema`. `memory` is charged for what is not yet in
    /// the store.
    ///
    /// # Errors
    /// Where a column's type cannot be written in the format.
    pub(crate) fn create(
        store: Arc<dyn ObjectStore>,
        path: Path,
        schema: &SchemaRef,
        spec: &WriteSpec,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let store = Arc::new(AbortingStore::new(store));
        let writer = BufWriter::new(store, path.clone());
        let encoding = match &spec.format {
            FileOptions::Parquet(options) => {
                let properties = parquet::properties(options, spec, schema)?;
                let writer =
                    AsyncArrowWriter::try_new_with_options(writer, Arc::clone(schema), properties)?;
                Encoding::Parquet(Box::new(writer))
            }
            FileOptions::Avro => Encoding::Streamed {
                writer: Box::new(writer),
                format: Blocks::Avro(AvroEncoder::new(schema)?),
                bytes: 0,
            },
            FileOptions::Json => Encoding::Streamed {
                writer: Box::new(writer),
                format: Blocks::Json,
                bytes: 0,
            },
            FileOptions::Csv(options) => Encoding::Streamed {
                writer: Box::new(writer),
                format: Blocks::Csv(CsvEncoder::new(options.clone(), schema)?),
                bytes: 0,
            },
            FileOptions::Text(options) => Encoding::Streamed {
                writer: Box::new(writer),
                format: Blocks::Text(TextEncoder::new(options.clone(), schema)?),
                bytes: 0,
            },
        };
        Ok(Self {
            path,
            rows: 0,
            encoding,
            memory,
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// Those of the store; a value that the format cannot hold.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        match &mut self.encoding {
            Encoding::Parquet(writer) => {
                writer.write(batch).await?;
                if self.memory.try_resize(writer.memory_size()).is_err() {
                    // A smaller row group is better than none.
                    writer.flush().await?;
                    self.memory.resize(writer.memory_size());
                }
            }
            Encoding::Streamed {
                writer,
                format,
                bytes,
            } => {
                let lines = format.encode(batch)?;
                *bytes += lines.len() as u64;
                writer.put(Bytes::from(lines)).await.map_err(from_store)?;
            }
        }
        Ok(())
    }

    /// How many bytes the file has about now.
    pub(crate) fn size_bytes(&self) -> u64 {
        match &self.encoding {
            Encoding::Parquet(writer) => {
                (writer.bytes_written() + writer.in_progress_size()) as u64
            }
            Encoding::Streamed { bytes, .. } => *bytes,
        }
    }

    /// Completes the file: it is in the store when this returns.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn finish(self) -> Result<FinishedFile> {
        let size_bytes = match self.encoding {
            Encoding::Parquet(writer) => parquet::finish(*writer).await?,
            Encoding::Streamed {
                mut writer, bytes, ..
            } => {
                writer.shutdown().await.map_err(DataFusionError::IoError)?;
                bytes
            }
        };
        Ok(FinishedFile {
            path: self.path,
            rows: self.rows,
            size_bytes,
        })
    }
}

impl Blocks {
    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        match self {
            Self::Avro(encoder) => encoder.encode(batch),
            Self::Json => {
                let mut writer = LineDelimitedWriter::new(Vec::new());
                writer.write(batch)?;
                writer.finish()?;
                Ok(writer.into_inner())
            }
            Self::Csv(encoder) => encoder.encode(batch),
            Self::Text(encoder) => encoder.encode(batch),
        }
    }
}

fn from_store(error: object_store::Error) -> DataFusionError {
    DataFusionError::ObjectStore(Box::new(error))
}
