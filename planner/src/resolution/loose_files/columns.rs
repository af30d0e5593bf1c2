//! The columns of files that do not say in a footer what they are: found out from a sample of each.

use super::ReadOptions;
use super::sample::{in_file, sample};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::catalog::Session;
use datafusion::datasource::file_format::FileFormat as LibraryReader;
use datafusion::datasource::file_format::avro::AvroFormat;
use object_store::{ObjectMeta, ObjectStore};
use skep_catalog::model::{Column, ColumnId, FileFormat};
use skep_hive_text::{
    CsvFormat, InferredColumn, JsonFormat, JsonShape, RowFormat, infer_csv, infer_json,
};
use skep_protocol::storage_url::StorageUrl;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::from_datafusion;
use std::sync::Arc;

use crate::stored_type;

/// How many files are looked at for the columns of all.
const SAMPLED_FILES_MAX: usize = 32;

/// What was found out.
pub struct FileColumns {
    /// The columns, in their order.
    pub columns: Vec<Column>,
    /// How rows are written, where they are text.
    pub rows: Option<RowFormat>,
}

/// Finds out the columns of `files`, which are below `root`. CSV files have those of the first one, unless a union is asked for; of the
/// others some are looked at.
///
/// # Errors
/// Where a file cannot be read, or has no columns.
pub async fn infer_columns(
    state: &dyn Session,
    (store, root): (&Arc<dyn ObjectStore>, &StorageUrl),
    format: FileFormat,
    files: &[ObjectMeta],
    options: &ReadOptions,
) -> Result<FileColumns, QueryError> {
    let sampled = &files[..files.len().min(SAMPLED_FILES_MAX)];
    let (found, rows) = match format {
        FileFormat::Csv => {
            let (csv, found) = csv_columns((store, root), sampled, options).await?;
            (found, Some(RowFormat::Csv(Arc::new(csv))))
        }
        FileFormat::Json => {
            let json = JsonFormat {
                skips_bad_lines: options.skips_bad_lines,
            };
            let found = match options.columns.is_empty() {
                true => json_columns((store, root), sampled, options).await?,
                false => Vec::new(),
            };
            (found, Some(RowFormat::Json(Arc::new(json))))
        }
        FileFormat::Avro => (avro_columns(state, (store, root), sampled).await?, None),
        other => {
            let text = format!("{} files do not say their columns", other.as_str());
            return Err(QueryError::new(ErrorCode::Unsupported, text));
        }
    };
    Ok(FileColumns {
        columns: columns_of(found, options)?,
        rows,
    })
}

/// What was found as columns, with what is said of them.
fn columns_of(
    found: Vec<InferredColumn>,
    options: &ReadOptions,
) -> Result<Vec<Column>, QueryError> {
    let semantic = |text: String| QueryError::new(ErrorCode::Semantic, text);
    let column = |(id, (name, data_type, sql_type)): (u32, (String, _, Option<String>))| Column {
        id: ColumnId(id),
        name: name.to_lowercase(),
        source_name: name,
        data_type,
        sql_type,
        nullable: true,
        comment: None,
    };
    if !options.columns.is_empty() {
        let said = options.columns.iter().map(|(name, sql_type)| {
            let sql_type = sql_type.clone();
            (name.clone(), sql_type.data_type, sql_type.sql_type)
        });
        return Ok((0..).zip(said).map(column).collect());
    }
    if options.names.len() > found.len() {
        let text = format!(
            "there are {} columns, and {} names for them",
            found.len(),
            options.names.len()
        );
        return Err(semantic(text));
    }
    let mut columns = Vec::with_capacity(found.len());
    for (place, (name, data_type)) in found.into_iter().enumerate() {
        let data_type = stored_type(&name, &data_type)?;
        let name = options.names.get(place).cloned().unwrap_or(name);
        columns.push((name, data_type, None));
    }
    for (name, sql_type) in &options.types {
        let same = columns
            .iter_mut()
            .find(|(found, ..)| found.to_lowercase() == name.to_lowercase());
        let Some((_, data_type, said)) = same else {
            return Err(QueryError::new(
                ErrorCode::ColumnNotFound,
                format!("there is no column '{name}' to have a type"),
            ));
        };
        (*data_type, *said) = (sql_type.data_type.clone(), sql_type.sql_type.clone());
    }
    Ok((0..).zip(columns).map(column).collect())
}

async fn csv_columns(
    (store, root): (&Arc<dyn ObjectStore>, &StorageUrl),
    files: &[ObjectMeta],
    options: &ReadOptions,
) -> Result<(CsvFormat, Vec<InferredColumn>), QueryError> {
    let mut hints = options.csv.clone();
    let mut all: Vec<InferredColumn> = Vec::new();
    for file in files {
        let sample = sample(store, root, file, options.has_large_sample).await?;
        let found = infer_csv(&sample.text, sample.is_whole, &hints);
        let (format, columns) = found.map_err(|error| in_file(root, file, &error))?;
        if all.is_empty() {
            hints.delimiter = Some(format.delimiter);
            hints.has_header = Some(format.has_header);
            hints.format = format;
            all = columns;
        } else {
            for (name, data_type) in columns {
                merge(&mut all, name, data_type);
            }
        }
        if !options.union_by_name && !all.is_empty() {
            break;
        }
    }
    let is_named = options.columns.is_empty() && options.names.is_empty();
    let format = CsvFormat {
        by_name: hints.format.by_name && is_named && files.len() > 1,
        ..hints.format
    };
    Ok((format, all))
}

/// Adds a column of another file. One that both have gets a type that holds the values of both.
fn merge(all: &mut Vec<InferredColumn>, name: String, data_type: DataType) {
    let same = |(found, _): &&mut InferredColumn| found.to_lowercase() == name.to_lowercase();
    let Some((_, known)) = all.iter_mut().find(same) else {
        all.push((name, data_type));
        return;
    };
    *known = match (&*known, &data_type) {
        (left, right) if left == right => return,
        (left, right) if left.is_numeric() && right.is_numeric() => {
            match left.is_floating() || right.is_floating() {
                true => DataType::Float64,
                false => DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0),
            }
        }
        _ => DataType::Utf8,
    };
}

async fn json_columns(
    (store, root): (&Arc<dyn ObjectStore>, &StorageUrl),
    files: &[ObjectMeta],
    options: &ReadOptions,
) -> Result<Vec<InferredColumn>, QueryError> {
    let mut shape = JsonShape::default();
    for file in files {
        let sample = sample(store, root, file, options.has_large_sample).await?;
        infer_json(
            &sample.text,
            sample.is_whole,
            options.skips_bad_lines,
            &mut shape,
        )
        .map_err(|error| in_file(root, file, &error))?;
    }
    Ok(shape.columns())
}

async fn avro_columns(
    state: &dyn Session,
    (store, root): (&Arc<dyn ObjectStore>, &StorageUrl),
    files: &[ObjectMeta],
) -> Result<Vec<InferredColumn>, QueryError> {
    let first = &files[..files.len().min(1)];
    let schema = AvroFormat.infer_schema(state, store, first).await;
    let schema = schema.map_err(|error| match first {
        [file] => in_file(root, file, &error),
        _ => from_datafusion(&error),
    })?;
    let fields = schema.fields().iter();
    Ok(fields
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect())
}
