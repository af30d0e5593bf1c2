//! `to_timestamp` and `to_timestamp_nanos`, whose results are microseconds here: DataFusion's own cannot say 9999.

use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit,
};
use datafusion::common::format::DEFAULT_CAST_OPTIONS;
use datafusion::common::{exec_err, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions::datetime;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

use super::interval::on_values;
use super::zone::out_of_range;

const MICROS_PER_SECOND: f64 = 1e6;
const NANOS_PER_MICRO: i64 = 1_000;
const MICROS_SCALE: i8 = 6;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counts {
    Seconds,
    Nanoseconds,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestamp {
    counts: Counts,
    stock: Arc<ScalarUDF>,
    /// Reads text, in the session's zone.
    micros: Arc<ScalarUDF>,
    zone: Option<Arc<str>>,
    signature: Signature,
}

/// The functions of a session with these options.
pub(super) fn all(options: &ConfigOptions) -> Vec<ScalarUDF> {
    let stock = datetime::to_timestamp_micros(options);
    let micros = stock.inner().with_updated_config(options).map(Arc::new);
    let micros = micros.unwrap_or(stock);
    let zone = options.execution.time_zone.as_deref().map(Arc::from);
    let function = |counts| {
        ScalarUDF::from(ToTimestamp {
            counts,
            stock: match counts {
                Counts::Seconds => datetime::to_timestamp(options),
                Counts::Nanoseconds => datetime::to_timestamp_nanos(options),
            },
            micros: Arc::clone(&micros),
            zone: zone.clone(),
            signature: Signature::user_defined(Volatility::Immutable),
        })
    };
    vec![function(Counts::Seconds), function(Counts::Nanoseconds)]
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        match self.counts {
            Counts::Seconds => "to_timestamp",
            Counts::Nanoseconds => "to_timestamp_nanos",
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((value, formats)) = types.split_first() else {
            return plan_err!("{} takes a value", self.name());
        };
        if let Some(other) = formats.iter().find(|other| !other.is_string()) {
            return plan_err!("a format of {} is a text, not {other}", self.name());
        }
        let value = match value {
            text if text.is_string() => DataType::Utf8,
            number if number.is_integer() => DataType::Int64,
            number if number.is_floating() => DataType::Float64,
            DataType::Null => DataType::Int64,
            DataType::Decimal32(_, _)
            | DataType::Decimal64(_, _)
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _) => {
                DataType::Decimal128(DECIMAL128_MAX_PRECISION, MICROS_SCALE)
            }
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
            other => return plan_err!("{} takes no {other}", self.name()),
        };
        let formats = formats.iter().map(|_| DataType::Utf8);
        Ok(std::iter::once(value).chain(formats).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(
            TimeUnit::Microsecond,
            self.zone.clone(),
        ))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.first() else {
            return exec_err!("{} takes a value", self.name());
        };
        let data_type = args.return_field.data_type().clone();
        let micros = match value.data_type() {
            DataType::Utf8 => return self.read(args, &data_type),
            DataType::Timestamp(_, _) => {
                return on_values(value, |values| recast(values, &data_type));
            }
            _ => on_values(value, |values| self.micros_of(values))?,
        };
        on_values(&micros, |values| {
            let moments = values.as_primitive::<Int64Type>();
            let moments = moments.reinterpret_cast::<arrow::datatypes::TimestampMicrosecondType>();
            let zone = match &data_type {
                DataType::Timestamp(_, zone) => zone.clone(),
                _ => None,
            };
            let moments: TimestampMicrosecondArray = moments.with_timezone_opt(zone);
            Ok(Arc::new(moments) as ArrayRef)
        })
    }
}

impl ToTimestamp {
    /// Text as timestamps.
    fn read(&self, args: ScalarFunctionArgs, data_type: &DataType) -> Result<ColumnarValue> {
        if let [value] = args.args.as_slice() {
            return on_values(value, |values| recast(values, data_type));
        }
        let read = self.micros.invoke_with_args(args)?;
        on_values(&read, |values| recast(values, data_type))
    }

    /// Numbers as microseconds since 1970.
    fn micros_of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let as_integers = |values: &ArrayRef| cast(values, &DataType::Int64);
        let micros = match (self.counts, values.data_type()) {
            (Counts::Seconds, DataType::Float64) => {
                let seconds = values.as_primitive::<Float64Type>();
                seconds.try_unary::<_, Int64Type, _>(|seconds| {
                    let micros = (seconds * MICROS_PER_SECOND).round();
                    match micros.abs() < i64::MAX as f64 {
                        true => Ok(micros as i64),
                        false => Err(out_of_range()),
                    }
                })?
            }
            (Counts::Seconds, DataType::Decimal128(_, _)) => {
                let seconds = values.as_primitive::<Decimal128Type>();
                seconds.try_unary::<_, Int64Type, _>(|micros| {
                    i64::try_from(micros).map_err(|_| out_of_range())
                })?
            }
            (Counts::Seconds, _) => {
                let seconds = as_integers(values)?;
                let seconds = seconds.as_primitive::<Int64Type>();
                seconds.try_unary::<_, Int64Type, _>(|seconds| {
                    seconds.checked_mul(1_000_000).ok_or_else(out_of_range)
                })?
            }
            (Counts::Nanoseconds, _) => {
                let nanos = as_integers(values)?;
                let nanos = nanos.as_primitive::<Int64Type>();
                nanos.unary::<_, Int64Type>(|nanos| nanos.div_euclid(NANOS_PER_MICRO))
            }
        };
        Ok(Arc::new(micros))
    }
}

/// As timestamps of a type; an invalid timestamp is an error.
fn recast(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..DEFAULT_CAST_OPTIONS
    };
    Ok(arrow::compute::cast_with_options(
        values, data_type, &options,
    )?)
}
