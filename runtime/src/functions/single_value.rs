//! The aggregate that returns the only value of its input and refuses a second one.

use crate::error::to_datafusion;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

/// The function's name. It is not meant to be typed, but every executor must know it.
const NAME: &str = "single_value";

static SINGLE_VALUE: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(SingleValue::new())));

/// The function, to be registered in every session that plans or runs tasks.
pub fn single_value() -> Arc<AggregateUDF> {
    Arc::clone(&SINGLE_VALUE)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl SingleValue {
    fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for SingleValue {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [value] => Ok(value.clone()),
            _ => Err(DataFusionError::Plan(format!("{NAME} takes one argument"))),
        }
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OnlyValue {
            value: ScalarValue::try_from(arguments.return_field.data_type())?,
            rows: 0,
        }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = arguments.return_field.data_type().clone();
        Ok(vec![
            Arc::new(Field::new(
                format_state_name(arguments.name, "value"),
                value,
                true,
            )),
            Arc::new(Field::new(
                format_state_name(arguments.name, "rows"),
                DataType::UInt64,
                false,
            )),
        ])
    }
}

/// The value of the one row seen so far, if any.
#[derive(Debug)]
struct OnlyValue {
    value: ScalarValue,
    rows: u64,
}

impl OnlyValue {
    fn take(&mut self, values: &dyn Array, index: usize, rows: u64) -> Result<()> {
        self.rows += rows;
        if self.rows > 1 {
            return Err(to_datafusion(QueryError::new(
                ErrorCode::Evaluation,
                "a scalar subquery returned more than one row",
            )));
        }
        if rows == 1 {
            self.value = ScalarValue::try_from_array(values, index)?;
        }
        Ok(())
    }
}

impl Accumulator for OnlyValue {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for values in values.iter().take(1) {
            self.take(values, 0, values.len() as u64)?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, rows] = states else {
            return Err(DataFusionError::Internal(format!("{NAME} has two states")));
        };
        let Some(rows) = rows.as_primitive_opt::<UInt64Type>() else {
            return Err(DataFusionError::Internal(format!(
                "{NAME} counts rows as u64"
            )));
        };
        for (index, rows) in rows.iter().enumerate() {
            self.take(values, index, rows.unwrap_or(0))?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            self.value.clone(),
            ScalarValue::UInt64(Some(self.rows)),
        ])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() - size_of_val(&self.value)
    }
}
