//! `date_part(field, value)`, which is what EXTRACT means, with the fields that DataFusion's own does not know, and
//! those of intervals.

use super::interval::{on_values, to_intervals};
use super::part_of_interval::{self, IntervalField};
use super::unit::{Unit, bare};
use super::zone;
use crate::error::to_datafusion;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::{DatePart as Field_, cast, date_part as arrow_part};
use arrow::datatypes::{
    DataType, Field, FieldRef, Int32Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::{exec_err, internal_err, plan_err};
use datafusion::error::Result;
use datafusion::functions::datetime;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;
/// The Julian day that began at midnight of 1970-01-01.
const JULIAN_OF_EPOCH: f64 = 2_440_588.0;

/// The fields that DataFusion's own function does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Decade,
    Century,
    Millennium,
    Era,
    Julian,
    YearWeek,
    /// Of the zone: the seconds, the hours and the minutes of its offset.
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

/// Where a field comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Own(Own),
    /// DataFusion's function, under that name.
    Stock(&'static str),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    stock: Arc<ScalarUDF>,
    aliases: Vec<String>,
    signature: Signature,
}

static DATE_PART: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(DatePart {
        stock: datetime::date_part(),
        aliases: vec!["datepart".to_owned()],
        signature: Signature::user_defined(Volatility::Immutable),
    }))
});

/// The function.
pub fn date_part() -> Arc<ScalarUDF> {
    Arc::clone(&DATE_PART)
}

fn source_of(name: &str) -> Result<Source> {
    let unit = Unit::named(name).map(|unit| match unit {
        Unit::Microsecond => Source::Stock("microsecond"),
        Unit::Millisecond => Source::Stock("millisecond"),
        Unit::Second => Source::Stock("second"),
        Unit::Minute => Source::Stock("minute"),
        Unit::Hour => Source::Stock("hour"),
        Unit::Day => Source::Stock("day"),
        Unit::Week => Source::Stock("week"),
        Unit::Month => Source::Stock("month"),
        Unit::Quarter => Source::Stock("quarter"),
        Unit::Year => Source::Stock("year"),
        Unit::Decade => Source::Own(Own::Decade),
        Unit::Century => Source::Own(Own::Century),
        Unit::Millennium => Source::Own(Own::Millennium),
    });
    let bare = bare(name);
    let other = match bare.as_str() {
        "nanosecond" | "nanoseconds" | "ns" | "nsec" => Source::Stock("nanosecond"),
        "dow" | "weekday" | "dayofweek" => Source::Stock("dow"),
        "isodow" | "dayofweek_iso" => Source::Stock("isodow"),
        "doy" | "dayofyear" => Source::Stock("doy"),
        "epoch" => Source::Stock("epoch"),
        "isoyear" | "yearofweek" => Source::Stock("isoyear"),
        "era" => Source::Own(Own::Era),
        "julian" => Source::Own(Own::Julian),
        "yearweek" => Source::Own(Own::YearWeek),
        "timezone" => Source::Own(Own::Timezone),
        "timezone_hour" => Source::Own(Own::TimezoneHour),
        "timezone_minute" => Source::Own(Own::TimezoneMinute),
        _ => return unit.ok_or_else(|| unknown(&bare)),
    };
    Ok(unit.unwrap_or(other))
}

fn unknown(field: &str) -> datafusion::error::DataFusionError {
    let text = format!("a date or time has no field '{field}'");
    to_datafusion(QueryError::new(ErrorCode::Semantic, text))
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        "date_part"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [field, value] = types else {
            return plan_err!("date_part takes a field and a value");
        };
        if !field.is_string() {
            return plan_err!("the field of date_part is a text, not {field}");
        }
        let value = match value {
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Timestamp(_, _)
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Duration(_) => value.clone(),
            DataType::Null => DataType::Timestamp(TimeUnit::Microsecond, None),
            text if text.is_string() => DataType::Timestamp(TimeUnit::Microsecond, None),
            other => return plan_err!("date_part takes a date or a time, not {other}"),
        };
        Ok(vec![DataType::Utf8, value])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of date_part depends on its field")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let (Some(Some(field)), Some(value)) =
            (args.scalar_arguments.first(), args.arg_fields.get(1))
        else {
            return plan_err!("the field of date_part is a constant text");
        };
        let Some(name) = field.try_as_str().flatten() else {
            return plan_err!("the field of date_part is a constant text");
        };
        let data_type = match source_of(name)? {
            Source::Stock("epoch") | Source::Own(Own::Julian) => DataType::Float64,
            Source::Stock("nanosecond") => DataType::Int64,
            _ if is_interval(value.data_type()) => DataType::Int64,
            Source::Stock(_) => DataType::Int32,
            Source::Own(_) => DataType::Int64,
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(field), value] = args.args.as_slice() else {
            return exec_err!("date_part takes a constant field and a value");
        };
        let Some(name) = field.try_as_str().flatten() else {
            return exec_err!("the field of date_part is a constant text");
        };
        let source = source_of(name)?;
        let wanted = args.return_field.data_type().clone();
        if is_interval(&value.data_type()) {
            let field = interval_field(&source).ok_or_else(|| no_field_of_intervals(name))?;
            return on_values(value, |values| {
                let intervals = to_intervals(values)?;
                let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
                let parts = part_of_interval::part(intervals, field);
                Ok(cast(&parts, &wanted)?)
            });
        }
        match source {
            Source::Own(own) => on_values(value, |values| own_part(values, own)),
            Source::Stock(name) => {
                if let Some(field) = args.args.first_mut() {
                    *field = ColumnarValue::from(datafusion::scalar::ScalarValue::from(name));
                }
                self.stock.invoke_with_args(args)
            }
        }
    }

    fn preimage(
        &self,
        args: &[Expr],
        value: &Expr,
        context: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.stock.inner().preimage(args, value, context)
    }
}

fn no_field_of_intervals(name: &str) -> datafusion::error::DataFusionError {
    let text = format!("an interval has no field '{}'", bare(name));
    to_datafusion(QueryError::new(ErrorCode::Evaluation, text))
}

fn interval_field(source: &Source) -> Option<IntervalField> {
    Some(match source {
        Source::Own(Own::Millennium) => IntervalField::Millennium,
        Source::Own(Own::Century) => IntervalField::Century,
        Source::Own(Own::Decade) => IntervalField::Decade,
        Source::Stock("year") => IntervalField::Year,
        Source::Stock("quarter") => IntervalField::Quarter,
        Source::Stock("month") => IntervalField::Month,
        Source::Stock("week") => IntervalField::Week,
        Source::Stock("day") => IntervalField::Day,
        Source::Stock("hour") => IntervalField::Hour,
        Source::Stock("minute") => IntervalField::Minute,
        Source::Stock("second") => IntervalField::Second,
        Source::Stock("millisecond") => IntervalField::Millisecond,
        Source::Stock("microsecond") => IntervalField::Microsecond,
        Source::Stock("nanosecond") => IntervalField::Nanosecond,
        Source::Stock("epoch") => IntervalField::Epoch,
        _ => return None,
    })
}

fn own_part(values: &ArrayRef, own: Own) -> Result<ArrayRef> {
    match own {
        Own::Julian => julian(values),
        Own::Timezone | Own::TimezoneHour | Own::TimezoneMinute => offset(values, own),
        Own::YearWeek => {
            let years = integers(values, Field_::YearISO)?;
            let weeks = integers(values, Field_::Week)?;
            let parts = years.iter().zip(weeks.iter());
            let parts: Int64Array = parts
                .map(|(year, week)| {
                    let (year, week) = year.zip(week)?;
                    Some(year * 100 + if year < 0 { -week } else { week })
                })
                .collect();
            Ok(Arc::new(parts))
        }
        _ => {
            let years = integers(values, Field_::Year)?;
            let part = |year: i64| match own {
                Own::Decade => year.div_euclid(10),
                Own::Century => within(year, 100),
                Own::Millennium => within(year, 1000),
                _ => i64::from(year > 0),
            };
            Ok(Arc::new(
                years.unary::<_, arrow::datatypes::Int64Type>(part),
            ))
        }
    }
}

/// Which century a year is in: 1901 to 2000 are the twentieth; there is none before the first but the first
/// before our era.
fn within(year: i64, length: i64) -> i64 {
    match year > 0 {
        true => (year - 1) / length + 1,
        false => -(-year / length + 1),
    }
}

fn integers(values: &ArrayRef, field: Field_) -> Result<Int64Array> {
    let parts = arrow_part(values.as_ref(), field)?;
    let parts = parts.as_primitive::<Int32Type>();
    Ok(parts.unary::<_, arrow::datatypes::Int64Type>(i64::from))
}

/// Microseconds as clocks show them.
fn local_micros(values: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let zone = match values.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        DataType::Date32 | DataType::Date64 => None,
        other => {
            let text = format!("a {other} has no date");
            return Err(to_datafusion(QueryError::new(ErrorCode::Evaluation, text)));
        }
    };
    let found = zone.as_deref().map(zone::parse).transpose()?;
    let micros = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    let local = micros.iter().map(|value| match (&found, value) {
        (Some(zone), Some(value)) => zone::local_of(value, zone).map(Some),
        (_, value) => Ok(value),
    });
    local.collect()
}

fn julian(values: &ArrayRef) -> Result<ArrayRef> {
    let local = local_micros(values)?;
    let days: Float64Array = local
        .into_iter()
        .map(|micros| {
            let micros = micros?;
            let whole = micros.div_euclid(MICROS_PER_DAY) as f64;
            let rest = micros.rem_euclid(MICROS_PER_DAY) as f64 / MICROS_PER_DAY as f64;
            Some(whole + JULIAN_OF_EPOCH + rest)
        })
        .collect();
    Ok(Arc::new(days))
}

fn offset(values: &ArrayRef, own: Own) -> Result<ArrayRef> {
    let moments = match values.data_type() {
        DataType::Timestamp(_, _) => {
            cast(values, &DataType::Timestamp(TimeUnit::Microsecond, None))?
        }
        _ => cast(values, &DataType::Timestamp(TimeUnit::Microsecond, None))?,
    };
    let moments = moments.as_primitive::<TimestampMicrosecondType>();
    let local = local_micros(values)?;
    let parts: Int64Array = moments
        .iter()
        .zip(local)
        .map(|(moment, local)| {
            let seconds = (local? - moment?) / 1_000_000;
            Some(match own {
                Own::TimezoneHour => seconds / 3600,
                Own::TimezoneMinute => seconds / 60 % 60,
                _ => seconds,
            })
        })
        .collect();
    Ok(Arc::new(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::TimestampMicrosecondArray;

    fn part_of(micros: i64, zone: Option<&str>, own: Own) -> String {
        let values = TimestampMicrosecondArray::from(vec![micros]);
        let values: ArrayRef = Arc::new(values.with_timezone_opt(zone));
        let part = own_part(&values, own).unwrap();
        arrow::util::display::array_value_to_string(&part, 0).unwrap()
    }

    #[test]
    fn fields_of_long_times_and_of_zones() {
        let noon_2024 = 1_709_208_000_000_000;
        for (own, expected) in [
            (Own::Decade, "202"),
            (Own::Century, "21"),
            (Own::Millennium, "3"),
            (Own::Era, "1"),
            (Own::Julian, "2460370.5"),
            (Own::YearWeek, "202409"),
            (Own::Timezone, "0"),
        ] {
            assert_eq!(part_of(noon_2024, None, own), expected, "{own:?}");
        }
        let india = Some("+05:30");
        assert_eq!(part_of(noon_2024, india, Own::Timezone), "19800");
        assert_eq!(part_of(noon_2024, india, Own::TimezoneHour), "5");
        assert_eq!(part_of(noon_2024, india, Own::TimezoneMinute), "30");
        assert_eq!((within(2000, 100), within(2001, 1000)), (20, 3));
        assert_eq!((within(0, 100), within(-99, 100)), (-1, -1));
        assert!(source_of("fortnight").is_err());
    }
}
