//! The calls that stand for conditional evaluation while a plan is optimized. None of them is ever run on an
//! executor: [`super::lower`] writes them as CASE.

use datafusion::arrow::array::{Array, BooleanArray, new_null_array};
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::{Arc, LazyLock};

/// When the last argument of a call is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Guarding {
    /// Where all arguments before it are true; the call is false or NULL elsewhere.
    Holds,
    /// Where no argument before it is true; the call is true elsewhere.
    Fails,
}

static HOLDS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Guarding::Holds));
static FAILS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Guarding::Fails));

fn function(guarding: Guarding) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Guarded {
        guarding,
        signature: Signature::variadic_any(Volatility::Immutable),
    }))
}

impl Guarding {
    fn function(self) -> Arc<ScalarUDF> {
        Arc::clone(match self {
            Self::Holds => &HOLDS,
            Self::Fails => &FAILS,
        })
    }

    /// The call with these guards and this value.
    pub(super) fn call(self, mut guards: Vec<Expr>, value: Expr) -> Expr {
        guards.push(value);
        Expr::ScalarFunction(ScalarFunction::new_udf(self.function(), guards))
    }

    /// What a call of this kind guards, and by what.
    pub(super) fn parts(self, expression: &Expr) -> Option<(&[Expr], &Expr)> {
        let (guarding, guards, value) = parts(expression)?;
        (guarding == self).then_some((guards, value))
    }
}

/// The parts of a call of either kind.
pub(super) fn parts(expression: &Expr) -> Option<(Guarding, &[Expr], &Expr)> {
    let Expr::ScalarFunction(call) = expression else {
        return None;
    };
    let guarded = call.func.inner().downcast_ref::<Guarded>()?;
    let (value, guards) = call.args.split_last()?;
    Some((guarded.guarding, guards, value))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Guarded {
    guarding: Guarding,
    signature: Signature,
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        match self.guarding {
            Guarding::Holds => "guarded",
            Guarding::Fails => "guarded_or",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.last() {
            Some(value) => Ok(value.clone()),
            None => internal_err!("a guarded value is missing"),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let types = arguments.arg_fields.iter().map(|field| field.data_type());
        let types: Vec<DataType> = types.cloned().collect();
        let data_type = self.return_type(&types)?;
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    /// The optimizer asks what a condition is where some columns are NULL.
    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(value) = arrays.pop() else {
            return internal_err!("a guarded value is missing");
        };
        let wanted = self.guarding == Guarding::Holds;
        let mut selected = vec![true; value.len()];
        for guard in &arrays {
            let guard = as_boolean_array(guard)?;
            for (row, selected) in selected.iter_mut().enumerate() {
                // A condition that is NULL does not hold.
                *selected &= (guard.is_valid(row) && guard.value(row)) == wanted;
            }
        }
        let otherwise: Arc<dyn Array> = match value.data_type() {
            DataType::Boolean => Arc::new(BooleanArray::from(vec![!wanted; value.len()])),
            other => new_null_array(other, value.len()),
        };
        let merged = zip(&BooleanArray::from(selected), &value, &otherwise)?;
        Ok(ColumnarValue::Array(merged))
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn conditional_arguments<'a>(
        &self,
        arguments: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        let (first, others) = arguments.split_first()?;
        Some((vec![first], others.iter().collect()))
    }
}

static HIDDEN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Hidden {
        signature: Signature::any(1, Volatility::Volatile),
    }))
});

/// `value`, of which the optimizer knows nothing.
pub(super) fn hidden(value: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&HIDDEN), vec![value]))
}

/// The value that was hidden.
pub(super) fn unhidden(expression: &Expr) -> Option<&Expr> {
    match expression {
        Expr::ScalarFunction(call) if call.func.inner().is::<Hidden>() => call.args.first(),
        _ => None,
    }
}

/// Which arguments of a call are evaluated for some rows only.
pub(super) fn short_circuited(call: &ScalarFunction) -> Vec<bool> {
    let conditional = call.func.conditional_arguments(&call.args);
    let lazy = conditional.map(|(_, lazy)| lazy).unwrap_or_default();
    let is_lazy = |argument: &Expr| lazy.iter().any(|lazy| std::ptr::eq(*lazy, argument));
    call.args.iter().map(is_lazy).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Hidden {
    signature: Signature,
}

impl ScalarUDFImpl for Hidden {
    fn name(&self) -> &str {
        "hidden"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [value] => Ok(value.clone()),
            _ => internal_err!("a hidden value is missing"),
        }
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.pop() {
            Some(value) => Ok(value),
            None => internal_err!("a hidden value is missing"),
        }
    }
}
