//! `range` and `generate_series` of timestamps: microseconds here, for DataFusion's own make nanoseconds of them, and
//! of those that are beyond 2262 nothing.

use super::zone;
use crate::error::to_datafusion;
use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, TimestampMicrosecondBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::functions_nested::range::{gen_series_udf, range_udf};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    stock: Arc<ScalarUDF>,
    includes_end: bool,
}

static RANGE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Series {
        stock: range_udf(),
        includes_end: false,
    }))
});
static GENERATE_SERIES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Series {
        stock: gen_series_udf(),
        includes_end: true,
    }))
});

/// The functions.
pub(super) fn all() -> [Arc<ScalarUDF>; 2] {
    [Arc::clone(&RANGE), Arc::clone(&GENERATE_SERIES)]
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Timestamp(_, zone), rest @ ..] if !rest.iter().any(DataType::is_null) => {
                let item = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                Ok(DataType::List(Arc::new(Field::new_list_field(item, true))))
            }
            _ => self.stock.return_type(types),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = match args.return_field.data_type() {
            DataType::List(item) => match item.data_type() {
                DataType::Timestamp(_, zone) => zone.clone(),
                _ => return self.stock.invoke_with_args(args),
            },
            _ => return self.stock.invoke_with_args(args),
        };
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [starts, ends, steps] = arrays.as_slice() else {
            return exec_err!(
                "{} of timestamps takes a start, an end and a step",
                self.name()
            );
        };
        let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
        let (starts, ends) = (cast(starts, &micros)?, cast(ends, &micros)?);
        let starts = starts.as_primitive::<TimestampMicrosecondType>();
        let ends = ends.as_primitive::<TimestampMicrosecondType>();
        let steps = cast(steps, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let steps = steps.as_primitive::<IntervalMonthDayNanoType>();
        let clock = match &zone {
            Some(zone) => zone::parse(zone)?,
            None => zone::fixed(0)?,
        };
        let values = TimestampMicrosecondBuilder::new().with_timezone_opt(zone);
        let mut lists = ListBuilder::new(values);
        for row in 0..starts.len() {
            if starts.is_null(row) || ends.is_null(row) || steps.is_null(row) {
                lists.append_null();
                continue;
            }
            let bounds = (starts.value(row), ends.value(row));
            self.append(lists.values(), bounds, steps.value(row), clock)?;
            lists.append(true);
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        Ok(ColumnarValue::Array(lists))
    }
}

impl Series {
    fn append(
        &self,
        values: &mut TimestampMicrosecondBuilder,
        (start, end): (i64, i64),
        step: IntervalMonthDayNano,
        clock: Tz,
    ) -> Result<()> {
        let next = |value| TimestampMicrosecondType::add_month_day_nano(value, step, clock);
        let first = next(start).ok_or_else(zone::out_of_range)?;
        if first == start {
            let text = format!("the step of {} is not nothing", self.name());
            return Err(to_datafusion(QueryError::new(ErrorCode::Evaluation, text)));
        }
        let is_downwards = first < start;
        let is_within = |value: i64| match is_downwards {
            _ if value == end => self.includes_end,
            true => value > end,
            false => value < end,
        };
        let mut value = start;
        while is_within(value) {
            values.append_value(value);
            match next(value) {
                // A step that is a month less a few days may stand still.
                Some(following) if following != value && (following < value) == is_downwards => {
                    value = following;
                }
                _ => break,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_reach_beyond_nanoseconds() {
        let day = 86_400_000_000;
        let year_9999 = 253_370_764_800_000_000;
        let count = |includes_end: bool, days: i32, end: i64| {
            let series = Series {
                stock: range_udf(),
                includes_end,
            };
            let mut values = TimestampMicrosecondBuilder::new();
            let step = IntervalMonthDayNano::new(0, days, 0);
            let clock = zone::fixed(0).unwrap();
            series
                .append(&mut values, (year_9999, end), step, clock)
                .map(|()| values.finish().len())
        };
        assert_eq!(count(true, 1, year_9999 + 2 * day).unwrap(), 3);
        assert_eq!(count(false, 1, year_9999 + 2 * day).unwrap(), 2);
        assert_eq!(count(true, -1, year_9999 - day).unwrap(), 2);
        assert_eq!(count(true, 1, year_9999 - day).unwrap(), 0);
        assert!(count(true, 0, year_9999).is_err());
    }
}
