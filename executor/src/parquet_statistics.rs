//! Keeps scans from believing statistics that cannot be relied on.
//!
//! DataFusion prunes row groups as if a null count that is missing were zero, and does not ask by which order
//! bounds were found. Its readers are wrapped, so that they see the metadata without what is not to be believed.

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::error::Result;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::ParquetMetaData;
use skep_parquet_statistics::trusted;
use std::ops::Range;
use std::sync::Arc;

/// The source with a reader that sees trusted statistics only.
pub(crate) fn with_trusted_statistics(source: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
    let wrapped = source.downcast_ref::<ParquetSource>().and_then(|source| {
        let inner = Arc::clone(source.parquet_file_reader_factory()?);
        let factory = Arc::new(TrustedReaderFactory(inner));
        let source = source.clone().with_parquet_file_reader_factory(factory);
        Some(Arc::new(source) as Arc<dyn FileSource>)
    });
    wrapped.unwrap_or(source)
}

#[derive(Debug)]
struct TrustedReaderFactory(Arc<dyn ParquetFileReaderFactory>);

impl ParquetFileReaderFactory for TrustedReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        partitioned_file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let inner = self.0.create_reader(
            partition_index,
            partitioned_file,
            metadata_size_hint,
            metrics,
        )?;
        Ok(Box::new(TrustedReader(inner)))
    }
}

struct TrustedReader(Box<dyn AsyncFileReader + Send>);

impl AsyncFileReader for TrustedReader {
    fn get_bytes(
        &mut self,
        range: Range<u64>,
    ) -> BoxFuture<'_, parquet::errors::Result<bytes::Bytes>> {
        self.0.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<bytes::Bytes>>> {
        self.0.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let metadata = self.0.get_metadata(options);
        async move { trusted(metadata.await?) }.boxed()
    }
}
