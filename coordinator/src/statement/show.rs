//! `SHOW` and `DESCRIBE` as rows.

use super::{Show, TableName};
use crate::cluster::ExecutorInfo;
use crate::engine::Inner;
use crate::planning::table_schema;
use crate::service::{QueryState, QueryStatus};
use crate::session::{Session, Settings};
use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
        Show::Columns(_) => vec![
            ("column", TEXT),
            ("type", TEXT),
            ("nullable", TEXT),
            ("partition_column", TEXT),
            ("comment", TEXT),
        ],
        Show::Partitions(_) => vec![
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
            ("error", TEXT),
            ("sql", TEXT),
        ],
        Show::Query(_) => vec![("property", TEXT), ("value", TEXT)],
        Show::Profile(_) => vec![("profile", TEXT)],
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
    engine: &Inner,
    session: &Session,
    what: &Show,
    query: &QueryId,
) -> Result<RecordBatch, QueryError> {
    let columns = match what {
        Show::Databases(like) => databases(engine, like.as_deref()),
        Show::Tables { database, like } => {
            let database = database.as_ref().unwrap_or(&session.database);
            tables(engine, database, like.as_deref())?
        }
        Show::Columns(name) => table_columns(engine, session, name)?,
        Show::Partitions(name) => partitions(engine, session, name).await?,
        Show::Executors => executors(&engine.members.snapshot().executors),
        Show::Queries => queries(&engine.queries.all()),
        Show::Query(id) => one_query(engine, id)?,
        Show::Profile(id) => vec![text(std::iter::once(Some(profile(engine, id).await?)))],
        Show::Setting(name) => {
            let config = engine.planning_context(session, query).session_config()?;
            let entries = Settings::show(config.options(), name.as_deref())?;
            vec![
                text(entries.iter().map(|entry| Some(entry.name.clone()))),
                text(entries.iter().map(|entry| entry.value.clone())),
                text(entries.iter().map(|entry| Some(entry.description.clone()))),
            ]
        }
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
    let micros = values.map(|time| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    });
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

fn databases(engine: &Inner, like: Option<&str>) -> Vec<ArrayRef> {
    let snapshot = engine.catalog.snapshot();
    let names = snapshot.databases().map(|database| database.name.clone());
    vec![text(names.filter(|name| is_like(name, like)).map(Some))]
}

fn tables(engine: &Inner, database: &str, like: Option<&str>) -> Result<Vec<ArrayRef>, QueryError> {
    let snapshot = engine.catalog.snapshot();
    let tables: Vec<_> = snapshot
        .tables(database)?
        .filter(|table| is_like(&table.definition.name, like))
        .collect();
    Ok(vec![
        text(
            tables
                .iter()
                .map(|table| Some(table.definition.database.clone())),
        ),
        text(
            tables
                .iter()
                .map(|table| Some(table.definition.name.clone())),
        ),
        text(
            tables
                .iter()
                .map(|table| Some(table.definition.kind.as_str().to_owned())),
        ),
    ])
}

fn table_columns(
    engine: &Inner,
    session: &Session,
    name: &TableName,
) -> Result<Vec<ArrayRef>, QueryError> {
    let snapshot = engine.catalog.snapshot();
    let table = snapshot.table(&engine.database_of(session, name), &name.table)?;
    let schema = table_schema(table);
    let stored = table.definition.columns.len();
    let yes_no = |yes: bool| Some(if yes { "YES" } else { "NO" }.to_owned());
    let comments = table
        .definition
        .columns
        .iter()
        .map(|column| column.comment.clone());
    let partition_comments = table
        .definition
        .partition_columns
        .iter()
        .map(|column| column.comment.clone());
    let fields = schema.fields();
    Ok(vec![
        text(fields.iter().map(|field| Some(field.name().clone()))),
        text(fields.iter().map(|field| Some(sql_type(field.data_type())))),
        text(fields.iter().map(|field| yes_no(field.is_nullable()))),
        text((0..fields.len()).map(|index| yes_no(index >= stored))),
        text(comments.chain(partition_comments)),
    ])
}

async fn partitions(
    engine: &Inner,
    session: &Session,
    name: &TableName,
) -> Result<Vec<ArrayRef>, QueryError> {
    let snapshot = engine.catalog.snapshot();
    let table = snapshot.table(&engine.database_of(session, name), &name.table)?;
    if table.definition.partition_columns.is_empty() {
        let text = format!("table '{}' has no partition columns", table.definition.name);
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    let files = snapshot.table_files(table).await?;
    let names = table
        .definition
        .partition_columns
        .iter()
        .map(|column| &column.name);
    let names: Vec<_> = names.collect();
    let sum = |number: u32, of: fn(&skep_catalog::model::DataFile) -> u64| {
        let own = files
            .files
            .iter()
            .filter(move |file| file.partition == Some(number));
        own.map(of).sum::<u64>()
    };
    let shown = files.partitions.iter().map(|partition| {
        let values = partition.values.iter().zip(&names);
        let parts = values.map(|(value, name)| match value {
            Some(value) => format!("{name}={value}"),
            None => format!("{name}=NULL"),
        });
        Some(parts.collect::<Vec<_>>().join("/"))
    });
    let numbers = || files.partitions.iter().map(|partition| partition.number);
    Ok(vec![
        text(shown),
        count(numbers().map(|number| sum(number, |_| 1))),
        count(numbers().map(|number| sum(number, |file| file.rows))),
        count(numbers().map(|number| sum(number, |file| file.size_bytes))),
        text(
            files
                .partitions
                .iter()
                .map(|partition| Some(partition.location.to_string())),
        ),
    ])
}

fn executors(executors: &[ExecutorInfo]) -> Vec<ArrayRef> {
    let now = (Instant::now(), SystemTime::now());
    let at =
        |executor: &ExecutorInfo| now.1 - now.0.saturating_duration_since(executor.last_heartbeat);
    let all = || executors.iter();
    vec![
        text(all().map(|executor| Some(executor.id.clone()))),
        text(
            all().map(|executor| Some(executor.address.as_str().trim_end_matches('/').to_owned())),
        ),
        text(all().map(|executor| Some(executor.state.as_str().to_owned()))),
        count(all().map(|executor| executor.cores as u64)),
        count(all().map(|executor| executor.load.memory_used_bytes)),
        count(all().map(|executor| executor.memory_limit_bytes)),
        count(all().map(|executor| executor.load.resident_bytes)),
        count(all().map(|executor| u64::from(executor.load.running_tasks))),
        text(all().map(|executor| Some(executor.version.clone()))),
        times(all().map(at)),
    ]
}

fn elapsed(status: &QueryStatus) -> Duration {
    status.time_in_state.iter().map(|(_, time)| *time).sum()
}

fn queries(queries: &[QueryStatus]) -> Vec<ArrayRef> {
    let all = || queries.iter();
    let elapsed_ms = all().map(|query| elapsed(query).as_millis() as i64);
    vec![
        text(all().map(|query| Some(query.id.to_string()))),
        text(all().map(|query| Some(query.state.as_str().to_owned()))),
        text(all().map(|query| Some(query.user.clone()))),
        times(all().map(|query| query.submitted_at)),
        Arc::new(Int64Array::from_iter_values(elapsed_ms)),
        count(all().map(|query| query.rows)),
        count(all().map(|query| u64::from(query.tasks.0))),
        count(all().map(|query| u64::from(query.tasks.1))),
        count(all().map(|query| query.exchange_bytes)),
        count(all().map(|query| query.spilled_bytes)),
        count(all().map(|query| query.peak_memory_bytes)),
        text(all().map(|query| query.error.as_ref().map(ToString::to_string))),
        text(all().map(|query| Some(query.sql.clone()))),
    ]
}

async fn profile(engine: &Inner, id: &str) -> Result<String, QueryError> {
    let known: Option<QueryId> = id.parse().ok();
    let profile = known.and_then(|id| engine.queries.profile(&id));
    let profile = profile.ok_or_else(|| {
        let text = format!(
            "there is no profile of query '{id}': it has not ended well, or others have ended since"
        );
        QueryError::new(ErrorCode::QueryNotFound, text)
    })?;
    profile.await
}

fn one_query(engine: &Inner, id: &str) -> Result<Vec<ArrayRef>, QueryError> {
    let known: Option<QueryId> = id.parse().ok();
    let status = known
        .and_then(|id| engine.queries.status(&id))
        .ok_or_else(|| {
            let text = format!("there is no query '{id}'; see SHOW QUERIES");
            QueryError::new(ErrorCode::QueryNotFound, text)
        })?;
    let mut shown = vec![
        ("query_id", status.id.to_string()),
        ("state", status.state.as_str().to_owned()),
        ("user", status.user.clone()),
        ("elapsed_ms", elapsed(&status).as_millis().to_string()),
    ];
    let state_name = |state: QueryState| match state {
        QueryState::Queued => Some("queued_ms"),
        QueryState::Planning => Some("planning_ms"),
        QueryState::Running => Some("running_ms"),
        QueryState::Finishing => Some("finishing_ms"),
        QueryState::Finished | QueryState::Failed | QueryState::Canceled => None,
    };
    for (state, time) in &status.time_in_state {
        if let Some(name) = state_name(*state) {
            shown.push((name, format!("{:.3}", time.as_secs_f64() * 1000.0)));
        }
    }
    shown.extend([
        ("rows", status.rows.to_string()),
        ("read_rows", status.read_rows.to_string()),
        ("read_bytes", status.read_bytes.to_string()),
        ("stages", status.stages.0.to_string()),
        ("stages_done", status.stages.1.to_string()),
        ("tasks", status.tasks.0.to_string()),
        ("tasks_done", status.tasks.1.to_string()),
        ("exchange_bytes", status.exchange_bytes.to_string()),
        ("spilled_bytes", status.spilled_bytes.to_string()),
        ("peak_memory_bytes", status.peak_memory_bytes.to_string()),
    ]);
    if let Some(error) = &status.error {
        shown.push(("error_code", error.code.as_str().to_owned()));
        shown.push(("error_kind", error.kind().as_str().to_owned()));
        shown.push(("error", error.to_string()));
    }
    shown.push(("sql", status.sql));
    Ok(vec![
        text(shown.iter().map(|(name, _)| Some((*name).to_owned()))),
        text(shown.iter().map(|(_, value)| Some(value.clone()))),
    ])
}

/// A column's type as SQL writes it, where SQL has a name for it.
fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BINARY".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
        other => other.to_string(),
    }
}

/// Whether `name` is like a pattern with `%` and `_` (SQL) or `*` and `|` (Hive), in any case.
fn is_like(name: &str, pattern: Option<&str>) -> bool {
    let Some(pattern) = pattern else {
        return true;
    };
    let name: Vec<char> = name.to_lowercase().chars().collect();
    pattern
        .to_lowercase()
        .split('|')
        .any(|pattern| matches(&name, &pattern.chars().collect::<Vec<_>>()))
}

fn matches(name: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('%' | '*', rest)) => (0..=name.len()).any(|skip| matches(&name[skip..], rest)),
        Some(('_', rest)) => !name.is_empty() && matches(&name[1..], rest),
        Some((letter, rest)) => name.first() == Some(letter) && matches(&name[1..], rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_sql_and_of_hive() {
        for (pattern, expected) in [
            ("orders", true),
            ("ord%", true),
            ("ORD*", true),
            ("o_ders", true),
            ("ord", false),
            ("line*|ord*", true),
            ("%", true),
            ("", false),
        ] {
            assert_eq!(is_like("orders", Some(pattern)), expected, "{pattern}");
        }
        assert!(is_like("orders", None));
    }
}
