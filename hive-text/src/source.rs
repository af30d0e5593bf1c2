//! Text files as DataFusion scans them.

use crate::csv::{CsvDecoder, CsvFormat};
use crate::decode::LineDecoder;
use crate::format::TextFormat;
use crate::json_rows::{JsonDecoder, JsonFormat, is_by_line};
use crate::unpack::{Compression, check_mark, unpack, without_mark};
use bytes::Bytes;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::{DisplayFormatType, apply_expression_roots};
use datafusion_datasource::TableSchema;
use datafusion_datasource::boundary_stream::AlignedBoundaryStream;
use datafusion_datasource::decoder::{DecoderDeserializer, deserialize_stream};
use datafusion_datasource::projection::{ProjectionOpener, SplitProjection};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// How the rows of text files are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowFormat {
    /// Hive's delimited text.
    Delimited(Arc<TextFormat>),
    /// Fields that may be quoted.
    Csv(Arc<CsvFormat>),
    /// Objects.
    Json(Arc<JsonFormat>),
}

impl RowFormat {
    fn skips_bad_lines(&self) -> bool {
        match self {
            Self::Delimited(_) => false,
            Self::Csv(format) => format.skips_bad_lines,
            Self::Json(format) => format.skips_bad_lines,
        }
    }

    /// Whether a piece of a file that is not compressed can be read without what is before it.
    fn has_pieces(&self) -> bool {
        match self {
            Self::Delimited(format) => format.header_lines == 0,
            // A quote that is open may have begun anywhere.
            Self::Csv(_) => false,
            Self::Json(_) => true,
        }
    }
}

/// Reads text files. A file's name tells how it is compressed: `.gz`, `.bz2`, `.xz` or `.zst`.
#[derive(Clone, Debug)]
pub struct TextSource {
    format: RowFormat,
    /// Whether a piece of a file can be read without what is before it.
    reads_pieces: bool,
    table_schema: TableSchema,
    projection: SplitProjection,
    batch_rows_max: usize,
    metrics: ExecutionPlanMetricsSet,
}

/// The metric that says how many lines were left out because they are no rows.
pub const REJECTED_LINES_METRIC: &str = "rejected_lines";

/// How much of a file's beginning tells whether its rows are on lines of their own, in bytes.
const BEGIN_BYTES: u64 = 64 * 1024;

/// How many rows a batch has where nobody says it.
const BATCH_ROWS_MAX: usize = 8192;

impl TextSource {
    /// Reads files of `format` with the columns of `table_schema`. Where all `files` allow it, pieces
    /// of them are read in parallel.
    pub fn new<'a>(
        format: RowFormat,
        table_schema: TableSchema,
        files: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut files = files.into_iter();
        let reads_pieces =
            format.has_pieces() && !files.any(|file| Compression::of(file).is_some());
        Self::from_parts(format, table_schema, reads_pieces)
    }

    pub(crate) fn from_parts(
        format: RowFormat,
        table_schema: TableSchema,
        reads_pieces: bool,
    ) -> Self {
        Self {
            format,
            reads_pieces,
            projection: SplitProjection::unprojected(&table_schema),
            table_schema,
            batch_rows_max: BATCH_ROWS_MAX,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    pub(crate) fn format(&self) -> &RowFormat {
        &self.format
    }
}

impl FileSource for TextSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let opener = Arc::new(TextOpener {
            format: self.format.clone(),
            rejected: MetricBuilder::new(&self.metrics).counter(REJECTED_LINES_METRIC, partition),
            file_schema: Arc::clone(self.table_schema.file_schema()),
            indices: self.projection.file_indices.clone(),
            batch_rows_max: self.batch_rows_max,
            object_store,
        });
        ProjectionOpener::try_new(
            self.projection.clone(),
            opener,
            self.table_schema.file_schema(),
        )
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self {
            batch_rows_max: batch_size,
            ..self.clone()
        })
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        Ok(Some(Arc::new(Self {
            projection: SplitProjection::new(self.table_schema.file_schema(), &merged),
            ..self.clone()
        })))
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        match self.format {
            RowFormat::Delimited(_) => "text",
            RowFormat::Csv(_) => "csv",
            RowFormat::Json(_) => "json",
        }
    }

    fn supports_repartitioning(&self) -> bool {
        self.reads_pieces
    }

    fn fmt_extra(&self, _t: DisplayFormatType, _f: &mut fmt::Formatter) -> fmt::Result {
        Ok(())
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.projection.source.iter(), f)
    }
}

/// Opens one file, or a piece of one: the lines that begin in it.
#[derive(Clone)]
struct TextOpener {
    format: RowFormat,
    file_schema: SchemaRef,
    indices: Vec<usize>,
    batch_rows_max: usize,
    rejected: Count,
    object_store: Arc<dyn ObjectStore>,
}

impl TextOpener {
    fn rows(
        &self,
        is_piece: bool,
        bytes: BoxStream<'static, Result<Bytes>>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let (schema, rows) = (&self.file_schema, self.batch_rows_max);
        // Whether a line is a row must not depend on which of its columns are wanted.
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let skips_bad_lines = self.format.skips_bad_lines();
        let indices = if skips_bad_lines { &all } else { &self.indices };
        let rejected = self.rejected.clone();
        let bytes = bytes.fuse();
        let batches = match &self.format {
            RowFormat::Delimited(format) => {
                let format = Arc::clone(format);
                let decoder = LineDecoder::new(format, schema, indices, rows, !is_piece)?;
                deserialize_stream(bytes, DecoderDeserializer::new(decoder))
            }
            RowFormat::Csv(format) => {
                let format = Arc::clone(format);
                let decoder = CsvDecoder::new(format, schema, indices, rows, rejected)?;
                deserialize_stream(bytes, DecoderDeserializer::new(decoder))
            }
            RowFormat::Json(format) => {
                let decoder = JsonDecoder::new(format, schema, indices, rows, is_piece, rejected)?;
                deserialize_stream(bytes, DecoderDeserializer::new(decoder))
            }
        };
        let batches = batches.map_err(DataFusionError::from);
        if !skips_bad_lines {
            return Ok(batches.boxed());
        }
        let wanted = self.indices.clone();
        let project = move |batch: RecordBatch| Ok(batch.project(&wanted)?);
        Ok(batches.map(move |batch| batch.and_then(&project)).boxed())
    }
}

impl FileOpener for TextOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let location = file.object_meta.location;
        let size = file.object_meta.size;
        let piece = file.range.as_ref().map(|range| {
            let bound = |bound: i64| u64::try_from(bound);
            bound(range.start).and_then(|start| Ok(start..bound(range.end)?))
        });
        let piece = piece.transpose();
        let piece =
            piece.map_err(|_| internal_datafusion_err!("a piece of a file lies before it"))?;
        let is_compressed = Compression::of(location.as_ref()).is_some();
        if piece.is_some() && (is_compressed || !self.format.has_pieces()) {
            return Err(internal_datafusion_err!(
                "{location} cannot be read in pieces"
            ));
        }
        let opener = self.clone();
        Ok(Box::pin(async move {
            let store = Arc::clone(&opener.object_store);
            let Some(piece) = piece else {
                let bytes = unpack(whole(&store, &location).await?, location.as_ref())?;
                return opener.rows(false, bytes);
            };
            if matches!(opener.format, RowFormat::Json(_)) && size > 0 {
                let begin = store.get_range(&location, 0..size.min(BEGIN_BYTES)).await?;
                if !is_by_line(&check_mark(begin)?) {
                    // The scan of the first piece reads all of it.
                    let bytes = match piece.start {
                        0 => without_mark(whole(&store, &location).await?),
                        _ => stream::empty().boxed(),
                    };
                    return opener.rows(false, bytes);
                }
            }
            let (start, end) = (piece.start, piece.end);
            let bytes =
                AlignedBoundaryStream::new(store, location, start, end, size, b'\n').await?;
            let bytes = bytes.map_err(DataFusionError::from).boxed();
            let bytes = match start {
                0 => without_mark(bytes),
                _ => bytes,
            };
            opener.rows(true, bytes)
        }))
    }
}

async fn whole(
    store: &Arc<dyn ObjectStore>,
    location: &Path,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let found = store.get_opts(location, GetOptions::default()).await?;
    Ok(found.into_stream().map_err(DataFusionError::from).boxed())
}
