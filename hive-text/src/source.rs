//! Text files as DataFusion scans them.

use crate::decode::LineDecoder;
use crate::format::TextFormat;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, apply_expression_roots};
use datafusion_datasource::TableSchema;
use datafusion_datasource::boundary_stream::AlignedBoundaryStream;
use datafusion_datasource::decoder::{DecoderDeserializer, deserialize_stream};
use datafusion_datasource::file_compression_type::FileCompressionType;
use datafusion_datasource::projection::{ProjectionOpener, SplitProjection};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore};
use std::fmt;
use std::sync::Arc;

/// Reads text files. A file's name tells how it is compressed: `.gz`, `.bz2`, `.xz` or `.zst`.
#[derive(Clone, Debug)]
pub struct TextSource {
    format: Arc<TextFormat>,
    /// Whether a piece of a file can be read without what is before it.
    reads_pieces: bool,
    table_schema: TableSchema,
    projection: SplitProjection,
    batch_rows_max: usize,
    metrics: ExecutionPlanMetricsSet,
}

/// How many rows a batch has where nobody says it.
const BATCH_ROWS_MAX: usize = 8192;

impl TextSource {
    /// Reads files of `format` with the columns of `table_schema`. Where all `files` allow it, pieces
    /// of them are read in parallel.
    pub fn new<'a>(
        format: TextFormat,
        table_schema: TableSchema,
        files: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut files = files.into_iter();
        let reads_pieces =
            format.header_lines == 0 && !files.any(|file| compression_of(file).is_compressed());
        Self::from_parts(Arc::new(format), table_schema, reads_pieces)
    }

    pub(crate) fn from_parts(
        format: Arc<TextFormat>,
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

    pub(crate) fn format(&self) -> &TextFormat {
        &self.format
    }
}

impl FileSource for TextSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let opener = Arc::new(TextOpener {
            format: Arc::clone(&self.format),
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
        "text"
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
struct TextOpener {
    format: Arc<TextFormat>,
    file_schema: SchemaRef,
    indices: Vec<usize>,
    batch_rows_max: usize,
    object_store: Arc<dyn ObjectStore>,
}

impl FileOpener for TextOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let location = file.object_meta.location;
        let size = file.object_meta.size;
        let compression = compression_of(location.as_ref());
        let piece = file.range.as_ref().map(|range| {
            let bound = |bound: i64| u64::try_from(bound);
            bound(range.start).and_then(|start| Ok((start, bound(range.end)?)))
        });
        let piece = piece.transpose();
        let piece =
            piece.map_err(|_| internal_datafusion_err!("a piece of a file lies before it"))?;
        if piece.is_some() && (compression.is_compressed() || self.format.header_lines > 0) {
            return Err(internal_datafusion_err!(
                "{location} cannot be read in pieces"
            ));
        }
        let decoder = LineDecoder::new(
            Arc::clone(&self.format),
            &self.file_schema,
            &self.indices,
            self.batch_rows_max,
            piece.is_none(),
        )?;
        let store = Arc::clone(&self.object_store);
        Ok(Box::pin(async move {
            let bytes = match piece {
                Some((start, end)) => {
                    AlignedBoundaryStream::new(store, location, start, end, size, b'\n')
                        .await?
                        .map_err(DataFusionError::from)
                        .boxed()
                }
                None => whole(&store, &location).await?,
            };
            let bytes = compression.convert_stream(bytes)?.fuse();
            let batches = deserialize_stream(bytes, DecoderDeserializer::new(decoder));
            Ok(batches.map_err(DataFusionError::from).boxed())
        }))
    }
}

async fn whole(
    store: &Arc<dyn ObjectStore>,
    location: &Path,
) -> Result<futures::stream::BoxStream<'static, Result<bytes::Bytes>>> {
    let found = store.get_opts(location, GetOptions::default()).await?;
    Ok(found.into_stream().map_err(DataFusionError::from).boxed())
}

/// How a file of that name is compressed.
fn compression_of(path: &str) -> FileCompressionType {
    let extension = path
        .rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'));
    match extension
        .map(|(_, extension)| extension.to_ascii_lowercase())
        .as_deref()
    {
        Some("gz") => FileCompressionType::GZIP,
        Some("bz2") => FileCompressionType::BZIP2,
        Some("xz") => FileCompressionType::XZ,
        Some("zst") => FileCompressionType::ZSTD,
        _ => FileCompressionType::UNCOMPRESSED,
    }
}
