//! `avg` of decimals, rounded half up.
//!
//! DataFusion's own cuts what is beyond its type's digits, and its type has no room for averages of decimals of
//! nearly 38 digits before the point. This one has the same name, signature and states. What is not a decimal is
//! left to DataFusion's.

use super::decimal_arithmetic::beyond_range;
use super::decimal_kernel::{divide_rounded, divide_wide, largest, power_of_ten};
use super::decimal_type::DecimalType;
use crate::sql_type::sql_type;
use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, FieldRef, UInt64Type, i256,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator,
    ReversedUDAF, Signature,
};
use datafusion::scalar::ScalarValue;
use std::sync::{Arc, LazyLock};

static ROUNDED_AVG: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(RoundedAvg { stock: avg_udaf() })));

/// The function, to be registered in the place of DataFusion's.
pub(super) fn rounded_avg() -> Arc<AggregateUDF> {
    Arc::clone(&ROUNDED_AVG)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RoundedAvg {
    stock: Arc<AggregateUDF>,
}

/// The input's type, where it is a decimal of 128 bits that this function averages.
fn averaged(data_type: &DataType) -> Option<DecimalType> {
    match data_type {
        DataType::Decimal128(_, scale) if *scale >= 0 => DecimalType::of(data_type),
        _ => None,
    }
}

fn averager(arguments: &AccumulatorArgs) -> Option<Averager> {
    let field = arguments.expr_fields.first()?;
    let of = averaged(field.data_type())?;
    Some(Averager {
        of,
        result: of.average(),
    })
}

impl AggregateUDFImpl for RoundedAvg {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first().and_then(averaged) {
            Some(decimal) => Ok(decimal.average().data_type()),
            None => self.stock.return_type(arguments),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.stock.state_fields(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.stock.groups_accumulator_supported(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let averager = averager(&arguments);
        let is_distinct = arguments.is_distinct;
        let stock = self.stock.accumulator(arguments)?;
        Ok(match averager {
            Some(averager) => Box::new(RoundedAverage {
                stock,
                averager,
                is_distinct,
            }),
            None => stock,
        })
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        self.accumulator(arguments)
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let averager = averager(&arguments);
        let stock = self.stock.create_groups_accumulator(arguments)?;
        Ok(match averager {
            Some(averager) => Box::new(RoundedAverages { stock, averager }),
            None => stock,
        })
    }
}

/// Divides sums of decimals by their number.
#[derive(Clone, Copy, Debug)]
struct Averager {
    of: DecimalType,
    result: DecimalType,
}

impl Averager {
    fn more_digits(self) -> u32 {
        u32::from(self.result.scale.saturating_sub(self.of.scale))
    }

    /// In 256 bits.
    fn wide(self, sum: i256, count: u64) -> Result<i128> {
        let average = power_of_ten(self.more_digits())
            .and_then(|factor| sum.mul_checked(i256::from_i128(factor)).ok())
            .and_then(|sum| divide_wide(sum, i256::from_i128(i128::from(count))))
            .and_then(i256::to_i128)
            .filter(|average| average.unsigned_abs() <= largest(self.result));
        average.ok_or_else(|| beyond_range("an average", &sql_type(&self.result.data_type())))
    }

    /// In 128 bits, where they are enough.
    fn narrow(self, sum: i128, count: u64) -> Result<i128> {
        let scaled = power_of_ten(self.more_digits()).and_then(|factor| sum.checked_mul(factor));
        match scaled {
            Some(sum) if count > 0 => Ok(divide_rounded(sum, i128::from(count))),
            _ => self.wide(i256::from_i128(sum), count),
        }
    }

    fn result(self, average: Option<i128>) -> ScalarValue {
        let DecimalType { precision, scale } = self.result;
        ScalarValue::Decimal128(average, precision, scale.cast_signed())
    }

    /// The average of a state of one count and one sum.
    fn of_state(self, state: &[ScalarValue]) -> Result<Option<i128>> {
        let [ScalarValue::UInt64(count), sum] = state else {
            return Err(unknown_state());
        };
        match (count.unwrap_or(0), sum) {
            (0, _) => Ok(None),
            (count, ScalarValue::Decimal128(Some(sum), _, _)) => self.narrow(*sum, count).map(Some),
            (count, ScalarValue::Decimal256(Some(sum), _, _)) => self.wide(*sum, count).map(Some),
            (_, sum) if sum.is_null() => Ok(None),
            _ => Err(unknown_state()),
        }
    }

    /// The average of a state of lists of different values.
    fn of_different(self, state: &[ScalarValue]) -> Result<Option<i128>> {
        let (mut sum, mut count) = (i256::ZERO, 0_u64);
        for list in state {
            let list = list.to_array()?;
            let list = list.as_list::<i32>();
            let values = list.values().as_primitive::<Decimal128Type>();
            for value in values.iter().flatten() {
                sum = sum.wrapping_add(i256::from_i128(value));
                count += 1;
            }
        }
        match count {
            0 => Ok(None),
            count => self.wide(sum, count).map(Some),
        }
    }

    /// The averages of states of many counts and sums.
    fn of_states(self, states: &[ArrayRef]) -> Result<Decimal128Array> {
        let [counts, sums] = states else {
            return Err(unknown_state());
        };
        let counts = counts.as_primitive::<UInt64Type>();
        let averages = if let Some(sums) = sums.as_primitive_opt::<Decimal128Type>() {
            self.each(sums, counts, |sum, count| self.narrow(sum, count))
        } else if let Some(sums) = sums.as_primitive_opt::<Decimal256Type>() {
            self.each(sums, counts, |sum, count| self.wide(sum, count))
        } else {
            Err(unknown_state())
        };
        Ok(averages?.with_data_type(self.result.data_type()))
    }

    fn each<T: datafusion::arrow::datatypes::ArrowPrimitiveType>(
        self,
        sums: &PrimitiveArray<T>,
        counts: &PrimitiveArray<UInt64Type>,
        average: impl Fn(T::Native, u64) -> Result<i128>,
    ) -> Result<Decimal128Array> {
        let pairs = sums.iter().zip(counts.iter());
        pairs
            .map(|pair| match pair {
                (Some(sum), Some(count)) if count > 0 => average(sum, count).map(Some),
                _ => Ok(None),
            })
            .collect()
    }
}

fn unknown_state() -> DataFusionError {
    DataFusionError::Internal("the state of avg is a count and a sum".to_owned())
}

/// One average, also of a moving window.
#[derive(Debug)]
struct RoundedAverage {
    stock: Box<dyn Accumulator>,
    averager: Averager,
    is_distinct: bool,
}

impl Accumulator for RoundedAverage {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.stock.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.stock.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.stock.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.stock.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.stock.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.stock.state()?;
        let average = match self.is_distinct {
            true => self.averager.of_different(&state)?,
            false => self.averager.of_state(&state)?,
        };
        Ok(self.averager.result(average))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.stock.size()
    }
}

/// The averages of many groups.
struct RoundedAverages {
    stock: Box<dyn GroupsAccumulator>,
    averager: Averager,
}

impl GroupsAccumulator for RoundedAverages {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.stock
            .update_batch(values, group_indices, filter, groups)
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        group_indices: &[usize],
        groups: usize,
    ) -> Result<()> {
        self.stock.merge_batch(states, group_indices, groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let states = self.stock.state(emit_to)?;
        Ok(Arc::new(self.averager.of_states(&states)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.stock.state(emit_to)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.stock.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.stock.size()
    }
}

#[cfg(test)]
mod tests {
    use crate::functions::FunctionSet;
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::error::Result;
    use datafusion::prelude::{SessionConfig, SessionContext};

    async fn values(sql: &str) -> Result<Vec<String>> {
        let config = SessionConfig::new().with_target_partitions(3);
        let mut context = SessionContext::new_with_config(config);
        FunctionSet::default().register(&mut context)?;
        let batches = context.sql(sql).await?.collect().await?;
        let rows = batches.iter().flat_map(|batch| {
            (0..batch.num_rows()).map(|row| array_value_to_string(batch.column(0), row))
        });
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    const NUMBERS: &str = "(SELECT k, CAST(x AS DECIMAL(10, 2)) AS x FROM (VALUES (1, '1'), (1, '1'), \
         (1, '0'), (2, '-2'), (2, '-2'), (2, '-1'), (3, NULL)) AS t(k, x))";
    const LARGE: &str = "(SELECT CAST(x AS DECIMAL(38, 0)) AS x FROM (VALUES \
         ('90000000000000000000000000000000000000'), ('90000000000000000000000000000000000001'), \
         ('90000000000000000000000000000000000002')) AS t(x))";

    #[tokio::test]
    async fn averages_are_rounded_half_up() {
        for (sql, expected) in [
            (
                format!("SELECT avg(x) FROM {NUMBERS} GROUP BY k ORDER BY k"),
                vec!["0.666667", "-1.666667", ""],
            ),
            (format!("SELECT avg(x) FROM {NUMBERS}"), vec!["-0.500000"]),
            (
                format!("SELECT avg(DISTINCT x) FROM {NUMBERS}"),
                vec!["-0.500000"],
            ),
            (
                format!("SELECT avg(x) FROM {NUMBERS} WHERE k > 2"),
                vec![""],
            ),
            (
                format!(
                    "SELECT avg(x) OVER (ORDER BY k, x ROWS 2 PRECEDING) FROM {NUMBERS} ORDER BY k, x"
                ),
                vec![
                    "0.000000",
                    "0.500000",
                    "0.666667",
                    "0.000000",
                    "-1.000000",
                    "-1.666667",
                    "-1.500000",
                ],
            ),
            (
                format!("SELECT avg(x) FROM {LARGE}"),
                vec!["90000000000000000000000000000000000001"],
            ),
            (
                format!("SELECT avg(DISTINCT x) FROM {LARGE}"),
                vec!["90000000000000000000000000000000000001"],
            ),
        ] {
            assert_eq!(values(&sql).await.unwrap(), expected, "{sql}");
        }
    }
}
