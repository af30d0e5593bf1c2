//! How a statement says that files are written, as the catalog keeps it and as writers need it.

use crate::statement::StorageClauses;
use crate::statement::unsupported;
use datafusion::arrow::datatypes::DataType;
use skep_catalog::model::{FileFormat, StorageOptions, TableDefinition, TextLayout};
use skep_hive_text::{LEVELS_MAX, TextFormat, levels_of};
use skep_planner::text_format;
use skep_protocol::{ErrorCode, QueryError};
use skep_writer::{CsvOptions, FileOptions, ParquetOptions};
use std::collections::BTreeMap;

/// How many rows a row group has where a table does not say it. Large enough for a scan to read in one
/// go, small enough for pruning.
const ROW_GROUP_ROWS_MAX: usize = 1024 * 1024;

/// How large a file becomes where a table does not say it, in bytes.
const FILE_BYTES_TARGET: u64 = 256 * 1024 * 1024;

/// The compression of Parquet files where a table does not say it.
const COMPRESSION: &str = "snappy";

/// Table properties that say how files are written.
const COMPRESSION_PROPERTY: &str = "parquet.compression";
const FILE_BYTES_PROPERTY: &str = "skep.file.bytes";
const ROW_GROUP_ROWS_PROPERTY: &str = "skep.row_group.rows";
const BLOOM_FILTER_PROPERTY: &str = "skep.bloom_filter.columns";
/// By what the rows of a file are sorted: `a, b DESC`.
pub(crate) const SORT_PROPERTY: &str = "skep.sort.columns";
pub(crate) const HEADER_PROPERTY: &str = "skip.header.line.count";

/// The format and its details.
///
/// # Errors
/// `Unsupported` naming what is not done.
pub(crate) fn storage_of(
    clauses: &StorageClauses,
    properties: &BTreeMap<String, String>,
) -> Result<(FileFormat, StorageOptions), QueryError> {
    let mut storage = StorageOptions {
        serde: clauses.serde.clone(),
        field_delimiter: clauses.field_delimiter,
        collection_delimiter: clauses.collection_delimiter,
        map_key_delimiter: clauses.map_key_delimiter,
        line_delimiter: clauses.line_delimiter,
        escape: clauses.escape,
        null_text: clauses.null_text.clone(),
        ..StorageOptions::default()
    };
    let format = format_of(clauses)?;
    for (key, value) in &clauses.serde_properties {
        serde_property(&mut storage, key, value)?;
        storage.serde_properties.insert(key.clone(), value.clone());
    }
    if let Some(lines) = properties.get(HEADER_PROPERTY) {
        storage.header_lines = Some(lines.parse().map_err(|_| not_a_number(HEADER_PROPERTY))?);
    }
    check_text(format, &storage)?;
    check_properties(properties)?;
    Ok((format, storage))
}

fn format_of(clauses: &StorageClauses) -> Result<FileFormat, QueryError> {
    let class = clauses.serde.as_deref().map(|class| {
        let name = class.rsplit('.').next().unwrap_or(class);
        match name {
            "OpenCSVSerde" => Ok(FileFormat::Csv),
            "LazySimpleSerDe" => Ok(FileFormat::Text),
            "ParquetHiveSerDe" => Ok(FileFormat::Parquet),
            "JsonSerDe" => Ok(FileFormat::Json),
            "AvroSerDe" => Ok(FileFormat::Avro),
            _ => Err(unsupported(&format!("ROW FORMAT SERDE '{class}'"))),
        }
    });
    let by_class = class.transpose()?;
    let by_name = clauses.format.as_deref().map(|name| {
        FileFormat::from_name(name).ok_or_else(|| unsupported(&format!("STORED AS {name}")))
    });
    let is_delimited = clauses.field_delimiter.is_some()
        || clauses.escape.is_some()
        || clauses.line_delimiter.is_some()
        || clauses.collection_delimiter.is_some()
        || clauses.map_key_delimiter.is_some()
        || clauses.null_text.is_some();
    match (by_name.transpose()?, by_class) {
        // OpenCSVSerde and JsonSerDe come with STORED AS TEXTFILE.
        (Some(FileFormat::Text) | None, Some(by_class)) => Ok(by_class),
        (Some(by_name), Some(by_class)) if by_name != by_class => {
            let text = format!(
                "STORED AS {} and the SERDE, which is for {}, do not go together",
                by_name.as_str(),
                by_class.as_str()
            );
            Err(QueryError::new(ErrorCode::Semantic, text))
        }
        (Some(by_name), _) => Ok(by_name),
        (None, None) if is_delimited => Ok(FileFormat::Text),
        (None, None) => Ok(FileFormat::Parquet),
    }
}

fn serde_property(storage: &mut StorageOptions, key: &str, value: &str) -> Result<(), QueryError> {
    let one = || {
        let mut letters = value.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(letter),
            (Some('\\'), Some('t')) => Ok('\t'),
            _ => {
                let text = format!("'{key}' takes one character, not '{value}'");
                Err(QueryError::new(ErrorCode::Semantic, text))
            }
        }
    };
    match key.to_ascii_lowercase().as_str() {
        "separatorchar" | "field.delim" | "sep" | "delim" | "delimiter" | "format.delimiter" => {
            storage.field_delimiter = Some(one()?);
        }
        "quotechar" | "quote" | "format.quote" => storage.quote = Some(one()?),
        "escapechar" | "escape.delim" | "escape" | "format.escape" => storage.escape = Some(one()?),
        "collection.delim" | "colelction.delim" => storage.collection_delimiter = Some(one()?),
        "mapkey.delim" => storage.map_key_delimiter = Some(one()?),
        "line.delim" => storage.line_delimiter = Some(one()?),
        "serialization.null.format" | "nullvalue" => storage.null_text = Some(value.to_owned()),
        "serialization.format" => {}
        "header" | "has_header" | "format.has_header" => {
            storage.header_lines = Some(u32::from(value.eq_ignore_ascii_case("true")))
        }
        _ => return Err(unsupported(&format!("the SERDE property '{key}'"))),
    }
    Ok(())
}

/// What the readers and writers of lines cannot do is refused here.
fn check_text(format: FileFormat, storage: &StorageOptions) -> Result<(), QueryError> {
    let layout = TextLayout::new(format, storage);
    if layout.line_delimiter != '\n' {
        return Err(unsupported("LINES TERMINATED BY anything but '\\n'"));
    }
    for (name, letter) in [
        ("FIELDS TERMINATED BY", Some(layout.field_delimiter)),
        (
            "COLLECTION ITEMS TERMINATED BY",
            Some(layout.collection_delimiter),
        ),
        ("MAP KEYS TERMINATED BY", Some(layout.map_key_delimiter)),
        ("the quote", layout.quote),
        ("ESCAPED BY", layout.escape),
    ] {
        if letter.is_some_and(|letter| !letter.is_ascii()) {
            return Err(unsupported(&format!(
                "{name} with a character beyond ASCII"
            )));
        }
    }
    match format {
        FileFormat::Text => check_delimiters(&text_format(storage)),
        _ => check_csv(storage, &layout),
    }
}

/// Delimiters that cannot be told apart would make other values of those that are written.
fn check_delimiters(format: &TextFormat) -> Result<(), QueryError> {
    let special = format.delimiters.iter().chain(&format.escape);
    let special: Vec<u8> = special.copied().chain([b'\n', b'\r']).collect();
    for (place, byte) in special.iter().enumerate() {
        if special[..place].contains(byte) {
            let text = format!(
                "'{}' cannot separate or escape two things at once",
                char::from(*byte).escape_default()
            );
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
    }
    let delimits = |byte: &u8| matches!(byte, b'\n' | b'\r') || format.delimiters.contains(byte);
    if format.null_text.as_bytes().iter().any(delimits) {
        let text = format!("'{}' for NULL has a delimiter in it", format.null_text);
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    Ok(())
}

fn check_csv(storage: &StorageOptions, layout: &TextLayout) -> Result<(), QueryError> {
    if storage
        .null_text
        .as_deref()
        .is_some_and(|text| !text.is_empty())
    {
        return Err(unsupported("NULL as anything but the empty text"));
    }
    if layout.header_lines > 1 {
        return Err(unsupported("more than one header line"));
    }
    if storage.collection_delimiter.is_some() || storage.map_key_delimiter.is_some() {
        return Err(unsupported("COLLECTION ITEMS and MAP KEYS TERMINATED BY"));
    }
    Ok(())
}

fn check_properties(properties: &BTreeMap<String, String>) -> Result<(), QueryError> {
    let known = [
        FILE_BYTES_PROPERTY,
        ROW_GROUP_ROWS_PROPERTY,
        BLOOM_FILTER_PROPERTY,
        SORT_PROPERTY,
    ];
    for key in properties.keys() {
        if key.starts_with("skep.") && !known.contains(&key.as_str()) {
            let text = format!(
                "there is no table property '{key}'; there are {}",
                known.join(", ")
            );
            return Err(QueryError::new(ErrorCode::InvalidSetting, text));
        }
    }
    parquet_options(properties)?;
    file_bytes_target(properties)?;
    Ok(())
}

fn not_a_number(property: &str) -> QueryError {
    let text = format!("'{property}' takes a whole number above 0");
    QueryError::new(ErrorCode::InvalidSetting, text)
}

fn parquet_options(properties: &BTreeMap<String, String>) -> Result<ParquetOptions, QueryError> {
    let compression = properties.get(COMPRESSION_PROPERTY).map(String::as_str);
    let compression = match compression
        .unwrap_or(COMPRESSION)
        .to_ascii_lowercase()
        .as_str()
    {
        "none" | "uncompressed" => "uncompressed",
        "snappy" => "snappy",
        "zstd" => "zstd(3)",
        "lz4" | "lz4_raw" => "lz4_raw",
        other => {
            let text = format!(
                "'{COMPRESSION_PROPERTY}' takes uncompressed, snappy, lz4 or zstd, not '{other}'"
            );
            return Err(QueryError::new(ErrorCode::InvalidSetting, text));
        }
    };
    let rows = properties.get(ROW_GROUP_ROWS_PROPERTY);
    let rows = rows.map(|rows| rows.parse().ok().filter(|rows| *rows > 0));
    let bloom_filter_columns = properties.get(BLOOM_FILTER_PROPERTY);
    Ok(ParquetOptions {
        compression: compression.to_owned(),
        row_group_rows_max: match rows {
            Some(rows) => rows.ok_or_else(|| not_a_number(ROW_GROUP_ROWS_PROPERTY))?,
            None => ROW_GROUP_ROWS_MAX,
        },
        bloom_filter_columns: bloom_filter_columns
            .iter()
            .flat_map(|names| names.split(','))
            .map(|name| name.trim().to_lowercase())
            .filter(|name| !name.is_empty())
            .collect(),
    })
}

/// How large the files of a table with these properties become.
pub(crate) fn file_bytes_target(properties: &BTreeMap<String, String>) -> Result<u64, QueryError> {
    match properties.get(FILE_BYTES_PROPERTY) {
        Some(bytes) => match bytes.parse() {
            Ok(bytes) if bytes > 0 => Ok(bytes),
            _ => Err(not_a_number(FILE_BYTES_PROPERTY)),
        },
        None => Ok(FILE_BYTES_TARGET),
    }
}

/// How the files of a table are written.
///
/// # Errors
/// `Unsupported` where files of the format are only read; `ColumnNotFound`.
pub(crate) fn file_options(definition: &TableDefinition) -> Result<FileOptions, QueryError> {
    match definition.format {
        FileFormat::Parquet => {
            let mut options = parquet_options(&definition.properties)?;
            for name in &mut options.bloom_filter_columns {
                let column = definition.column(name).ok_or_else(|| {
                    let text = format!("'{BLOOM_FILTER_PROPERTY}' names no column with '{name}'");
                    QueryError::new(ErrorCode::ColumnNotFound, text)
                })?;
                if column.data_type.is_nested() {
                    return Err(unsupported("a Bloom filter on a nested column"));
                }
                *name = column.source_name.clone();
            }
            Ok(FileOptions::Parquet(options))
        }
        FileFormat::Json => Ok(FileOptions::Json),
        format @ FileFormat::Csv => {
            let layout = TextLayout::new(format, &definition.storage);
            let byte = |letter: char| u8::try_from(letter).unwrap_or(b'?');
            Ok(FileOptions::Csv(CsvOptions {
                field_delimiter: byte(layout.field_delimiter),
                escape: layout.escape.map(byte),
                quote: layout.quote.map_or(b'"', byte),
                header: layout.header_lines > 0,
                null_text: None,
            }))
        }
        FileFormat::Avro => Ok(FileOptions::Avro),
        FileFormat::Text => Ok(FileOptions::Text(text_format(&definition.storage))),
        other => Err(unsupported(&format!("writing {} files", other.as_str()))),
    }
}

/// Columns of CSV files are flat, and those of text files not too deep.
pub(crate) fn check_column_type(
    format: FileFormat,
    name: &str,
    data_type: &DataType,
) -> Result<(), QueryError> {
    if format == FileFormat::Csv && (data_type.is_nested() || data_type.is_binary()) {
        let text = format!(
            "column '{name}' is {data_type}, which {} files cannot hold",
            format.as_str()
        );
        return Err(QueryError::new(ErrorCode::Unsupported, text));
    }
    if format == FileFormat::Text && levels_of(data_type) >= LEVELS_MAX {
        let text = format!("column '{name}' is nested too deep for text files");
        return Err(QueryError::new(ErrorCode::Unsupported, text));
    }
    Ok(())
}
