//! Window functions that mean the same on every node: `lag`, `lead`, `first_value`, `last_value` and `nth_value`.
//!
//! The base library keeps two flags beside a window function that are not sent to executors: that it ignores
//! NULLs, and that it runs over rows in reverse order. Here both are part of the function: there is one of its
//! own for IGNORE NULLS, and what is reversed is another function that needs no flag.
//!
//! With IGNORE NULLS, DataFusion's `lag` and `lead` count wrongly where rows come bit by bit. Those here look at
//! whole partitions.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::functions_window::lead_lag::{lag_udwf, lead_udwf};
use datafusion::functions_window::nth_value::{first_value_udwf, last_value_udwf, nth_value_udwf};
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Documentation, LimitEffect, PartitionEvaluator, ReversedUDWF, Signature, WindowUDF,
    WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;
use std::ops::Range;
use std::sync::Arc;

/// The name of the function that ignores NULLs, as only plans use it.
fn ignoring_name(name: &str) -> String {
    format!("skep_{name}_ignoring_nulls")
}

/// Which value a function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Lag,
    Lead,
    First,
    Last,
    Nth,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Lag, Self::Lead, Self::First, Self::Last, Self::Nth];

    /// DataFusion's own function.
    fn stock(self) -> Arc<WindowUDF> {
        match self {
            Self::Lag => lag_udwf(),
            Self::Lead => lead_udwf(),
            Self::First => first_value_udwf(),
            Self::Last => last_value_udwf(),
            Self::Nth => nth_value_udwf(),
        }
    }

    /// The function that returns the same where rows are in reverse order.
    fn reversed(self) -> Option<Self> {
        match self {
            Self::Lag => Some(Self::Lead),
            Self::Lead => Some(Self::Lag),
            Self::First => Some(Self::Last),
            Self::Last => Some(Self::First),
            Self::Nth => None,
        }
    }
}

/// All of them, to be registered in every session that plans or runs tasks.
pub fn window_values() -> impl Iterator<Item = Arc<WindowUDF>> {
    let ignoring = [false, true].into_iter();
    ignoring.flat_map(|ignores_nulls| Kind::ALL.map(|kind| function(kind, ignores_nulls)))
}

/// The function that does with IGNORE NULLS what the one called `name` does without.
pub fn ignoring_nulls(name: &str) -> Option<Arc<WindowUDF>> {
    let mut kinds = Kind::ALL.into_iter();
    let kind = kinds.find(|kind| kind.stock().name() == name)?;
    Some(function(kind, true))
}

/// Whether nothing beside the function decides what it returns.
pub fn needs_no_flags(function: &WindowUDF) -> bool {
    function.inner().is::<WindowValue>()
}

fn function(kind: Kind, ignores_nulls: bool) -> Arc<WindowUDF> {
    Arc::new(WindowUDF::from(WindowValue::new(kind, ignores_nulls)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowValue {
    kind: Kind,
    ignores_nulls: bool,
    name: String,
    stock: Arc<WindowUDF>,
}

impl WindowValue {
    fn new(kind: Kind, ignores_nulls: bool) -> Self {
        let stock = kind.stock();
        let name = match ignores_nulls {
            true => ignoring_name(stock.name()),
            false => stock.name().to_owned(),
        };
        Self {
            kind,
            ignores_nulls,
            name,
            stock,
        }
    }
}

impl WindowUDFImpl for WindowValue {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.stock.coerce_types(arguments)
    }

    fn expressions(&self, arguments: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.stock.expressions(arguments)
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.stock.field(arguments)
    }

    fn partition_evaluator(
        &self,
        arguments: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        if arguments.ignore_nulls() && !self.ignores_nulls {
            return exec_err!("{} was planned without its IGNORE NULLS", self.name);
        }
        // What is reversed is another function here.
        let arguments = PartitionEvaluatorArgs::new(
            arguments.input_exprs(),
            arguments.input_fields(),
            false,
            self.ignores_nulls,
        );
        let stock = self.stock.partition_evaluator_factory(arguments)?;
        Ok(match self.ignores_nulls {
            true => Box::new(WholePartition(stock)),
            false => stock,
        })
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        match self.kind.reversed() {
            Some(kind) => ReversedUDWF::Reversed(function(kind, self.ignores_nulls)),
            None => ReversedUDWF::NotSupported,
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        match self.ignores_nulls {
            true => None,
            false => self.stock.documentation(),
        }
    }

    fn limit_effect(&self, arguments: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        let looks_ahead = match self.kind {
            _ if self.ignores_nulls => return LimitEffect::Unknown,
            Kind::First | Kind::Last | Kind::Nth => return LimitEffect::None,
            Kind::Lead => 1,
            Kind::Lag => -1,
        };
        let rows = match arguments.get(1).map(integer) {
            None => Some(1),
            Some(rows) => rows,
        };
        let Some(ahead) = rows.and_then(|rows: i64| rows.checked_mul(looks_ahead)) else {
            return LimitEffect::Unknown;
        };
        match usize::try_from(ahead) {
            Ok(ahead) => LimitEffect::Relative(ahead),
            Err(_) => LimitEffect::None,
        }
    }
}

/// The integer that a constant is.
fn integer(argument: &Arc<dyn PhysicalExpr>) -> Option<i64> {
    let value = argument.downcast_ref::<Literal>()?.value();
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(integer)) => integer,
        _ => None,
    }
}

/// Evaluates over whole partitions only.
#[derive(Debug)]
struct WholePartition(Box<dyn PartitionEvaluator>);

impl PartitionEvaluator for WholePartition {
    fn supports_bounded_execution(&self) -> bool {
        false
    }

    fn uses_window_frame(&self) -> bool {
        self.0.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.0.include_rank()
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.0.evaluate(values, range)
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.0.evaluate_all(values, rows)
    }

    fn evaluate_all_with_rank(
        &self,
        rows: usize,
        ranks_in_partition: &[Range<usize>],
    ) -> Result<ArrayRef> {
        self.0.evaluate_all_with_rank(rows, ranks_in_partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::physical_expr::expressions::lit;

    #[test]
    fn each_has_one_that_ignores_nulls() {
        let names: Vec<String> = window_values()
            .map(|function| function.name().to_owned())
            .collect();
        assert_eq!(names.len(), 10);
        for name in ["lag", "lead", "first_value", "last_value", "nth_value"] {
            let ignoring = ignoring_nulls(name).unwrap();
            assert!(names.contains(&name.to_owned()), "{names:?}");
            assert!(names.contains(&ignoring.name().to_owned()), "{names:?}");
        }
        assert!(ignoring_nulls("row_number").is_none());
    }

    #[test]
    fn what_is_reversed_needs_no_flag() {
        let reversed = |kind, ignoring| match function(kind, ignoring).reverse_expr() {
            ReversedUDWF::Reversed(function) => function.name().to_owned(),
            _ => "none".to_owned(),
        };
        assert_eq!(reversed(Kind::Lag, false), "lead");
        assert_eq!(reversed(Kind::Lead, true), "skep_lag_ignoring_nulls");
        assert_eq!(
            reversed(Kind::Last, true),
            "skep_first_value_ignoring_nulls"
        );
        assert_eq!(reversed(Kind::Nth, false), "none");
    }

    #[test]
    fn a_limit_leaves_the_rows_that_are_looked_at() {
        let effect = |kind, rows: i64| {
            let value: Arc<dyn PhysicalExpr> = lit(1);
            match WindowValue::new(kind, false).limit_effect(&[value, lit(rows)]) {
                LimitEffect::None => Some(0),
                LimitEffect::Relative(rows) => Some(rows),
                _ => None,
            }
        };
        assert_eq!(effect(Kind::Lead, 3), Some(3));
        assert_eq!(effect(Kind::Lead, -3), Some(0));
        assert_eq!(effect(Kind::Lag, 3), Some(0));
        assert_eq!(effect(Kind::Lag, -3), Some(3));
    }
}
