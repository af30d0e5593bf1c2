//! What ANALYZE found in a table: counts that files do not have.

use super::{BoundValue, ColumnId, TableDefinition};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The property of a table that holds it. It is not one of those that users see.
pub const SUMMARY_PROPERTY: &str = "skep.statistics";

/// What a table had when it was analysed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableSummary {
    /// How many rows.
    pub rows: u64,
    /// When that was.
    pub at: DateTime<Utc>,
    /// What its columns had, as far as they were looked at.
    pub columns: Vec<ColumnSummary>,
}

/// What a column had when its table was analysed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// Which column.
    #[serde(rename = "c")]
    pub column: ColumnId,
    /// How many distinct values, NULL apart; an estimate within some percent.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
    /// How many NULLs.
    #[serde(rename = "n", default)]
    pub nulls: u64,
    /// The smallest value.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub min: Option<BoundValue>,
    /// The largest value.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub max: Option<BoundValue>,
    /// The mean length of a value in bytes, where values differ in length.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub mean_bytes: Option<f64>,
}

impl TableDefinition {
    /// The table's properties but for those that are not for users.
    pub fn shown_properties(&self) -> BTreeMap<String, String> {
        let mut properties = self.properties.clone();
        properties.remove(SUMMARY_PROPERTY);
        properties
    }

    /// What ANALYZE found, if the table was analysed.
    pub fn summary(&self) -> Option<TableSummary> {
        let text = self.properties.get(SUMMARY_PROPERTY)?;
        serde_json::from_str(text).ok()
    }
}

impl TableSummary {
    /// As the value of [`SUMMARY_PROPERTY`].
    ///
    /// # Errors
    /// Those of the encoder, which has none for such values.
    pub fn to_property(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// What is known of these columns, and what was known of others before, where the table still has
    /// `rows` rows within a tenth.
    pub fn merged_with(mut self, before: Option<Self>) -> Self {
        let Some(before) = before else {
            return self;
        };
        if self.rows.abs_diff(before.rows) > before.rows / 10 {
            return self;
        }
        for column in before.columns {
            if self.columns.iter().all(|new| new.column != column.column) {
                self.columns.push(column);
            }
        }
        self.columns.sort_by_key(|column| column.column);
        self
    }
}

impl TableSummary {
    /// What is known of a table when a part of its rows has been looked at, beside what was known before: it has
    /// at least as many values as that part, and no smaller bounds.
    pub fn extending(self, before: Option<Self>) -> Self {
        let Some(mut whole) = before else {
            return self;
        };
        for part in self.columns {
            let known = whole
                .columns
                .iter_mut()
                .find(|column| column.column == part.column);
            match known {
                Some(known) => known.extend(part),
                None => whole.columns.push(part),
            }
        }
        whole.columns.sort_by_key(|column| column.column);
        Self {
            rows: self.rows,
            at: self.at,
            columns: whole.columns,
        }
    }
}

impl ColumnSummary {
    fn extend(&mut self, part: Self) {
        self.distinct = self.distinct.max(part.distinct);
        self.nulls = self.nulls.max(part.nulls);
        self.mean_bytes = self.mean_bytes.or(part.mean_bytes);
        let outer =
            |known: &Option<BoundValue>, part: Option<BoundValue>, wanted| match (known, part) {
                (Some(known), Some(part)) => {
                    let is_outer = part.compare(known) == Some(wanted);
                    Some(if is_outer { part } else { known.clone() })
                }
                (known, part) => known.clone().or(part),
            };
        self.min = outer(&self.min, part.min, Ordering::Less);
        self.max = outer(&self.max, part.max, Ordering::Greater);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(id: u32, distinct: u64) -> ColumnSummary {
        ColumnSummary {
            column: ColumnId(id),
            distinct: Some(distinct),
            nulls: 1,
            min: Some(BoundValue::Text("ä".into())),
            max: Some(BoundValue::Decimal(i128::MAX.into())),
            mean_bytes: Some(1.5),
        }
    }

    fn summary(rows: u64, columns: Vec<ColumnSummary>) -> TableSummary {
        TableSummary {
            rows,
            at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            columns,
        }
    }

    #[test]
    fn it_comes_back_from_its_property() {
        let summary = summary(10, vec![column(0, 3), column(7, 9)]);
        let text = summary.to_property().unwrap();
        assert_eq!(
            serde_json::from_str::<TableSummary>(&text).unwrap(),
            summary
        );
    }

    #[test]
    fn a_part_of_the_rows_widens_what_is_known() {
        let part = |low: i64, high: i64, distinct| ColumnSummary {
            min: Some(BoundValue::Int(low)),
            max: Some(BoundValue::Int(high)),
            ..column(0, distinct)
        };
        let whole = summary(100, vec![part(0, 9, 10)]);
        let now = summary(120, vec![part(5, 15, 8), column(3, 2)]);
        let both = now.clone().extending(Some(whole));
        assert_eq!(both.rows, 120);
        assert_eq!(both.columns, [part(0, 15, 10), column(3, 2)]);
        assert_eq!(now.clone().extending(None), now);
    }

    #[test]
    fn other_columns_are_kept_while_the_table_is_about_the_same() {
        let before = summary(100, vec![column(0, 3), column(1, 4)]);
        let now = summary(105, vec![column(1, 5)]);
        let merged = now.clone().merged_with(Some(before.clone()));
        assert_eq!(merged.columns, [column(0, 3), column(1, 5)]);
        let grown = summary(500, vec![column(1, 5)]);
        assert_eq!(grown.clone().merged_with(Some(before)), grown);
        assert_eq!(now.clone().merged_with(None), now);
    }
}
