//! Aggregates over the rows for which a condition holds.
//!
//! The FILTER of a window function is not sent to executors. So it becomes the last argument of a function that
//! leaves out the rows for which it does not hold, and is sent as arguments are.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::{filter, prep_null_mask_filter};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{internal_datafusion_err, plan_datafusion_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// What the name of such a function begins with; only plans use it.
const FILTERED: &str = "skep_filtered_";

/// Whether a name is that of a function made by [`filtered`].
pub fn is_filtered(name: &str) -> bool {
    name.starts_with(FILTERED)
}

/// What `inner` is over the rows for which its last argument, one more than it has, is true.
pub fn filtered(inner: Arc<AggregateUDF>) -> AggregateUDF {
    AggregateUDF::from(Filtered {
        name: format!("{FILTERED}{}", inner.name()),
        signature: Signature::variadic_any(inner.signature().volatility),
        inner,
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Filtered {
    name: String,
    signature: Signature,
    inner: Arc<AggregateUDF>,
}

/// All but the condition.
fn arguments_of<T>(arguments: &[T]) -> Result<&[T]> {
    let split = arguments.split_last();
    let (_, arguments) = split.ok_or_else(|| plan_datafusion_err!("FILTER has no condition"))?;
    Ok(arguments)
}

impl Filtered {
    /// Calls `make` with the arguments of the inner function.
    fn make(
        &self,
        arguments: &AccumulatorArgs,
        make: impl FnOnce(AccumulatorArgs) -> Result<Box<dyn Accumulator>>,
    ) -> Result<Box<dyn Accumulator>> {
        let inner = make(AccumulatorArgs {
            return_field: Arc::clone(&arguments.return_field),
            schema: arguments.schema,
            ignore_nulls: arguments.ignore_nulls,
            order_bys: arguments.order_bys,
            is_reversed: arguments.is_reversed,
            name: arguments.name,
            is_distinct: arguments.is_distinct,
            exprs: arguments_of(arguments.exprs)?,
            expr_fields: arguments_of(arguments.expr_fields)?,
        })?;
        Ok(Box::new(Filtering(inner)))
    }
}

impl AggregateUDFImpl for Filtered {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments_of(arguments)?)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(arguments_of(arguments)?)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.make(&arguments, |arguments| self.inner.accumulator(arguments))
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        self.make(&arguments, |arguments| {
            self.inner.create_sliding_accumulator(arguments)
        })
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let input_fields = arguments_of(arguments.input_fields)?;
        self.inner.state_fields(StateFieldsArgs {
            input_fields,
            ..arguments
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }
}

/// Hands on the rows for which the last column is true.
#[derive(Debug)]
struct Filtering(Box<dyn Accumulator>);

/// The rows of the other columns for which the last one is true.
fn kept(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let Some((condition, values)) = values.split_last() else {
        return Err(internal_datafusion_err!("a filter has no condition"));
    };
    let condition: &BooleanArray = condition
        .as_boolean_opt()
        .ok_or_else(|| internal_datafusion_err!("the condition of a filter is not a boolean"))?;
    let condition = match condition.null_count() {
        0 => condition.clone(),
        _ => prep_null_mask_filter(condition),
    };
    let kept = values.iter().map(|values| filter(values, &condition));
    Ok(kept.collect::<Result<_, _>>()?)
}

impl Accumulator for Filtering {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&kept(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&kept(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::{Field, Int64Type, Schema};
    use datafusion::functions_aggregate::sum::sum_udaf;
    use datafusion::physical_expr::expressions::{Column, col};

    fn columns(values: Vec<Option<i64>>, conditions: Vec<Option<bool>>) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(values)),
            Arc::new(BooleanArray::from(conditions)),
        ]
    }

    #[test]
    fn rows_for_which_the_condition_does_not_hold_are_left_out() {
        let schema = Schema::new(vec![
            Field::new("v", DataType::Int64, true),
            Field::new("c", DataType::Boolean, true),
        ]);
        let fields: Vec<FieldRef> = schema.fields().to_vec();
        let function = filtered(sum_udaf());
        assert!(is_filtered(function.name()));
        let arguments = AccumulatorArgs {
            return_field: function.return_field(&fields).unwrap(),
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "sum",
            is_distinct: false,
            exprs: &[col("v", &schema).unwrap(), Arc::new(Column::new("c", 1))],
            expr_fields: &fields,
        };
        let mut sum = function.create_sliding_accumulator(arguments).unwrap();
        let rows = columns(
            vec![Some(1), Some(2), Some(4), None],
            vec![Some(true), None, Some(true), Some(true)],
        );
        sum.update_batch(&rows).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(Some(5)));
        assert!(sum.supports_retract_batch());
        let left: Vec<ArrayRef> = rows.iter().map(|column| column.slice(0, 2)).collect();
        sum.retract_batch(&left).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(Some(4)));
        let kept = kept(&rows).unwrap();
        assert_eq!(kept[0].as_primitive::<Int64Type>().len(), 3);
    }
}
