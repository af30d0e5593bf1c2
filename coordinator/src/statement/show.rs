//! `SHOW` and `DESCRIBE` as rows.

mod catalog;
mod details;
mod functions;
mod like;
mod partitions;
mod queries;
mod statistics;

pub(crate) use catalog::check_names as check_partition_names;
pub(crate) use like::is_like;

use super::Show;
use crate::access;
use crate::engine::Coordinator;
use crate::session::{Session, Settings};
use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use skep_catalog::model::Privilege;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const TEXT: DataType = DataType::Utf8;
const COUNT: DataType = DataType::UInt64;
const MILLISECONDS: DataType = DataType::Int64;

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The schema of what is shown.
pub(crate) fn schema(what: &Show) -> SchemaRef {
    let columns: Vec<(&str, DataType)> = match what {
        Show::Databases(_) => vec![("database", TEXT)],
        Show::Tables { .. } => vec![("database", TEXT), ("table", TEXT), ("type", TEXT)],
        Show::Views { .. } => vec![("database", TEXT), ("view", TEXT), ("type", TEXT)],
        Show::Functions(_) => vec![("function", TEXT)],
        Show::Function(_) => vec![("function", TEXT), ("kind", TEXT), ("description", TEXT)],
        Show::ColumnNames { .. } => vec![("column", TEXT)],
        Show::Details { .. } => vec![("name", TEXT), ("value", TEXT), ("comment", TEXT)],
        Show::Database { .. } | Show::Query(_) | Show::TableProperties { .. } => {
            vec![("property", TEXT), ("value", TEXT)]
        }
        Show::CreateTable(_) | Show::CreateDatabase(_) => vec![("statement", TEXT)],
        Show::Profile(_) => vec![("profile", TEXT)],
        Show::Columns(_) | Show::Column { .. } | Show::QueryColumns(_) => vec![
            ("column", TEXT),
            ("type", TEXT),
            ("nullable", TEXT),
            ("partition_column", TEXT),
            ("comment", TEXT),
        ],
        Show::Partitions { .. } => vec![
            ("partition", TEXT),
            ("files", COUNT),
            ("rows", COUNT),
            ("bytes", COUNT),
            ("location", TEXT),
        ],
        Show::Executors => vec![
            ("id", TEXT),
            ("address", TEXT),
            ("state", TEXT),
            ("cores", COUNT),
            ("memory_used", COUNT),
            ("memory_limit", COUNT),
            ("resident_memory", COUNT),
            ("running_tasks", COUNT),
            ("version", TEXT),
            ("last_heartbeat", timestamp()),
            ("task_failures", COUNT),
            ("suspended_until", timestamp()),
        ],
        Show::Queries => vec![
            ("query_id", TEXT),
            ("state", TEXT),
            ("user", TEXT),
            ("submitted_at", timestamp()),
            ("elapsed_ms", MILLISECONDS),
            ("rows", COUNT),
            ("tasks", COUNT),
            ("tasks_done", COUNT),
            ("exchange_bytes", COUNT),
            ("spilled_bytes", COUNT),
            ("peak_memory", COUNT),
            ("attempts", COUNT),
            ("error", TEXT),
            ("sql", TEXT),
        ],
        Show::Access(what) => return access::schema(what),
        Show::Statistics(_) => statistics::columns(),
        Show::Users => vec![("user", TEXT), ("admin", TEXT), ("created_at", timestamp())],
        Show::Setting(_) => vec![("name", TEXT), ("value", TEXT), ("description", TEXT)],
    };
    let fields = columns
        .into_iter()
        .map(|(name, kind)| Field::new(name, kind, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// What is shown.
///
/// # Errors
/// Where it does not exist.
pub(crate) async fn rows(
    engine: &Coordinator,
    session: &Session,
    what: &Show,
    query: &QueryId,
) -> Result<RecordBatch, QueryError> {
    let columns = match what {
        Show::Databases(like) => catalog::databases(engine, session, like.as_deref()),
        Show::Tables { database, like } | Show::Views { database, like } => {
            let database = database.as_ref().unwrap_or(&session.database);
            let views_only = matches!(what, Show::Views { .. });
            catalog::relations(engine, session, database, like.as_deref(), views_only)?
        }
        Show::Functions(like) => functions::names(engine, session, query, like.as_deref())?,
        Show::Function(name) => functions::one(engine, session, query, name)?,
        Show::ColumnNames { table, like } => {
            let columns = catalog::columns(engine, session, table).await?;
            let names = columns.into_iter().map(|column| column.name);
            vec![text(
                names
                    .filter(|name| is_like(name, like.as_deref()))
                    .map(Some),
            )]
        }
        Show::Columns(table) => catalog::describe(&catalog::columns(engine, session, table).await?),
        Show::Column { table, column } => {
            let mut columns = catalog::columns(engine, session, table).await?;
            columns.retain(|found| found.name.eq_ignore_ascii_case(column));
            if columns.is_empty() {
                return Err(catalog::no_column(table, column));
            }
            catalog::describe(&columns)
        }
        Show::QueryColumns(sql) => {
            let description = engine.describe(session, sql).await?;
            catalog::describe(&details::query_columns(&description.schema))
        }
        Show::Partitions {
            table,
            partition,
            chosen,
        } => partitions::partitions(engine, session, table, partition, chosen.as_ref()).await?,
        Show::Statistics(table) => statistics::rows(engine, session, table, query).await?,
        Show::Executors => queries::executors(&engine.members.snapshot().executors),
        Show::Queries => queries::queries(&queries::shown(engine, session)),
        Show::Query(id) => queries::one_query(engine, session, id)?,
        Show::Users => users(engine, session),
        Show::Access(what) => access::rows(engine, session, what)?,
        Show::Profile(id) => queries::profile(engine, session, id).await?,
        Show::Setting(name) => {
            let config = engine.planning_context(session, query).session_config()?;
            let entries = Settings::show(config.options(), name.as_deref())?;
            vec![
                text(entries.iter().map(|entry| Some(entry.name.clone()))),
                text(entries.iter().map(|entry| entry.value.clone())),
                text(entries.iter().map(|entry| Some(entry.description.clone()))),
            ]
        }
        definition => definitions(engine, session, definition).await?,
    };
    RecordBatch::try_new(schema(what), columns)
        .map_err(|error| QueryError::internal(format!("cannot show {what:?}: {error}")))
}

fn text(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn count(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(values))
}

fn times(values: impl Iterator<Item = SystemTime>) -> ArrayRef {
    maybe_times(values.map(Some))
}

fn maybe_times(values: impl Iterator<Item = Option<SystemTime>>) -> ArrayRef {
    let micros = values.map(|time| {
        let since = time?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    });
    let micros: TimestampMicrosecondArray = micros.collect();
    Arc::new(micros.with_timezone("UTC"))
}

/// All users to administrators and those who manage users; everybody else sees themselves.
fn users(engine: &Coordinator, session: &Session) -> Vec<ArrayRef> {
    let snapshot = engine.catalog.snapshot();
    let sees_all = engine
        .rights(session)
        .may_with_system(Privilege::ManageUsers);
    let users: Vec<_> = snapshot
        .users()
        .filter(|user| sees_all || user.name == session.user)
        .collect();
    let yes_no = |yes: bool| Some(if yes { "YES" } else { "NO" }.to_owned());
    vec![
        text(users.iter().map(|user| Some(user.name.clone()))),
        text(users.iter().map(|user| yes_no(user.admin))),
        times(users.iter().map(|user| user.created_at.into())),
    ]
}

/// What is known of one object of the catalog.
async fn definitions(
    engine: &Coordinator,
    session: &Session,
    what: &Show,
) -> Result<Vec<ArrayRef>, QueryError> {
    let snapshot = engine.session_catalog(session);
    Ok(match what {
        Show::Details { table, partition } => {
            let rows = details::details(engine, session, table, partition).await?;
            vec![
                text(rows.iter().map(|row| Some(row.0.clone()))),
                text(rows.iter().map(|row| Some(row.1.clone()))),
                text(rows.iter().map(|row| row.2.clone())),
            ]
        }
        Show::Database { name, extended } => {
            pairs(details::database(engine, session, name, *extended)?)
        }
        Show::CreateTable(table) => {
            let database = engine.database_of(session, table);
            let relation = snapshot.relation(&database, &table.table)?;
            let is_temporary = snapshot.is_temporary(&database, &table.table);
            let sql = details::create_relation(relation, is_temporary);
            vec![text([Some(sql)].into_iter())]
        }
        Show::CreateDatabase(name) => {
            let sql = details::create_database(snapshot.database(name)?);
            vec![text([Some(sql)].into_iter())]
        }
        Show::TableProperties { table, key } => {
            let database = engine.database_of(session, table);
            let properties = match snapshot.relation(&database, &table.table)? {
                skep_catalog::Relation::Table(table) => table.definition.shown_properties(),
                skep_catalog::Relation::View(view) => view.definition.properties.clone(),
            };
            let wanted = |name: &String| key.as_ref().is_none_or(|key| key == name);
            let shown: Vec<_> = properties
                .into_iter()
                .filter(|(name, _)| wanted(name))
                .collect();
            if let Some(key) = key.as_ref().filter(|_| shown.is_empty()) {
                let text = format!("'{}' has no property '{key}'", table.table);
                return Err(QueryError::new(ErrorCode::InvalidSetting, text));
            }
            pairs(shown)
        }
        other => return Err(QueryError::internal(format!("{other:?} is not shown"))),
    })
}

fn pairs(pairs: Vec<(String, String)>) -> Vec<ArrayRef> {
    let (names, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    vec![
        text(names.into_iter().map(Some)),
        text(values.into_iter().map(Some)),
    ]
}

/// Files with their sizes: what VACUUM removes.
///
/// # Errors
/// `Internal`; the columns fit.
pub(crate) fn files(files: &[(String, u64)]) -> Result<RecordBatch, QueryError> {
    let columns = vec![
        text(files.iter().map(|(path, _)| Some(path.clone()))),
        count(files.iter().map(|(_, bytes)| *bytes)),
    ];
    RecordBatch::try_new(files_schema(), columns)
        .map_err(|error| QueryError::internal(format!("cannot show files: {error}")))
}

/// The schema of [`files`].
pub(crate) fn files_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("file", TEXT, true),
        Field::new("bytes", COUNT, true),
    ]))
}
