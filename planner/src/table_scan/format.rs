//! The reader of a table's files.

use crate::text_format;
use datafusion::catalog::Session;
use datafusion::catalog::memory::DataSourceExec;
use datafusion::datasource::file_format::FileFormat as LibraryReader;
use datafusion::datasource::file_format::avro::AvroFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use skep_catalog::model::{FileFormat, StorageOptions, TableDefinition, TextLayout};
use skep_hive_text::{CsvFormat, RowFormat, TextSource};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::to_datafusion;
use std::sync::Arc;

/// The unit of the legacy 96-bit timestamps.
const INT96_UNIT: &str = "us";

/// The reader of files of a table's format.
pub(super) enum Reader {
    /// One of the base library's.
    Library(Arc<dyn LibraryReader>),
    /// Skep's own of text.
    Text(RowFormat),
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
            FileFormat::Json => return Ok(Self::Text(RowFormat::Json(Arc::default()))),
            FileFormat::Csv => {
                let format = csv_format(&definition.storage);
                return Ok(Self::Text(RowFormat::Csv(Arc::new(format))));
            }
            FileFormat::Text => {
                let format = text_format(&definition.storage);
                return Ok(Self::Text(RowFormat::Delimited(Arc::new(format))));
            }
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

fn csv_format(storage: &StorageOptions) -> CsvFormat {
    let layout = TextLayout::new(FileFormat::Csv, storage);
    let byte = |letter: char| u8::try_from(letter).unwrap_or(b',');
    CsvFormat {
        delimiter: byte(layout.field_delimiter),
        quote: layout.quote.map(byte),
        escape: layout.escape.map(byte),
        has_header: layout.header_lines > 0,
        // Columns that a line lacks at its end are NULL, as in Hive.
        lacks_fields: true,
        ..CsvFormat::default()
    }
}
