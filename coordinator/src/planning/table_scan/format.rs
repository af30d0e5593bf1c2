//! The reader of a table's files.

use crate::statement::text_format;
use datafusion::catalog::Session;
use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::config::CsvOptions;
use datafusion::datasource::file_format::FileFormat as LibraryReader;
use datafusion::datasource::file_format::avro::AvroFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use skep_catalog::model::{FileFormat, TableDefinition, TextLayout};
use skep_exchange::error::to_datafusion;
use skep_hive_text::{TextFormat, TextSource};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;

/// The unit of the legacy 96-bit timestamps.
const INT96_UNIT: &str = "us";

/// The reader of files of a table's format.
pub(super) enum Reader {
    /// One of the base library's.
    Library(Arc<dyn LibraryReader>),
    /// Skep's own of Hive's delimited text.
    Text(TextFormat),
}

impl Reader {
    /// The reader of a table's files.
    ///
    /// # Errors
    /// `Unsupported` where there is none.
    pub(super) fn of(definition: &TableDefinition, state: &dyn Session) -> Result<Self> {
        Ok(Self::Library(match definition.format {
            FileFormat::Parquet => {
                let mut options = state.default_table_options().parquet;
                // The columns of the legacy 96-bit timestamps reach further than nanoseconds do, and say nothing
                // of a zone. The options are sent to executors with the scan.
                options.global.coerce_int96 = Some(INT96_UNIT.to_owned());
                options.global.coerce_int96_tz = None;
                Arc::new(ParquetFormat::default().with_options(options))
            }
            FileFormat::Avro => Arc::new(AvroFormat),
            FileFormat::Json => Arc::new(JsonFormat::default()),
            format @ FileFormat::Csv => {
                let layout = TextLayout::new(format, &definition.storage);
                Arc::new(CsvFormat::default().with_options(csv_options(&layout)))
            }
            FileFormat::Text => return Ok(Self::Text(text_format(&definition.storage))),
            other => {
                let text = format!("reading {} files is not supported", other.as_str());
                return Err(to_datafusion(QueryError::new(ErrorCode::Unsupported, text)));
            }
        }))
    }

    /// What reads `files`, which have the columns of `schema`.
    pub(super) fn source<'a>(
        &self,
        schema: TableSchema,
        files: impl IntoIterator<Item = &'a str>,
    ) -> Arc<dyn FileSource> {
        match self {
            Self::Library(reader) => reader.file_source(schema),
            Self::Text(format) => Arc::new(TextSource::new(format.clone(), schema, files)),
        }
    }

    /// The scan.
    ///
    /// # Errors
    /// Those of the base library.
    pub(super) async fn plan(
        &self,
        state: &dyn Session,
        config: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match self {
            Self::Library(reader) => reader.create_physical_plan(state, config).await,
            Self::Text(_) => Ok(DataSourceExec::from_data_source(config)),
        }
    }
}

fn csv_options(layout: &TextLayout) -> CsvOptions {
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
