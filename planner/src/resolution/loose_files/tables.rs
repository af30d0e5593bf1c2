//! Makes a table of files.

use super::columns::{FileColumns, infer_columns};
use super::locate::{Located, locate};
use super::options::Request;
use super::{LOOSE_DATABASE, PlanningContext};
use crate::table_scan::CatalogTable;
use datafusion::arrow::datatypes::DataType;
use datafusion::execution::SessionState;
use skep_catalog::CatalogError;
use skep_catalog::discovery::{Discovered, Expectation, FoundFile, discover_files};
use skep_catalog::model::{
    CatalogVersion, FileFormat, Partition, PartitionColumn, StorageOptions, Table, TableDefinition,
    TableFiles, TableId, TableKind, partition_value,
};
use skep_hive_text::{Compression, RowFormat};
use skep_protocol::{ErrorCode, QueryError};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The name of the column that has the name of a row's file.
const FILENAME: &str = "filename";

/// The table that a relation asks for.
///
/// # Errors
/// Where the files are not there, are of no known format, or do not fit together.
pub(super) async fn table_of(
    context: &PlanningContext,
    state: &SessionState,
    request: Request,
) -> Result<CatalogTable, QueryError> {
    let mut located = locate(context, &request.places).await?;
    let format = match request.format {
        Some(format) => format,
        None => format_of(&located.files, &request.places)?,
    };
    let is_partitioned = match request.options.hive_partitioning {
        Some(wanted) => wanted,
        None => has_partitions(&located.files),
    };
    if !is_partitioned {
        for file in &mut located.files {
            file.directories.clear();
        }
    }
    let (mut discovered, rows) = match format {
        FileFormat::Parquet => (parquet(context, located, &request).await?, None),
        _ => others(context, state, format, located, &request).await?,
    };
    if request.options.filename {
        add_filenames(&mut discovered)?;
    }
    let definition = TableDefinition {
        database: LOOSE_DATABASE.trim().to_owned(),
        name: request.places.join(", "),
        kind: TableKind::External,
        format,
        storage: StorageOptions::default(),
        location: discovered.location,
        columns: discovered.columns,
        columns_declared: false,
        retired_columns: Vec::new(),
        partition_columns: discovered.partition_columns,
        bucketing: None,
        properties: BTreeMap::new(),
        comment: None,
        owner: String::new(),
        created_at: chrono::Utc::now(),
    };
    let table = Table {
        id: TableId(0),
        version: CatalogVersion(0),
        definition,
    };
    let uses_views = state
        .config_options()
        .execution
        .parquet
        .schema_force_view_types;
    let files = Arc::new(discovered.files);
    Ok(CatalogTable::of_files(
        Arc::new(table),
        files,
        rows,
        uses_views,
    ))
}

/// The format that the first file's name tells.
fn format_of(files: &[FoundFile], places: &[String]) -> Result<FileFormat, QueryError> {
    let name = files.first().and_then(|file| file.meta.location.filename());
    let mut name = name.unwrap_or_default();
    if Compression::of(name).is_some() {
        name = name.rsplit_once('.').map_or(name, |(name, _)| name);
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("parquet" | "parq" | "pq") => Ok(FileFormat::Parquet),
        Some("csv" | "tsv" | "psv") => Ok(FileFormat::Csv),
        Some("json" | "jsonl" | "ndjson") => Ok(FileFormat::Json),
        Some("avro") => Ok(FileFormat::Avro),
        _ => {
            let text = format!(
                "the format of '{}' cannot be seen by its name: use read_parquet, read_csv, \
                 read_json or read_avro",
                places.join("', '")
            );
            Err(QueryError::new(ErrorCode::Unsupported, text))
        }
    }
}

/// Whether all files lie in directories of the same partition columns.
fn has_partitions(files: &[FoundFile]) -> bool {
    let names = |file: &FoundFile| -> Vec<String> {
        let directories = file.directories.iter();
        directories
            .filter_map(|name| partition_value::parse_directory(name))
            .map(|(column, _)| column.to_lowercase())
            .collect()
    };
    let Some(first) = files.first().map(names) else {
        return false;
    };
    let mut sorted = first.clone();
    sorted.sort();
    sorted.dedup();
    let are_unique = sorted.len() == first.len();
    !first.is_empty() && are_unique && files.iter().all(|file| names(file) == first)
}

/// The columns are those of the first file, or of all.
async fn parquet(
    context: &PlanningContext,
    located: Located,
    request: &Request,
) -> Result<Discovered, QueryError> {
    let Located { store, root, files } = located;
    let roots = &context.readable_roots();
    let mut expectation = Expectation::default();
    let first;
    if !request.options.union_by_name && files.len() > 1 {
        let one = files.iter().take(1).cloned().collect();
        first = discover_files(&store, &root, one, roots, expectation).await?;
        expectation.columns = &first.columns;
        expectation.columns_are_final = true;
    }
    let found = discover_files(&store, &root, files, roots, expectation).await;
    found.map_err(|error| {
        let is_other_type = matches!(error, CatalogError::SchemaMismatch { .. });
        let mut error = QueryError::from(error);
        if is_other_type && !request.options.union_by_name {
            error.message += "; read_parquet(…, union_by_name => true) takes the columns of all";
        }
        error
    })
}

async fn others(
    context: &PlanningContext,
    state: &SessionState,
    format: FileFormat,
    located: Located,
    request: &Request,
) -> Result<(Discovered, Option<RowFormat>), QueryError> {
    let Located { store, root, files } = located;
    let metas: Vec<_> = files.iter().map(|file| file.meta.clone()).collect();
    let FileColumns { mut columns, rows } =
        infer_columns(state, (&store, &root), format, &metas, &request.options).await?;
    if columns.is_empty() {
        let text = format!("there is nothing in '{}'", request.places.join("', '"));
        return Err(QueryError::new(ErrorCode::FileNotFound, text));
    }
    // What is in the directories' names comes from there.
    let directories = files.first().map(|file| file.directories.as_slice());
    let in_path: Vec<String> = directories
        .unwrap_or_default()
        .iter()
        .filter_map(|name| partition_value::parse_directory(name))
        .map(|(column, _)| column.to_lowercase())
        .collect();
    columns.retain(|column| !in_path.contains(&column.name));
    let expectation = Expectation {
        format,
        columns: &columns,
        columns_are_final: true,
        ..Expectation::default()
    };
    let roots = &context.readable_roots();
    let found = discover_files(&store, &root, files, roots, expectation).await?;
    Ok((found, rows))
}

/// Makes each file a partition of its own, with the file's name for a value.
fn add_filenames(found: &mut Discovered) -> Result<(), QueryError> {
    let in_files = found.columns.iter().map(|column| &column.name);
    let in_paths = found.partition_columns.iter().map(|column| &column.name);
    if in_files.chain(in_paths).any(|name| name == FILENAME) {
        let text = "the files have a column 'filename' already";
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    let known: HashMap<u32, Vec<Option<String>>> = found
        .files
        .partitions
        .iter()
        .map(|partition| (partition.number, partition.values.clone()))
        .collect();
    let mut partitions = Vec::with_capacity(found.files.files.len());
    for (number, file) in (0..).zip(&mut found.files.files) {
        let location = found.location.with_key(&file.path)?;
        let values = file.partition.and_then(|number| known.get(&number));
        let mut values = values.cloned().unwrap_or_default();
        values.push(Some(match location.to_local_path() {
            Some(path) => path.display().to_string(),
            None => location.to_string(),
        }));
        file.partition = Some(number);
        partitions.push(Partition {
            number,
            values,
            location,
        });
    }
    found.files = TableFiles {
        partitions: partitions.into(),
        files: std::mem::take(&mut found.files.files),
    };
    found.partition_columns.push(PartitionColumn {
        name: FILENAME.to_owned(),
        data_type: DataType::Utf8,
        sql_type: None,
        comment: None,
    });
    Ok(())
}
