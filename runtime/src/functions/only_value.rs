//! The function that returns a value if it is the only one, and refuses it otherwise.

use crate::error::to_datafusion;
use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

/// `only_value(value, count)`: the value where the count is 1, 0 or NULL. It is not meant to be typed.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OnlyValue {
    signature: Signature,
}

static ONLY_VALUE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(OnlyValue {
        // It must be asked for the rows that there are above a join, not for those below it.
        signature: Signature::any(2, Volatility::Volatile),
    }))
});

/// The function.
pub fn only_value() -> Arc<ScalarUDF> {
    Arc::clone(&ONLY_VALUE)
}

impl ScalarUDFImpl for OnlyValue {
    fn name(&self) -> &str {
        "only_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value, DataType::Int64] => Ok(value.clone()),
            _ => plan_err!("only_value takes a value and a count"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut arrays = ColumnarValue::values_to_arrays(&args.args)?.into_iter();
        let (Some(value), Some(counts)) = (arrays.next(), arrays.next()) else {
            return plan_err!("only_value takes two arguments");
        };
        let counts = counts.as_primitive::<Int64Type>();
        if counts.iter().flatten().any(|count| count > 1) {
            return Err(to_datafusion(QueryError::new(
                ErrorCode::Evaluation,
                "a scalar subquery returned more than one row",
            )));
        }
        Ok(ColumnarValue::Array(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::Field;
    use datafusion::config::ConfigOptions;

    fn call(values: Vec<Option<i64>>, counts: Vec<Option<i64>>) -> Result<ArrayRef> {
        let rows = values.len();
        let field = |name| Arc::new(Field::new(name, DataType::Int64, true));
        let arguments = ScalarFunctionArgs {
            args: [values, counts]
                .map(|column| ColumnarValue::Array(Arc::new(Int64Array::from(column))))
                .to_vec(),
            arg_fields: vec![field("value"), field("count")],
            number_rows: rows,
            return_field: field("only_value"),
            config_options: Arc::new(ConfigOptions::new()),
        };
        only_value().invoke_with_args(arguments)?.into_array(rows)
    }

    #[test]
    fn one_value_or_none_is_returned() {
        let returned = call(vec![Some(5), None, None], vec![Some(1), Some(1), None]).unwrap();
        let expected = Int64Array::from(vec![Some(5), None, None]);
        assert_eq!(returned.as_primitive::<Int64Type>(), &expected);
    }

    #[test]
    fn several_values_are_an_error() {
        let error = call(vec![Some(5), Some(6)], vec![Some(1), Some(2)]).unwrap_err();
        assert!(error.to_string().contains("more than one row"), "{error}");
    }
}
