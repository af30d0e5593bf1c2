//! The functions that every node of a cluster knows besides DataFusion's own, and those that it knows
//! better: a plan names them, and an executor that did not know one could not run it.

mod bucket_of;
mod checked_arithmetic;
mod checked_sum;
mod decimal_arithmetic;
mod decimal_kernel;
mod decimal_rounding;
mod decimal_text;
mod decimal_type;
mod filtered;
mod float_bounds;
mod float_key;
mod integer_division;
mod null_fields;
mod only_value;
mod ordered;
mod patterns;
mod rounded_avg;
mod single_value;
mod sized_values;
pub mod time;
mod window_values;

pub use bucket_of::bucket_of;
pub use checked_arithmetic::Arithmetic;
pub use decimal_rounding::{Rounding, rounded, rounded_cast};
pub use decimal_type::{DIGITS_MAX, DecimalOperation, DecimalType, common_decimal};
pub use filtered::filtered;
pub use float_bounds::float_bound;
pub use float_key::{float_key, holds_floats, key_of};
pub use null_fields::{null_fields, nullable};
pub use only_value::only_value;
pub use ordered::{direction, is_ordered, ordered, ordered_name};
pub use patterns::{LIKE_PATTERN, SIMILAR_PATTERN, like_pattern, similar_pattern};
pub use single_value::single_value;
pub use sized_values::{CUT_BYTES, ROUND_TIME};
pub use window_values::{ignoring_nulls, needs_no_flags};

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use std::sync::{Arc, OnceLock};

/// What is registered in every session that plans or runs tasks. The nodes of a cluster must have the
/// same.
#[derive(Clone, Debug)]
pub struct FunctionSet {
    scalars: Vec<Arc<ScalarUDF>>,
    aggregates: Vec<Arc<AggregateUDF>>,
    windows: Vec<Arc<WindowUDF>>,
    /// What is made of the aggregates, once: every session has the same.
    derived: Arc<OnceLock<Vec<Arc<AggregateUDF>>>>,
}

impl Default for FunctionSet {
    /// Skep's own functions.
    fn default() -> Self {
        Self {
            scalars: checked_arithmetic::all()
                .chain(decimal_arithmetic::all())
                .chain(decimal_rounding::all())
                .chain(patterns::all())
                .chain(sized_values::all())
                .chain(time::all())
                .chain([
                    bucket_of(),
                    integer_division::integer_division(),
                    null_fields(),
                    float_key(),
                    only_value(),
                ])
                .collect(),
            aggregates: [
                single_value(),
                checked_sum::checked_sum(),
                rounded_avg::rounded_avg(),
            ]
            .into_iter()
            .chain(float_bounds::float_bounds())
            .chain(time::aggregates())
            .collect(),
            windows: window_values::window_values().collect(),
            derived: Arc::default(),
        }
    }
}

impl FunctionSet {
    /// The same and one more.
    pub fn with_scalar(mut self, function: ScalarUDF) -> Self {
        self.scalars.push(Arc::new(function));
        self
    }

    /// Registers all of them in a session, and those that SQL names by their names in plans.
    ///
    /// # Errors
    /// The registry's, where it takes no functions.
    pub fn register(&self, registry: &mut dyn FunctionRegistry) -> Result<()> {
        skep_functions::register_for_tasks(registry)?;
        for function in &self.scalars {
            registry.register_udf(Arc::clone(function))?;
        }
        for function in &self.aggregates {
            registry.register_udaf(Arc::clone(function))?;
        }
        for function in &self.windows {
            registry.register_udwf(Arc::clone(function))?;
        }
        let derived = match self.derived.get() {
            Some(derived) => derived,
            None => {
                let derived = derived(registry)?;
                self.derived.get_or_init(|| derived)
            }
        };
        for function in derived {
            registry.register_udaf(Arc::clone(function))?;
        }
        Ok(())
    }
}

/// What windows and several orders need of every aggregate of `registry`.
fn derived(registry: &dyn FunctionRegistry) -> Result<Vec<Arc<AggregateUDF>>> {
    let mut derived = Vec::new();
    for name in registry.udafs() {
        if filtered::is_filtered(&name) || is_ordered(&name) {
            continue;
        }
        let function = registry.udaf(&name)?;
        let ordered = Arc::new(ordered::ordered_as(&name, Arc::clone(&function)));
        derived.push(Arc::new(filtered(function)));
        derived.push(Arc::new(filtered(Arc::clone(&ordered))));
        derived.push(ordered);
    }
    Ok(derived)
}
