//! `min` and `max` of floating point numbers in groups.
//!
//! DataFusion compares the values of a group with `<` and `>`, which are false for NaN: what came before a NaN was
//! forgotten, or the NaN. These have the names, signatures and states of DataFusion's, and take NaN for the greatest
//! of all. Everything but floating point numbers in groups is left to DataFusion's.

use datafusion::arrow::array::ArrowNumericType;
use datafusion::arrow::datatypes::{
    ArrowNativeTypeOp, DataType, FieldRef, Float16Type, Float32Type, Float64Type,
};
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};
use datafusion::scalar::ScalarValue;
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;
use std::sync::Arc;

/// Both, to be registered in the place of DataFusion's.
pub fn float_bounds() -> [Arc<AggregateUDF>; 2] {
    [(min_udaf(), false), (max_udaf(), true)]
        .map(|(stock, is_max)| Arc::new(AggregateUDF::from(FloatBound { stock, is_max })))
}

/// The one of that name.
pub fn float_bound(name: &str) -> Option<Arc<AggregateUDF>> {
    let mut bounds = float_bounds().into_iter();
    bounds.find(|bound| bound.name() == name)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatBound {
    stock: Arc<AggregateUDF>,
    is_max: bool,
}

impl AggregateUDFImpl for FloatBound {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.stock.coerce_types(arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.stock.state_fields(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.stock.accumulator(arguments)
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        self.stock.create_sliding_accumulator(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.stock.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = arguments.return_field.data_type().clone();
        Ok(match data_type {
            DataType::Float16 => self.groups::<Float16Type>(&data_type),
            DataType::Float32 => self.groups::<Float32Type>(&data_type),
            DataType::Float64 => self.groups::<Float64Type>(&data_type),
            _ => return self.stock.create_groups_accumulator(arguments),
        })
    }

    fn is_descending(&self) -> Option<bool> {
        self.stock.is_descending()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.stock.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.stock.inner().set_monotonicity(data_type)
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        // Statistics say nothing of NaN.
        match statistics.return_type.is_floating() {
            true => None,
            false => self.stock.inner().value_from_stats(statistics),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

impl FloatBound {
    /// Arrow's order has NaN above everything, and a NaN with a sign, which keys do not have, below.
    fn groups<T>(&self, data_type: &DataType) -> Box<dyn GroupsAccumulator>
    where
        T: ArrowNumericType + Send,
        T::Native: ArrowNativeTypeOp,
    {
        match self.is_max {
            true => {
                let groups = PrimitiveGroupsAccumulator::<T, _>::new(data_type, |max, value| {
                    if value.is_gt(*max) {
                        *max = value;
                    }
                });
                Box::new(groups.with_starting_value(T::Native::MIN_TOTAL_ORDER))
            }
            false => {
                let groups = PrimitiveGroupsAccumulator::<T, _>::new(data_type, |min, value| {
                    if value.is_lt(*min) {
                        *min = value;
                    }
                });
                Box::new(groups.with_starting_value(T::Native::MAX_TOTAL_ORDER))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
    use datafusion::logical_expr::EmitTo;

    fn of_groups(is_max: bool, values: Vec<Option<f64>>, groups: &[usize]) -> Vec<Option<f64>> {
        let bound = FloatBound {
            stock: max_udaf(),
            is_max,
        };
        let mut accumulator = bound.groups::<Float64Type>(&DataType::Float64);
        let values: ArrayRef = Arc::new(Float64Array::from(values));
        accumulator
            .update_batch(&[values], groups, None, 3)
            .unwrap();
        let found = accumulator.evaluate(EmitTo::All).unwrap();
        found.as_primitive::<Float64Type>().iter().collect()
    }

    #[test]
    fn nan_is_the_greatest() {
        let values = || vec![Some(1.0), Some(f64::NAN), Some(0.5), Some(f64::NAN), None];
        let groups = [0, 0, 0, 1, 2];
        let max = of_groups(true, values(), &groups);
        assert!(max[0].unwrap().is_nan() && max[1].unwrap().is_nan());
        assert_eq!(max[2], None);
        let min = of_groups(false, values(), &groups);
        assert_eq!(min[0], Some(0.5));
        assert!(min[1].unwrap().is_nan());
        let infinite = of_groups(true, vec![Some(f64::NEG_INFINITY)], &[0]);
        assert_eq!(infinite[0], Some(f64::NEG_INFINITY));
    }
}
