//! One partition of a write: rows come in, files go out, and each is reported when it is complete.
//!
//! One file is open at a time. The rows of a table's partition come together, because the operator
//! demands that order, so that a write into thousands of partitions has no more open files than
//! streams.

use crate::check::check_values;
use crate::file::OpenFile;
use crate::report::{WrittenFile, encode_report};
use crate::spec::WriteSpec;
use crate::split::{Piece, split};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::{TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use skep_protocol::partition_path;
use skep_storage::Durability;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// How many files of one stream are synced while the next ones are written: a file system that syncs
/// many at once does it in little more time than one takes.
const SYNCED_FILES_MAX: usize = 16;

/// Where a stream writes.
pub(crate) struct Destination {
    pub(crate) spec: Arc<WriteSpec>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) memory: Arc<dyn MemoryPool>,
    files_written: Count,
    bytes_written: Count,
    rows_written: Count,
}

impl Destination {
    /// Where `context` says that the write's store is.
    ///
    /// # Errors
    /// Where there is no such store.
    pub(crate) fn new(
        spec: &Arc<WriteSpec>,
        context: &TaskContext,
        metrics: &ExecutionPlanMetricsSet,
        partition: usize,
    ) -> Result<Self> {
        let url = datafusion::datasource::object_store::ObjectStoreUrl::parse(&spec.store_url)?;
        let counter = |name: &'static str| MetricBuilder::new(metrics).counter(name, partition);
        Ok(Self {
            store: context.runtime_env().object_store(&url)?,
            memory: Arc::clone(context.memory_pool()),
            spec: Arc::clone(spec),
            files_written: counter("files_written"),
            bytes_written: counter("bytes_written"),
            rows_written: counter("rows_written"),
        })
    }
}

struct Writing {
    input: SendableRecordBatchStream,
    destination: Destination,
    schema: SchemaRef,
    pending: VecDeque<Piece>,
    open: Option<(Vec<Option<String>>, OpenFile)>,
    has_begun: bool,
}

/// Writes `input`; returns a row for each file.
pub(crate) fn write(
    input: SendableRecordBatchStream,
    destination: Destination,
) -> impl stream::Stream<Item = Result<RecordBatch>> + Send {
    let fields = input.schema();
    let named = fields
        .fields()
        .iter()
        .zip(&destination.spec.columns)
        .map(|(field, column)| {
            let field = field.as_ref().clone().with_name(&column.name);
            field.with_nullable(column.nullable)
        })
        .collect::<Vec<_>>();
    let writing = Writing {
        input,
        destination,
        schema: Arc::new(Schema::new(named)),
        pending: VecDeque::new(),
        open: None,
        has_begun: false,
    };
    let durability = Durability::of(&writing.destination.spec.store_url);
    let files = stream::try_unfold(writing, |mut writing| async move {
        let file = writing.next_file().await?;
        Ok::<_, DataFusionError>(file.map(|file| (file, writing)))
    });
    // Nobody is told of a file before it is there to stay.
    files
        .map_ok(move |file| {
            let durability = durability.clone();
            async move {
                durability.keep(&file.path).await?;
                Ok(encode_report(&file)?)
            }
        })
        .try_buffered(SYNCED_FILES_MAX)
}

impl Writing {
    /// Writes until a file is complete; `None` where there is nothing left to write.
    async fn next_file(&mut self) -> Result<Option<WrittenFile>> {
        loop {
            let Some(piece) = self.pending.pop_front() else {
                match self.input.try_next().await? {
                    Some(batch) => {
                        let names = &self.destination.spec.partition_columns;
                        self.pending.extend(split(&batch, names)?);
                        continue;
                    }
                    None if self.destination.spec.is_one_file && !self.has_begun => {
                        let rows = RecordBatch::new_empty(self.input.schema());
                        let rows = rows.project(&Vec::from_iter(0..self.schema.fields().len()))?;
                        let values = Vec::new();
                        self.write(Piece { values, rows }).await?;
                        continue;
                    }
                    None => return self.finish().await,
                }
            };
            let is_other = matches!(&self.open, Some((values, _)) if *values != piece.values);
            if is_other {
                self.pending.push_front(piece);
                return self.finish().await;
            }
            if piece.rows.num_rows() == 0 {
                continue;
            }
            let size = self.write(piece).await?;
            let spec = &self.destination.spec;
            if size >= spec.file_bytes_target && !spec.is_one_file {
                return self.finish().await;
            }
        }
    }

    /// Writes a piece into the open file, which is begun where there is none; returns its size.
    async fn write(&mut self, piece: Piece) -> Result<u64> {
        let rows = piece.rows.num_rows();
        check_values(&piece.rows, &self.destination.spec.columns)?;
        let (_, columns, _) = piece.rows.into_parts();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let (values, mut file) = match self.open.take() {
            Some(open) => open,
            None => {
                let file = self.begin(&piece.values)?;
                self.has_begun = true;
                (piece.values, file)
            }
        };
        file.write(&batch).await?;
        self.destination.rows_written.add(rows);
        let size = file.size_bytes();
        self.open = Some((values, file));
        Ok(size)
    }

    fn begin(&self, values: &[Option<String>]) -> Result<OpenFile> {
        let spec = &self.destination.spec;
        let name = format!(
            "{}-{}.{}",
            spec.file_prefix,
            Uuid::new_v4().simple(),
            spec.format.extension()
        );
        let names = spec.partition_columns.iter().map(String::as_str);
        let directory = partition_path::directory(names.zip(values.iter().map(Option::as_deref)));
        let parts = [spec.directory.as_str(), directory.as_str(), name.as_str()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let path = Path::parse(parts.join("/"))
            .map_err(|error| DataFusionError::ObjectStore(Box::new(error.into())))?;
        let consumer = MemoryConsumer::new("table writer");
        let memory = consumer.register(&self.destination.memory);
        let store = Arc::clone(&self.destination.store);
        OpenFile::create(store, path, &self.schema, spec, memory)
    }

    /// Completes the open file, where there is one.
    async fn finish(&mut self) -> Result<Option<WrittenFile>> {
        let Some((partition_values, file)) = self.open.take() else {
            return Ok(None);
        };
        let file = file.finish().await?;
        self.destination.files_written.add(1);
        self.destination
            .bytes_written
            .add(usize::try_from(file.size_bytes).unwrap_or(usize::MAX));
        Ok(Some(WrittenFile {
            path: file.path.to_string(),
            partition_values,
            size_bytes: file.size_bytes,
            rows: file.rows,
        }))
    }
}
