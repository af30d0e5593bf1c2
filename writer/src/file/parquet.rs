//! Parquet files.

use crate::spec::{ParquetOptions, WriteSpec};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use object_store::buffered::BufWriter;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::str::FromStr;

/// What the writer is told. The file's schema is Parquet's own: what Arrow would add to it (views,
/// offsets of 64 bits) concerns nobody who reads the file.
///
/// # Errors
/// Where the compression is unknown.
pub(super) fn properties(
    options: &ParquetOptions,
    spec: &WriteSpec,
    schema: &SchemaRef,
) -> Result<ArrowWriterOptions> {
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("skep {}", skep_protocol::version::SKEP_VERSION))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::from_str(&options.compression)?)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(options.row_group_rows_max.max(1)));
    for column in &options.bloom_filter_columns {
        properties =
            properties.set_column_bloom_filter_enabled(ColumnPath::new(vec![column.clone()]), true);
    }
    let sorting = spec
        .sort_columns
        .iter()
        .filter(|column| column.index < schema.fields().len())
        .filter_map(|column| {
            Some(SortingColumn {
                column_idx: i32::try_from(column.index).ok()?,
                descending: column.descending,
                nulls_first: !column.descending,
            })
        })
        .collect::<Vec<_>>();
    // Columns are numbered by their leaves, which are the columns only where none is nested.
    let is_flat = schema
        .fields()
        .iter()
        .all(|field| !field.data_type().is_nested());
    if is_flat && !sorting.is_empty() {
        properties = properties.set_sorting_columns(Some(sorting));
    }
    Ok(ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_skip_arrow_metadata(true))
}

/// Completes a file; returns its size.
///
/// # Errors
/// Those of the store.
pub(super) async fn finish(mut writer: AsyncArrowWriter<BufWriter>) -> Result<u64> {
    writer.finish().await?;
    Ok(writer.bytes_written() as u64)
}
