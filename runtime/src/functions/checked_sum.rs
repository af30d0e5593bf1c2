//! `sum` that refuses to overflow.
//!
//! DataFusion's own wraps around: the sum of two large positive numbers is a negative one, without a
//! word. This one has the same name, signature and states, and is an error where the sum of integers
//! or decimals leaves its type. Everything else is left to DataFusion's.

use crate::error::to_datafusion;
use crate::sql_type::sql_type;
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowNumericType, AsArray, BooleanArray, PrimitiveArray,
};
use datafusion::arrow::compute::sum_checked;
use datafusion::arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, FieldRef,
    Int64Type, UInt64Type, i256,
};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator,
    ReversedUDAF, SetMonotonicity, Signature,
};
use datafusion::scalar::ScalarValue;
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;
use skep_protocol::{ErrorCode, QueryError};
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

static CHECKED_SUM: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(CheckedSum { stock: sum_udaf() })));

/// The function, to be registered in the place of DataFusion's.
pub fn checked_sum() -> Arc<AggregateUDF> {
    Arc::clone(&CHECKED_SUM)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    stock: Arc<AggregateUDF>,
}

/// Calls `$body` with `$sum` as the Arrow type of a sum that can overflow; `$other` for the rest.
macro_rules! with_sum_type {
    ($data_type:expr, $sum:ident => $body:expr, $other:expr) => {
        match $data_type {
            DataType::Int64 => {
                type $sum = Int64Type;
                $body
            }
            DataType::UInt64 => {
                type $sum = UInt64Type;
                $body
            }
            DataType::Decimal32(_, _) => {
                type $sum = Decimal32Type;
                $body
            }
            DataType::Decimal64(_, _) => {
                type $sum = Decimal64Type;
                $body
            }
            DataType::Decimal128(_, _) => {
                type $sum = Decimal128Type;
                $body
            }
            DataType::Decimal256(_, _) => {
                type $sum = Decimal256Type;
                $body
            }
            _ => $other,
        }
    };
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.stock.state_fields(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.stock.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.stock.groups_accumulator_supported(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = arguments.return_field.data_type().clone();
        let is_distinct = arguments.is_distinct;
        with_sum_type!(
            data_type,
            Sum => if is_distinct {
                let distinct = self.stock.accumulator(arguments)?;
                Ok(Box::new(DistinctSum::<Sum>::new(distinct, data_type)))
            } else {
                Ok(Box::new(PlainSum::<Sum>::new(data_type)))
            },
            self.stock.accumulator(arguments)
        )
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        let data_type = arguments.return_field.data_type().clone();
        if arguments.is_distinct {
            return self.stock.create_sliding_accumulator(arguments);
        }
        with_sum_type!(
            data_type,
            Sum => Ok(Box::new(PlainSum::<Sum>::new(data_type))),
            self.stock.create_sliding_accumulator(arguments)
        )
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = arguments.return_field.data_type().clone();
        with_sum_type!(
            data_type,
            Sum => Ok(group_sums::<Sum>(data_type)),
            self.stock.create_groups_accumulator(arguments)
        )
    }
}

fn overflow(data_type: &DataType) -> DataFusionError {
    to_datafusion(QueryError::new(
        ErrorCode::Evaluation,
        format!(
            "a sum is beyond the range of its type {}",
            sql_type(data_type)
        ),
    ))
}

/// Whether a decimal has more digits than its type shows; integers are as large as their type.
fn has_too_many_digits<T: ArrowNumericType>(array: &PrimitiveArray<T>) -> bool {
    fn too_many<D: DecimalType>(array: &dyn Array, precision: u8) -> bool {
        let decimals = array.as_primitive_opt::<D>();
        decimals.is_some_and(|array| array.validate_decimal_precision(precision).is_err())
    }
    match array.data_type() {
        DataType::Decimal32(precision, _) => too_many::<Decimal32Type>(array, *precision),
        DataType::Decimal64(precision, _) => too_many::<Decimal64Type>(array, *precision),
        DataType::Decimal128(precision, _) => too_many::<Decimal128Type>(array, *precision),
        DataType::Decimal256(precision, _) => too_many::<Decimal256Type>(array, *precision),
        _ => false,
    }
}

/// A number that fits into 256 bits, in which sums are kept: those of a moving window, which gets rows before
/// it loses others, and those whose order decides what is between, are in range where their result is.
trait Wide: Sized {
    fn wide(self) -> i256;

    /// `None` where it is beyond the type.
    fn narrow(wide: i256) -> Option<Self>;
}

macro_rules! impl_wide {
    ($($native:ty),*) => {
        $(impl Wide for $native {
            fn wide(self) -> i256 {
                i256::from_i128(i128::from(self))
            }

            fn narrow(wide: i256) -> Option<Self> {
                wide.to_i128().and_then(|value| Self::try_from(value).ok())
            }
        })*
    };
}

impl_wide!(i32, i64, u64, i128);

impl Wide for i256 {
    fn wide(self) -> i256 {
        self
    }

    fn narrow(wide: i256) -> Option<Self> {
        Some(wide)
    }
}

/// The sum of all values, also of those in a moving window.
struct PlainSum<T: ArrowNumericType> {
    sum: i256,
    /// How many values that are not NULL are in the sum.
    count: u64,
    data_type: DataType,
    _sum: PhantomData<fn() -> T>,
}

impl<T: ArrowNumericType> PlainSum<T>
where
    T::Native: Wide,
{
    fn new(data_type: DataType) -> Self {
        Self {
            sum: i256::ZERO,
            count: 0,
            data_type,
            _sum: PhantomData,
        }
    }

    fn change(
        &mut self,
        values: &[ArrayRef],
        apply: impl Fn(i256, i256) -> std::result::Result<i256, ArrowError>,
    ) -> Result<u64> {
        let [values] = values else {
            return Err(DataFusionError::Internal("sum has one argument".to_owned()));
        };
        let values = values.as_primitive::<T>();
        let sum = match sum_checked(values) {
            Ok(sum) => Ok(sum.map_or(i256::ZERO, Wide::wide)),
            Err(_) => values
                .iter()
                .flatten()
                .try_fold(i256::ZERO, |sum, value| sum.add_checked(value.wide())),
        };
        let changed = sum.and_then(|sum| apply(self.sum, sum));
        self.sum = changed.map_err(|_| overflow(&self.data_type))?;
        Ok((values.len() - values.null_count()) as u64)
    }
}

impl<T: ArrowNumericType> fmt::Debug for PlainSum<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainSum({})", self.data_type)
    }
}

impl<T: ArrowNumericType> Accumulator for PlainSum<T>
where
    T::Native: Wide,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count += self.change(values, ArrowNativeTypeOp::add_checked)?;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count -= self.change(values, ArrowNativeTypeOp::sub_checked)?;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = match self.count {
            0 => None,
            _ => Some(T::Native::narrow(self.sum).ok_or_else(|| overflow(&self.data_type))?),
        };
        let array = PrimitiveArray::<T>::from_iter([sum]).with_data_type(self.data_type.clone());
        if has_too_many_digits(&array) {
            return Err(overflow(&self.data_type));
        }
        ScalarValue::new_primitive::<T>(sum, &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of the values that DataFusion found to be different.
struct DistinctSum<T: ArrowNumericType> {
    values: Box<dyn Accumulator>,
    data_type: DataType,
    _sum: PhantomData<fn() -> T>,
}

impl<T: ArrowNumericType> DistinctSum<T> {
    fn new(values: Box<dyn Accumulator>, data_type: DataType) -> Self {
        Self {
            values,
            data_type,
            _sum: PhantomData,
        }
    }
}

impl<T: ArrowNumericType> fmt::Debug for DistinctSum<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinctSum({})", self.data_type)
    }
}

impl<T: ArrowNumericType> Accumulator for DistinctSum<T>
where
    T::Native: Wide,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.update_batch(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.values.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.values.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sum = PlainSum::<T>::new(self.data_type.clone());
        for state in self.values.state()? {
            let list = state.to_array()?;
            sum.update_batch(&[Arc::clone(list.as_list::<i32>().values())])?;
        }
        sum.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.size()
    }
}

/// The sums of many groups. What adds them up cannot fail, so it leaves a mark, which is looked at
/// when the sums are taken.
struct GroupSums<T: ArrowNumericType, A> {
    sums: A,
    overflowed: Arc<AtomicBool>,
    data_type: DataType,
    _sum: PhantomData<fn() -> T>,
}

fn group_sums<T: ArrowNumericType + Send>(data_type: DataType) -> Box<dyn GroupsAccumulator> {
    let overflowed = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&overflowed);
    let add = move |sum: &mut T::Native, value: T::Native| match sum.add_checked(value) {
        Ok(added) => *sum = added,
        Err(_) => mark.store(true, Ordering::Relaxed),
    };
    Box::new(GroupSums::<T, _> {
        sums: PrimitiveGroupsAccumulator::<T, _>::new(&data_type, add),
        overflowed,
        data_type,
        _sum: PhantomData,
    })
}

impl<T: ArrowNumericType, A> GroupSums<T, A> {
    fn check(&self, sums: &dyn Array) -> Result<()> {
        let overflowed = self.overflowed.load(Ordering::Relaxed);
        match overflowed || has_too_many_digits(sums.as_primitive::<T>()) {
            true => Err(overflow(&self.data_type)),
            false => Ok(()),
        }
    }
}

impl<T, A> GroupsAccumulator for GroupSums<T, A>
where
    T: ArrowNumericType + Send,
    A: GroupsAccumulator,
{
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.sums
            .update_batch(values, group_indices, filter, groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        groups: usize,
    ) -> Result<()> {
        self.sums.merge_batch(values, group_indices, groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.sums.evaluate(emit_to)?;
        self.check(&sums)?;
        Ok(sums)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.sums.state(emit_to)?;
        for sums in &states {
            self.check(sums)?;
        }
        Ok(states)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.sums.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sums.size()
    }
}

#[cfg(test)]
mod tests {
    use crate::functions::FunctionSet;
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::error::Result;
    use datafusion::prelude::{SessionConfig, SessionContext};

    async fn value(sql: &str) -> Result<String> {
        let config = SessionConfig::new().with_target_partitions(3);
        let mut context = SessionContext::new_with_config(config);
        FunctionSet::default().register(&mut context)?;
        let batches = context.sql(sql).await?.collect().await?;
        let batch = batches.iter().rev().find(|batch| batch.num_rows() > 0);
        let batch = batch.expect("a row");
        Ok(array_value_to_string(
            batch.column(0),
            batch.num_rows() - 1,
        )?)
    }

    /// A table with two rows of the largest BIGINT and one of one.
    const LARGE: &str =
        "(VALUES (1, 9223372036854775807), (1, 9223372036854775807), (2, 1)) AS t(k, x)";

    #[tokio::test]
    async fn overflow_is_an_error_wherever_it_happens() {
        for sql in [
            format!("SELECT sum(x) FROM {LARGE}"),
            format!("SELECT sum(x) FROM {LARGE} GROUP BY k"),
            format!("SELECT sum(DISTINCT x) FROM {LARGE}"),
            format!("SELECT sum(DISTINCT x), sum(DISTINCT k) FROM {LARGE}"),
            format!("SELECT sum(x) OVER (ORDER BY k) FROM {LARGE}"),
            format!("SELECT sum(x) OVER (ORDER BY x ROWS 1 PRECEDING) FROM {LARGE}"),
            "SELECT sum(arrow_cast(x, 'UInt64')) FROM (VALUES (18446744073709551615), (1)) t(x)"
                .to_owned(),
            "SELECT sum(CAST(x AS DECIMAL(38, 0))) FROM (VALUES \
             ('99999999999999999999999999999999999999'), ('1')) t(x)"
                .to_owned(),
        ] {
            let error = value(&sql).await.expect_err(&sql).to_string();
            assert!(
                error.contains("a sum is beyond the range"),
                "{sql}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn what_fits_is_what_it_was() {
        for (sql, expected) in [
            (format!("SELECT sum(k) FROM {LARGE}"), "4"),
            (format!("SELECT sum(DISTINCT k) FROM {LARGE}"), "3"),
            (format!("SELECT sum(x) FROM {LARGE} WHERE k = 2"), "1"),
            (format!("SELECT sum(x) FROM {LARGE} WHERE k = 3"), ""),
            (
                format!(
                    "SELECT sum(x) FILTER (WHERE k = 2) AS s FROM {LARGE} GROUP BY k ORDER BY s NULLS FIRST"
                ),
                "1",
            ),
            (
                format!(
                    "SELECT sum(k) OVER (ORDER BY k ROWS 1 PRECEDING) AS s FROM {LARGE} ORDER BY s"
                ),
                "3",
            ),
            (
                format!(
                    "SELECT sum(x) OVER (ORDER BY x, k ROWS BETWEEN CURRENT ROW AND CURRENT ROW) AS s \
                     FROM {LARGE} ORDER BY s"
                ),
                "9223372036854775807",
            ),
            (
                "SELECT sum(x) FROM (VALUES (9223372036854775807), (1), (-5)) AS t(x)".to_owned(),
                "9223372036854775803",
            ),
            (
                "SELECT sum(x) FROM (VALUES (1.5), (2.25), (NULL)) t(x)".to_owned(),
                "3.75",
            ),
            (
                "SELECT sum(CAST(x AS DECIMAL(10, 2))) FROM (VALUES (1.5), (2.25)) t(x)".to_owned(),
                "3.75",
            ),
        ] {
            assert_eq!(value(&sql).await.unwrap(), expected, "{sql}");
        }
    }
}
