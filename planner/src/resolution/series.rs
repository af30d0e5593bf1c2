//! `FROM generate_series(…)` and `FROM range(…)` of timestamps: DataFusion's own take nanoseconds alone.

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::to_datafusion;
use std::sync::Arc;

const NAMES: [&str; 2] = ["generate_series", "range"];
const NANOS_PER_MICRO: i64 = 1_000;

/// Puts functions that take microseconds in the place of DataFusion's.
pub(crate) fn register(state: &mut SessionState) {
    for name in NAMES {
        let found = state.table_functions().get(name).cloned();
        if let Some(stock) = found {
            let stock = Arc::clone(stock.function());
            state.register_udtf(name, Arc::new(Series { name, stock }));
        }
    }
}

#[derive(Debug)]
struct Series {
    name: &'static str,
    stock: Arc<dyn TableFunctionImpl>,
}

impl TableFunctionImpl for Series {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let exprs = arguments
            .exprs()
            .iter()
            .map(|argument| self.nanoseconds(argument));
        let exprs = exprs.collect::<Result<Vec<Expr>>>()?;
        let arguments = TableFunctionArgs::new(&exprs, arguments.session());
        self.stock.call_with_args(arguments)
    }
}

impl Series {
    fn nanoseconds(&self, argument: &Expr) -> Result<Expr> {
        let Expr::Literal(ScalarValue::TimestampMicrosecond(value, zone), metadata) = argument
        else {
            return Ok(argument.clone());
        };
        let nanos = value.map(|micros| {
            micros.checked_mul(NANOS_PER_MICRO).ok_or_else(|| {
                let name = self.name;
                let text = format!(
                    "FROM {name} reaches from 1677 to 2262; FROM unnest({name}(…)) reaches further"
                );
                to_datafusion(QueryError::new(ErrorCode::Evaluation, text))
            })
        });
        let value = ScalarValue::TimestampNanosecond(nanos.transpose()?, zone.clone());
        Ok(Expr::Literal(value, metadata.clone()))
    }
}
