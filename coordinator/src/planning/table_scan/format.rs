//! The reader of a table's files.

use datafusion::catalog::Session;
use datafusion::common::config::CsvOptions;
use datafusion::datasource::file_format::FileFormat as Reader;
use datafusion::datasource::file_format::avro::AvroFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::error::Result;
use skep_catalog::model::{FileFormat, TableDefinition, TextLayout};
use skep_exchange::error::to_datafusion;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;

/// The reader of files of a table's format.
///
/// # Errors
/// `Unsupported` where there is none.
pub(super) fn reader(definition: &TableDefinition, state: &dyn Session) -> Result<Arc<dyn Reader>> {
    Ok(match definition.format {
        FileFormat::Parquet => {
            let options = state.default_table_options().parquet;
            Arc::new(ParquetFormat::default().with_options(options))
        }
        FileFormat::Avro => Arc::new(AvroFormat),
        FileFormat::Json => Arc::new(JsonFormat::default()),
        format @ FileFormat::Csv => {
            let layout = TextLayout::new(format, &definition.storage);
            Arc::new(CsvFormat::default().with_options(text_options(&layout)))
        }
        other => {
            let text = format!("reading {} files is not supported", other.as_str());
            return Err(to_datafusion(QueryError::new(ErrorCode::Unsupported, text)));
        }
    })
}

fn text_options(layout: &TextLayout) -> CsvOptions {
    let byte = |letter: char| u8::try_from(letter).unwrap_or(b',');
    let defaults = CsvOptions::default();
    CsvOptions {
        has_header: Some(layout.header_lines > 0),
        delimiter: byte(layout.field_delimiter),
        quote: layout.quote.map_or(defaults.quote, byte),
        escape: layout.escape.map(byte),
        newlines_in_values: Some(true),
        // Columns that a line lacks at its end are NULL, as in Hive.
        truncated_rows: Some(true),
        ..defaults
    }
}
