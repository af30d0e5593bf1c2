//! Intervals as text, as DuckDB and (but for `mons`) PostgreSQL write them: `1 year 2 months 3 days 04:05:06.7`.

use super::interval::{on_values, to_intervals};
use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

const MONTHS_PER_YEAR: i32 = 12;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MICRO: u64 = 1_000;

/// `skep_interval_text(interval)`. The planner puts it in the place of casts to text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalText {
    signature: Signature,
}

static INTERVAL_TEXT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(IntervalText {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The function.
pub fn interval_text() -> Arc<ScalarUDF> {
    Arc::clone(&INTERVAL_TEXT)
}

impl ScalarUDFImpl for IntervalText {
    fn name(&self) -> &str {
        "skep_interval_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Interval(_) | DataType::Duration(_)] => Ok(DataType::Utf8),
            _ => plan_err!("skep_interval_text takes an interval"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return exec_err!("skep_interval_text takes an interval");
        };
        on_values(value, |values| {
            let intervals = to_intervals(values)?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let texts: StringArray = intervals
                .iter()
                .map(|interval| interval.map(text))
                .collect();
            let texts: ArrayRef = Arc::new(texts);
            Ok(texts)
        })
    }
}

fn text(interval: IntervalMonthDayNano) -> String {
    let mut parts = Vec::new();
    for (count, name) in [
        (interval.months / MONTHS_PER_YEAR, "year"),
        (interval.months % MONTHS_PER_YEAR, "month"),
        (interval.days, "day"),
    ] {
        match count {
            0 => {}
            1 => parts.push(format!("1 {name}")),
            count => parts.push(format!("{count} {name}s")),
        }
    }
    if interval.nanoseconds != 0 || parts.is_empty() {
        parts.push(time(interval.nanoseconds));
    }
    parts.join(" ")
}

fn time(nanoseconds: i64) -> String {
    let sign = match nanoseconds < 0 {
        true => "-",
        false => "",
    };
    let all = nanoseconds.unsigned_abs();
    let (seconds, rest) = (all / NANOS_PER_SECOND, all % NANOS_PER_SECOND);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
    let micros = rest / NANOS_PER_MICRO;
    if micros > 0 {
        // Writing to a text never fails.
        let _ = write!(text, ".{micros:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_written_in_parts() {
        for (months, days, nanos, expected) in [
            (0, 0, 0, "00:00:00"),
            (
                14,
                3,
                14_706_700_000_000,
                "1 year 2 months 3 days 04:05:06.7",
            ),
            (-1, -2, -1_000_000, "-1 months -2 days -00:00:00.001"),
            (0, 1, 0, "1 day"),
            (0, 0, 129_600_000_000_000, "36:00:00"),
            (24, 0, 1_000, "2 years 00:00:00.000001"),
        ] {
            let interval = IntervalMonthDayNano::new(months, days, nanos);
            assert_eq!(text(interval), expected);
        }
    }
}
