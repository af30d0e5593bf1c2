//! `SHOW STATS`: what planning knows of a table's columns.

use super::{COUNT, TEXT, text};
use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::TableName;
use arrow::array::{ArrayRef, Float64Array, UInt64Array};
use arrow::datatypes::DataType;
use chrono::DateTime;
use skep_planner::{ColumnProfile, known_statistics};
use skep_protocol::{QueryError, QueryId};
use std::sync::Arc;

/// The columns of what is shown.
pub(super) fn columns() -> Vec<(&'static str, DataType)> {
    vec![
        ("column", TEXT),
        ("rows", COUNT),
        ("distinct_values", COUNT),
        ("is_counted", TEXT),
        ("nulls_fraction", DataType::Float64),
        ("low", TEXT),
        ("high", TEXT),
        ("mean_bytes", DataType::Float64),
    ]
}

/// A row for each column of the table, and one for the table.
pub(super) async fn rows(
    engine: &Coordinator,
    session: &Session,
    name: &TableName,
    query: &QueryId,
) -> Result<Vec<ArrayRef>, QueryError> {
    let context = engine.planning_context(session, query);
    let database = engine.database_of(session, name);
    let snapshot = Arc::clone(context.catalog.owner(&database, &name.table));
    let table = Arc::clone(snapshot.table(&database, &name.table)?);
    let profile = known_statistics(&context, &snapshot, &table).await?;
    let definition = &table.definition;
    let data = definition.columns.iter();
    let data = data.map(|column| (column.name.clone(), column.data_type.clone()));
    let partition = definition.partition_columns.iter();
    let partition = partition.map(|column| (column.name.clone(), column.data_type.clone()));
    let columns: Vec<((String, DataType), &ColumnProfile)> =
        data.chain(partition).zip(&profile.columns).collect();
    let of_columns = || columns.iter().map(|(_, profile)| *profile);
    let ends = |low: bool| {
        let ends = columns.iter().map(move |((_, data_type), profile)| {
            let (min, max) = profile.bounds?;
            Some(shown(if low { min } else { max }, data_type))
        });
        text(ends.chain([None]))
    };
    let counted = |profile: &ColumnProfile| if profile.is_trusted { "YES" } else { "NO" };
    let names = columns.iter().map(|((name, _), _)| Some(name.clone()));
    let no_count = columns.iter().map(|_| None);
    let distinct = of_columns().map(|profile| Some(profile.distinct.round() as u64));
    let nulls = of_columns().map(|profile| Some(profile.null_fraction));
    let bytes = of_columns().map(|profile| Some(profile.bytes));
    Ok(vec![
        text(names.chain([None])),
        Arc::new(
            no_count
                .chain([Some(profile.rows.round() as u64)])
                .collect::<UInt64Array>(),
        ),
        Arc::new(distinct.chain([None]).collect::<UInt64Array>()),
        text(
            of_columns()
                .map(|profile| Some(counted(profile).to_owned()))
                .chain([None]),
        ),
        Arc::new(nulls.chain([None]).collect::<Float64Array>()),
        ends(true),
        ends(false),
        Arc::new(bytes.chain([None]).collect::<Float64Array>()),
    ])
}

/// A bound, which is counted in seconds where it is a time.
fn shown(value: f64, data_type: &DataType) -> String {
    let time = || DateTime::from_timestamp_micros((value * 1e6) as i64);
    match data_type {
        DataType::Date32 | DataType::Date64 => {
            time().map_or_else(|| value.to_string(), |time| time.date_naive().to_string())
        }
        DataType::Timestamp(..) => {
            time().map_or_else(|| value.to_string(), |time| time.naive_utc().to_string())
        }
        DataType::Decimal128(_, scale) => format!("{value:.*}", usize::from(scale.unsigned_abs())),
        _ => value.to_string(),
    }
}
