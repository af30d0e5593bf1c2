//! What is known of one column in one file: enough to leave the file out of a scan, and small, since
//! there are as many of these as files times columns.

use super::ColumnId;
use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The longest text or binary value that is kept as a bound, in bytes. A longer minimum is cut, a
/// longer maximum is dropped.
pub const BOUND_BYTES_MAX: usize = 128;

/// A value. Which type it has in full is said by the column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BoundValue {
    /// Of a boolean column.
    #[serde(rename = "b")]
    Boolean(bool),
    /// Signed integers, dates, times and timestamps in their own unit.
    #[serde(rename = "i")]
    Int(i64),
    /// Unsigned integers.
    #[serde(rename = "u")]
    UInt(u64),
    /// Finite floating point numbers.
    #[serde(rename = "f")]
    Float(f64),
    /// The unscaled value of a decimal.
    #[serde(rename = "d")]
    Decimal(Decimal),
    /// Text.
    #[serde(rename = "t")]
    Text(Box<str>),
    /// Bytes.
    #[serde(rename = "x")]
    Binary(Box<[u8]>),
}

impl BoundValue {
    /// Which of two values of the same column is less.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Boolean(left), Self::Boolean(right)) => Some(left.cmp(right)),
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(right)),
            (Self::UInt(left), Self::UInt(right)) => Some(left.cmp(right)),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(right),
            (Self::Decimal(left), Self::Decimal(right)) => Some(left.get().cmp(&right.get())),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Binary(left), Self::Binary(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

/// An `i128` that needs no alignment, which keeps [`BoundValue`] at 24 bytes. Text in JSON, whose
/// numbers are shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Decimal([u8; 16]);

impl Decimal {
    /// The unscaled value.
    pub fn get(self) -> i128 {
        i128::from_le_bytes(self.0)
    }
}

impl From<i128> for Decimal {
    fn from(value: i128) -> Self {
        Self(value.to_le_bytes())
    }
}

impl From<Decimal> for String {
    fn from(value: Decimal) -> Self {
        value.get().to_string()
    }
}

impl TryFrom<String> for Decimal {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse::<i128>().map(Self::from)
    }
}

/// What is known of a column in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnBounds {
    /// Which column.
    #[serde(rename = "c")]
    pub column: ColumnId,
    /// No value is less.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub min: Option<BoundValue>,
    /// No value is greater.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub max: Option<BoundValue>,
    /// Whether a value equals [`ColumnBounds::min`].
    #[serde(rename = "le", default, skip_serializing_if = "is_false")]
    pub min_is_exact: bool,
    /// Whether a value equals [`ColumnBounds::max`].
    #[serde(rename = "he", default, skip_serializing_if = "is_false")]
    pub max_is_exact: bool,
    /// How many rows have NULL.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub null_count: Option<u64>,
    /// The size of the column's pages, uncompressed.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

impl ColumnBounds {
    /// A column of which nothing is known.
    pub fn unknown(column: ColumnId) -> Self {
        Self {
            column,
            min: None,
            max: None,
            min_is_exact: false,
            max_is_exact: false,
            null_count: None,
            size_bytes: None,
        }
    }

    /// A column that a file of `rows` rows does not have, and that is therefore NULL in all of them.
    pub fn absent(column: ColumnId, rows: u64) -> Self {
        Self {
            null_count: Some(rows),
            ..Self::unknown(column)
        }
    }

    /// The bounds of a column of `found` in a file as bounds of what is read from it, a column of `wanted`:
    /// timestamps are read in the unit of the table.
    pub fn converted(self, found: &DataType, wanted: &DataType) -> Self {
        let (found, wanted) = match (found, wanted) {
            (DataType::Timestamp(found, _), DataType::Timestamp(wanted, _)) => {
                (ticks_per_second(found), ticks_per_second(wanted))
            }
            (DataType::Date64, DataType::Date32) => (MILLIS_PER_DAY, 1),
            (DataType::Date32, DataType::Date64) => (1, MILLIS_PER_DAY),
            _ => return self,
        };
        if found == wanted {
            return self;
        }
        let convert = |bound: Option<BoundValue>, round: fn(i64, i64) -> i64| match bound {
            Some(BoundValue::Int(value)) if found > wanted => {
                Some(BoundValue::Int(round(value, found / wanted)))
            }
            Some(BoundValue::Int(value)) => value.checked_mul(wanted / found).map(BoundValue::Int),
            other => other,
        };
        // Whether digits are cut towards zero or downwards: what is read lies between these.
        let is_exact = found < wanted;
        Self {
            min: convert(self.min, i64::div_euclid),
            max: convert(self.max, |value, divisor| {
                value.div_euclid(divisor) + i64::from(value.rem_euclid(divisor) > 0)
            }),
            min_is_exact: self.min_is_exact && is_exact,
            max_is_exact: self.max_is_exact && is_exact,
            ..self
        }
    }

    /// Cuts bounds that are longer than [`BOUND_BYTES_MAX`]. What is cut is no longer exact.
    pub fn shortened(mut self) -> Self {
        let cut = match &self.min {
            Some(BoundValue::Text(text)) if text.len() > BOUND_BYTES_MAX => {
                let end = text.floor_char_boundary(BOUND_BYTES_MAX);
                text.get(..end).map(|text| BoundValue::Text(text.into()))
            }
            Some(BoundValue::Binary(bytes)) if bytes.len() > BOUND_BYTES_MAX => bytes
                .get(..BOUND_BYTES_MAX)
                .map(|bytes| BoundValue::Binary(bytes.into())),
            _ => None,
        };
        if cut.is_some() {
            self.min = cut;
            self.min_is_exact = false;
        }
        let max_length = match &self.max {
            Some(BoundValue::Text(text)) => text.len(),
            Some(BoundValue::Binary(bytes)) => bytes.len(),
            _ => 0,
        };
        if max_length > BOUND_BYTES_MAX {
            self.max = None;
            self.max_is_exact = false;
        }
        self
    }
}

const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

fn ticks_per_second(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(min: BoundValue, max: BoundValue) -> ColumnBounds {
        ColumnBounds {
            min: Some(min),
            max: Some(max),
            min_is_exact: true,
            max_is_exact: true,
            null_count: Some(3),
            size_bytes: Some(100),
            ..ColumnBounds::unknown(ColumnId(7))
        }
    }

    #[test]
    fn every_kind_of_value_survives_json() {
        let values = [
            BoundValue::Boolean(true),
            BoundValue::Int(i64::MIN),
            BoundValue::UInt(u64::MAX),
            BoundValue::Float(-0.1),
            BoundValue::Decimal(i128::MIN.into()),
            BoundValue::Text("ü\"".into()),
            BoundValue::Binary([0, 255].as_slice().into()),
        ];
        for value in values {
            let bounds = bounds(value.clone(), value);
            let json = serde_json::to_string(&bounds).unwrap();
            assert_eq!(
                serde_json::from_str::<ColumnBounds>(&json).unwrap(),
                bounds,
                "{json}"
            );
        }
        let unknown = ColumnBounds::unknown(ColumnId(1));
        assert_eq!(serde_json::to_string(&unknown).unwrap(), r#"{"c":1}"#);
    }

    #[test]
    fn long_bounds_are_cut_and_stay_bounds() {
        let long = "ü".repeat(BOUND_BYTES_MAX);
        let value = BoundValue::Text(long.as_str().into());
        let short = bounds(value.clone(), value.clone()).shortened();
        assert_eq!(short.max, None);
        assert!(!short.min_is_exact && !short.max_is_exact);
        let min = short.min.expect("a cut minimum");
        assert_eq!(min.compare(&value), Some(Ordering::Less));
        let kept = bounds(BoundValue::Text("a".into()), BoundValue::Text("b".into()));
        assert_eq!(kept.clone().shortened(), kept);
    }

    #[test]
    fn bounds_of_timestamps_are_those_of_what_is_read() {
        let of = |unit| DataType::Timestamp(unit, None);
        let (millis, micros) = (of(TimeUnit::Millisecond), of(TimeUnit::Microsecond));
        let nanos = of(TimeUnit::Nanosecond);
        let known = bounds(BoundValue::Int(-1_500), BoundValue::Int(1_500));
        let wide = known.clone().converted(&nanos, &micros);
        assert_eq!(wide.min, Some(BoundValue::Int(-2)));
        assert_eq!(wide.max, Some(BoundValue::Int(2)));
        assert!(!wide.min_is_exact && !wide.max_is_exact);
        let fine = known.clone().converted(&millis, &micros);
        assert_eq!(fine.min, Some(BoundValue::Int(-1_500_000)));
        assert!(fine.min_is_exact && fine.max_is_exact);
        let days = known
            .clone()
            .converted(&DataType::Date64, &DataType::Date32);
        assert_eq!(days.min, Some(BoundValue::Int(-1)));
        assert_eq!(days.max, Some(BoundValue::Int(1)));
        let far = bounds(BoundValue::Int(i64::MIN), BoundValue::Int(i64::MAX));
        let unknown = far.clone().converted(&micros, &nanos);
        assert_eq!((unknown.min, unknown.max), (None, None));
        assert!(far.converted(&nanos, &micros).min.is_some());
        assert_eq!(known.clone().converted(&micros, &micros), known);
    }

    #[test]
    fn a_value_stays_small() {
        assert_eq!(size_of::<BoundValue>(), 24);
    }
}
