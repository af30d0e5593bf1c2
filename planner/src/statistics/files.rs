//! What is known of a table's columns, from what the catalog knows of its files and from what ANALYZE found.

use super::distinct;
use super::profile::ColumnProfile;
use super::values::{bound, step, usual_bytes};
use crate::PlanningContext;
use crate::table_scan::{CatalogTable, SelectedFiles};
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::logical_expr::TableScan;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use skep_catalog::CatalogSnapshot;
use skep_catalog::model::{
    BoundValue, Column, ColumnBounds, ColumnId, ColumnSummary, DataFile, Table, TableDefinition,
    TableSummary,
};
use skep_protocol::QueryError;
use skep_runtime::error::from_datafusion;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How many files are looked at one by one: of more, so many that are spread evenly among them.
const FILES_MAX: usize = 1_000;

/// How many bytes a row is taken to have in files that do not say how many rows they have.
const TEXT_ROW_BYTES: f64 = 80.0;

/// Up to which part of a table's rows may have changed for what ANALYZE counted to be trusted.
const CHANGED_MAX: f64 = 0.2;

/// What is known of the rows of a table that a scan reads, before its other filters.
#[derive(Clone, Debug)]
pub struct TableProfile {
    /// How many there are.
    pub rows: f64,
    /// Whether files say so.
    pub is_known: bool,
    /// All columns of the table, those of partitions last. Nothing is known of those that are not read.
    pub columns: Vec<ColumnProfile>,
}

/// What is known of what `scan` reads of `table`.
///
/// # Errors
/// Those of reading the catalog.
pub async fn table_profile(
    table: &CatalogTable,
    scan: &TableScan,
    session: &dyn Session,
) -> Result<TableProfile> {
    // As the physical planner asks a table: by the bare names of its columns.
    let filters = unnormalize_cols(scan.filters.iter().cloned());
    let selected = table.selected_files(session, &filters).await?;
    let definition = table.definition();
    let names: HashSet<&str> = scan
        .filters
        .iter()
        .flat_map(|filter| filter.column_refs())
        .map(|column| column.name())
        .collect();
    let is_read = |index: usize, name: &str| {
        let projection = scan.projection.as_ref();
        projection.is_none_or(|read| read.contains(&index)) || names.contains(name)
    };
    Ok(of_files(definition, &selected, is_read))
}

/// What is known of all of a table, for people.
///
/// # Errors
/// Those of reading the catalog.
pub async fn known_statistics(
    context: &PlanningContext,
    snapshot: &Arc<CatalogSnapshot>,
    table: &Arc<Table>,
) -> std::result::Result<TableProfile, QueryError> {
    let state = context.session_state()?;
    let table = CatalogTable::new(Arc::clone(snapshot), Arc::clone(table), false);
    let selected = table.selected_files(&state, &[]).await;
    let selected = selected.map_err(|error| from_datafusion(&error))?;
    Ok(of_files(table.definition(), &selected, |_, _| true))
}

/// What is known of the columns of files for which `is_read` says so.
fn of_files(
    definition: &TableDefinition,
    selected: &SelectedFiles,
    is_read: impl Fn(usize, &str) -> bool,
) -> TableProfile {
    let rows_of = |file: &DataFile| {
        let guess = || file.size_bytes as f64 / TEXT_ROW_BYTES;
        file.rows.map_or_else(guess, |rows| rows as f64)
    };
    let is_known = selected.iter().all(|file| file.rows.is_some());
    let rows: f64 = selected.iter().map(rows_of).sum();
    let table_rows: f64 = selected.all().map(rows_of).sum();
    let summary = definition.summary();
    let summary = summary.as_ref().map(|summary| Analyzed {
        summary,
        growth: table_rows / (summary.rows as f64).max(1.0),
    });
    let every = selected.len().div_ceil(FILES_MAX).max(1);
    let sample: Vec<&DataFile> = selected.iter().step_by(every).collect();
    let columns = definition.columns.iter().enumerate();
    let columns: Vec<(usize, &Column)> = columns
        .filter(|(index, column)| is_read(*index, &column.name))
        .collect();
    let ids: Vec<ColumnId> = columns.iter().map(|(_, column)| column.id).collect();
    let mut folded = fold(&sample, &ids);
    let mut profiles: Vec<ColumnProfile> = definition
        .columns
        .iter()
        .map(|column| ColumnProfile::unknown(rows, usual_bytes(&column.data_type)))
        .collect();
    for (index, column) in columns {
        let folded = folded.remove(&column.id).unwrap_or_default();
        let analyzed = summary.as_ref().and_then(|known| known.column(column.id));
        profiles[index] = data_column(column, &folded, analyzed, rows);
    }
    let partition_columns = definition.partition_columns.iter().enumerate();
    profiles.extend(partition_columns.map(|(index, column)| {
        let values = selected.partition_values(index);
        let usual = ColumnProfile::unknown(rows, usual_bytes(&column.data_type));
        ColumnProfile {
            distinct: (values as f64).max(1.0),
            is_trusted: true,
            ..usual
        }
    }));
    TableProfile {
        rows,
        is_known,
        columns: profiles,
    }
}

/// What ANALYZE found, and how many times the rows there are now.
struct Analyzed<'s> {
    summary: &'s TableSummary,
    growth: f64,
}

/// What ANALYZE found of a column.
struct AnalyzedColumn<'s> {
    summary: &'s ColumnSummary,
    rows: f64,
    growth: f64,
}

impl Analyzed<'_> {
    fn column(&self, id: ColumnId) -> Option<AnalyzedColumn<'_>> {
        let mut columns = self.summary.columns.iter();
        let summary = columns.find(|column| column.column == id)?;
        Some(AnalyzedColumn {
            summary,
            rows: self.summary.rows as f64,
            growth: self.growth,
        })
    }
}

impl AnalyzedColumn<'_> {
    /// How many distinct values there are by now: where most rows had their own, new ones do, too.
    fn distinct(&self) -> Option<f64> {
        let counted = self.summary.distinct? as f64;
        match counted > self.rows / 10.0 {
            true => Some(counted * self.growth.max(1.0)),
            false => Some(counted),
        }
    }

    fn is_current(&self) -> bool {
        (self.growth - 1.0).abs() <= CHANGED_MAX
    }
}

/// What the bounds of a column in several files have in common.
#[derive(Default)]
struct Folded {
    files: usize,
    low: Option<f64>,
    high: Option<f64>,
    /// Whether some file that has values has no bounds.
    is_open: bool,
    nulls: Option<u64>,
    rows: u64,
    size_bytes: u64,
    /// The lengths of texts that are bounds.
    text_bytes: (usize, usize),
    /// The most distinct texts of one file.
    texts: f64,
}

fn fold(files: &[&DataFile], ids: &[ColumnId]) -> HashMap<ColumnId, Folded> {
    let mut all: HashMap<ColumnId, Folded> = HashMap::new();
    for file in files {
        for bounds in file.bounds.select(ids) {
            all.entry(bounds.column)
                .or_insert_with(|| Folded {
                    nulls: Some(0),
                    ..Folded::default()
                })
                .add(file, &bounds);
        }
    }
    for folded in all.values_mut() {
        folded.is_open |= folded.files < files.len();
    }
    all
}

impl Folded {
    fn add(&mut self, file: &DataFile, bounds: &ColumnBounds) {
        self.files += 1;
        let rows = file.rows.unwrap_or(0);
        self.rows += rows;
        self.nulls = self
            .nulls
            .zip(bounds.null_count)
            .map(|(sum, count)| sum + count);
        self.size_bytes += bounds.size_bytes.unwrap_or(0);
        if file.rows.is_some() && bounds.null_count == file.rows {
            return;
        }
        for end in [&bounds.min, &bounds.max].into_iter().flatten() {
            let length = match end {
                BoundValue::Text(text) => text.len(),
                BoundValue::Binary(bytes) => bytes.len(),
                _ => continue,
            };
            self.text_bytes = (self.text_bytes.0 + length, self.text_bytes.1 + 1);
        }
        // The unit is put in later: it keeps the order.
        let plain = |value: &Option<BoundValue>| match value {
            Some(BoundValue::Boolean(value)) => Some(f64::from(u8::from(*value))),
            Some(BoundValue::Int(value)) => Some(*value as f64),
            Some(BoundValue::UInt(value)) => Some(*value as f64),
            Some(BoundValue::Float(value)) => Some(*value),
            Some(BoundValue::Decimal(value)) => Some(value.get() as f64),
            _ => None,
        };
        match (plain(&bounds.min), plain(&bounds.max)) {
            (Some(low), Some(high)) => {
                self.low = Some(self.low.map_or(low, |known| known.min(low)));
                self.high = Some(self.high.map_or(high, |known| known.max(high)));
            }
            _ => self.is_open = true,
        }
        if let Some(size) = bounds.size_bytes
            && self.text_bytes.1 > 0
        {
            let filled = rows.saturating_sub(bounds.null_count.unwrap_or(0)) as f64;
            let texts = distinct::of_text_size(filled, size as f64, self.value_bytes());
            self.texts = self.texts.max(texts);
        }
    }

    /// The bytes of a text, as far as bounds tell.
    fn value_bytes(&self) -> f64 {
        let (sum, count) = self.text_bytes;
        (sum as f64 / (count as f64).max(1.0)).max(1.0)
    }
}

fn data_column(
    column: &Column,
    folded: &Folded,
    analyzed: Option<AnalyzedColumn<'_>>,
    rows: f64,
) -> ColumnProfile {
    let data_type = &column.data_type;
    let unit = bound(&BoundValue::Int(1), data_type);
    let bounds = match (folded.low, folded.high, unit) {
        (Some(low), Some(high), Some(unit)) if !folded.is_open => Some((low * unit, high * unit)),
        _ => None,
    };
    let nulls = folded.nulls.filter(|_| folded.rows > 0);
    let null_fraction = nulls.map_or(0.0, |nulls| nulls as f64 / folded.rows as f64);
    let filled = rows * (1.0 - null_fraction);
    let is_text = data_type.primitive_width().is_none();
    let by_bounds = bounds.zip(step(data_type));
    let by_bounds = by_bounds.map(|((low, high), step)| ((high - low) / step + 1.0).min(filled));
    let by_size = (is_text && folded.texts > 0.0).then_some(folded.texts.min(filled));
    let guess = match is_text {
        true => distinct::of_unknown_text(filled),
        false => filled,
    };
    let estimated = by_bounds.or(by_size).unwrap_or(guess).max(1.0);
    let counted = analyzed.as_ref().and_then(AnalyzedColumn::distinct);
    let value_bytes = (is_text && folded.text_bytes.1 > 0).then(|| folded.value_bytes());
    let mean = analyzed.as_ref().and_then(|known| known.summary.mean_bytes);
    let of_analyzed = |fraction: &AnalyzedColumn<'_>| {
        let nulls = fraction.summary.nulls as f64;
        nulls / fraction.rows.max(1.0)
    };
    ColumnProfile {
        distinct: counted.map_or(estimated, |counted| counted.min(filled).max(1.0)),
        is_trusted: counted.is_some() && analyzed.as_ref().is_some_and(AnalyzedColumn::is_current),
        null_fraction: match nulls {
            Some(_) => null_fraction,
            None => analyzed.as_ref().map_or(0.0, of_analyzed),
        },
        bounds: bounds.or_else(|| {
            let summary = analyzed.as_ref()?.summary;
            let low = bound(summary.min.as_ref()?, data_type)?;
            Some((low, bound(summary.max.as_ref()?, data_type)?))
        }),
        step: step(data_type),
        bytes: mean
            .or(value_bytes)
            .unwrap_or_else(|| usual_bytes(data_type)),
        table_rows: rows,
    }
}
