//! `COPY … TO`, which writes the rows of a query into files that are no table's, and `COPY … FROM`, which is an
//! INSERT of what `read_parquet` and its like read.

mod options;

use super::Coordinator;
use super::files::{directory_definition, keep, remove, storage};
use super::write::write_target;
use crate::query::QueryHandle;
use crate::session::Session;
use crate::statement::{
    CopyFrom, CopyOption, CopyTo, Dialect, Insert, ParseOptions, SourceQuery, Statement,
    parse_location,
};
use arrow::datatypes::{DataType, Field};
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use options::{Existing, WriteOptions};
use skep_catalog::catalog::ColumnSpec;
use skep_catalog::model::PartitionColumn;
use skep_planner::{ResolvedQuery, stored_type};
use skep_protocol::storage_url::StorageUrl;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::sql_type::sql_type;
use skep_storage::Durability;
use skep_writer::WrittenFile;
use std::fmt::Write;
use std::sync::Arc;

/// How long the statement may be that reads files: the names of many columns are in it.
const STATEMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Coordinator {
    /// Writes the rows of a query into a file or a directory. Returns how many there were.
    pub(super) async fn copy_to(
        &self,
        session: &Session,
        handle: &QueryHandle,
        copy: CopyTo,
        parameters: Vec<ScalarValue>,
    ) -> Result<u64, QueryError> {
        let options = WriteOptions::new(&copy.place, &copy.options)?;
        let place = parse_location(&copy.place)?;
        self.config.allowed_roots.check(&place)?;
        self.check_no_table(&place)?;
        let _place = self.admission.admit().await?;
        handle.admitted();
        let (context, source) = self
            .resolve(session, handle, &copy.source.statement)
            .await?;
        let source = source.bind(parameters)?;
        let store = self.object_store(&place)?;
        let directory = match options.is_one_file {
            true => parent(&place)?,
            false => place.as_directory(),
        };
        let old = match options.is_one_file {
            true => Vec::new(),
            false => existing(&store, &directory, options.existing).await?,
        };
        let columns = copied_columns(&source)?;
        let listed = columns.iter().map(|column| column.name.clone()).collect();
        let (columns, partition_columns) = split(columns, &options.partition_by)?;
        let storage = (options.format, options.storage.clone());
        let mut definition = directory_definition(&directory, storage, columns, partition_columns);
        definition.properties = options.properties.clone();
        let mut target = write_target(&definition, handle.id(), &Vec::new(), listed, false)?;
        options.adjust(&mut target.spec);
        if options.is_one_file {
            target.spec.file_prefix = format!(".{}", target.spec.file_prefix);
        }
        let written = self.write_files(&context, source, target, handle).await?;
        if options.is_one_file {
            put_in_place(&store, &written, &place).await?;
        }
        for file in old {
            remove(&store, &file.location).await?;
        }
        Ok(written.iter().map(|file| file.rows).sum())
    }

    /// The INSERT that `COPY … FROM` is.
    pub(super) fn insert_of_copy(
        &self,
        session: &Session,
        copy: &CopyFrom,
    ) -> Result<Insert, QueryError> {
        let database = self.database_of(session, &copy.table);
        let catalog = self.catalog_of(session, &database, &copy.table.table);
        let snapshot = catalog.snapshot();
        let definition = &snapshot.table(&database, &copy.table.table)?.definition;
        let stored = definition.columns.iter();
        let stored = stored.map(|column| (column.name.as_str(), &column.data_type));
        let partitions = definition.partition_columns.iter();
        let partitions = partitions.map(|column| (column.name.as_str(), &column.data_type));
        let all: Vec<_> = stored.chain(partitions).collect();
        let wanted = match copy.columns.is_empty() {
            true => all,
            false => copy
                .columns
                .iter()
                .map(|name| {
                    let name = name.to_lowercase();
                    let found = all.iter().find(|(column, _)| *column == name);
                    found.copied().ok_or_else(|| {
                        let text = format!("table {} has no column '{name}'", definition.name);
                        QueryError::new(ErrorCode::ColumnNotFound, text)
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        let function = options::function(&copy.places, &copy.options)?;
        let sql = reading(function, &wanted, copy);
        let options = ParseOptions {
            bytes_max: STATEMENT_BYTES_MAX,
            dialect: Dialect::Standard,
        };
        let Statement::Query(statement) = crate::statement::parse(&sql, options)? else {
            return Err(QueryError::internal(
                "COPY became something else than a query",
            ));
        };
        Ok(Insert {
            table: copy.table.clone(),
            overwrite: false,
            partition: Vec::new(),
            if_not_exists: false,
            columns: wanted.iter().map(|(name, _)| (*name).to_owned()).collect(),
            source: SourceQuery { sql, statement },
        })
    }
}

/// The columns of the files. One that is NULL without a type is text.
fn copied_columns(source: &ResolvedQuery) -> Result<Vec<ColumnSpec>, QueryError> {
    let schema = source.schema();
    let column = |field: &Arc<Field>| {
        let data_type = match field.data_type() {
            DataType::Null => DataType::Utf8,
            other => stored_type(field.name(), other)?,
        };
        Ok(ColumnSpec {
            name: field.name().clone(),
            data_type,
            sql_type: None,
            nullable: true,
            comment: None,
        })
    };
    schema.fields().iter().map(column).collect()
}

/// The query that reads the files. The columns of lines are known by their places, others by their names.
fn reading(function: &str, wanted: &[(&str, &DataType)], copy: &CopyFrom) -> String {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let name = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let names: Vec<String> = wanted.iter().map(|(column, _)| name(column)).collect();
    let places: Vec<String> = copy.places.iter().map(|place| text(place)).collect();
    let mut sql = format!(
        "SELECT {} FROM {function}([{}]",
        names.join(", "),
        places.join(", ")
    );
    if matches!(function, "read_csv" | "read_json") {
        let typed = wanted
            .iter()
            .map(|(column, data_type)| format!("{}: {}", text(column), text(&sql_type(data_type))));
        let typed: Vec<String> = typed.collect();
        // Writing to a text does not fail.
        let _ = write!(sql, ", columns => {{{}}}", typed.join(", "));
    }
    for CopyOption { name, text, .. } in
        copy.options.iter().filter(|option| option.name != "format")
    {
        let value = if text.is_empty() { "true" } else { text };
        let _ = write!(sql, ", {name} => {value}");
    }
    sql.push(')');
    sql
}

/// The directory that a file is in.
fn parent(place: &StorageUrl) -> Result<StorageUrl, QueryError> {
    let directory = place
        .key()
        .rsplit_once('/')
        .map_or("", |(parent, _)| parent);
    Ok(place.with_key(directory)?.as_directory())
}

/// The files that the new ones replace.
async fn existing(
    store: &Arc<dyn ObjectStore>,
    directory: &StorageUrl,
    wanted: Existing,
) -> Result<Vec<ObjectMeta>, QueryError> {
    if wanted == Existing::Keep {
        return Ok(Vec::new());
    }
    let path = Path::parse(directory.key());
    let path = path.map_err(|error| QueryError::internal(error.to_string()))?;
    let mut listed = store.list(Some(&path));
    if wanted == Existing::Refuse {
        return match listed.next().await {
            None | Some(Err(object_store::Error::NotFound { .. })) => Ok(Vec::new()),
            Some(Err(error)) => Err(storage(error)),
            Some(Ok(_)) => {
                let text = format!(
                    "directory '{directory}' is not empty: OVERWRITE replaces its files, APPEND adds to them"
                );
                Err(QueryError::new(ErrorCode::AlreadyExists, text))
            }
        };
    }
    match listed.try_collect().await {
        Ok(files) => Ok(files),
        Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(storage(error)),
    }
}

/// The columns that go into the files, and those that go into the directories' names.
fn split(
    columns: Vec<ColumnSpec>,
    partition_by: &[String],
) -> Result<(Vec<ColumnSpec>, Vec<PartitionColumn>), QueryError> {
    let mut columns = columns;
    let mut partition_columns = Vec::with_capacity(partition_by.len());
    for name in partition_by {
        let is_meant = |column: &ColumnSpec| column.name.to_lowercase() == *name;
        let place = columns.iter().position(is_meant);
        let Some(place) = place else {
            let text = format!("PARTITION_BY names no column with '{name}'");
            return Err(QueryError::new(ErrorCode::ColumnNotFound, text));
        };
        let column = columns.remove(place);
        if !skep_catalog::model::partition_value::is_supported(&column.data_type) {
            let what = format!("PARTITION_BY a {}", sql_type(&column.data_type));
            return Err(crate::statement::unsupported(&what));
        }
        partition_columns.push(PartitionColumn {
            name: column.name.to_lowercase(),
            data_type: column.data_type,
            sql_type: None,
            comment: None,
        });
    }
    match columns.is_empty() {
        true => {
            let text = "PARTITION_BY leaves no column for the files";
            Err(QueryError::new(ErrorCode::Semantic, text))
        }
        false => Ok((columns, partition_columns)),
    }
}

/// Gives the file that was written the name that was asked for.
async fn put_in_place(
    store: &Arc<dyn ObjectStore>,
    written: &[WrittenFile],
    place: &StorageUrl,
) -> Result<(), QueryError> {
    let [file] = written else {
        let text = format!("{} files were written instead of one", written.len());
        return Err(QueryError::internal(text));
    };
    let path =
        |text: &str| Path::parse(text).map_err(|error| QueryError::internal(error.to_string()));
    let to = path(place.key())?;
    store
        .rename(&path(&file.path)?, &to)
        .await
        .map_err(storage)?;
    keep(&Durability::of(&place.store_url()), &to).await
}
