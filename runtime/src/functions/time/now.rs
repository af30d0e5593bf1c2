//! The moment at which a statement began: `now()`, with the session's zone, and `localtimestamp`, without one.

use super::zone;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::common::internal_err;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions::datetime;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    stock: Arc<ScalarUDF>,
    name: &'static str,
    aliases: Vec<String>,
    zone: Arc<str>,
    /// Whether it is a moment, or what clocks in the zone show at it.
    is_moment: bool,
    signature: Signature,
}

/// The functions of a session of that zone.
pub(super) fn all(zone: &Arc<str>) -> Vec<ScalarUDF> {
    [
        ("now", vec!["current_timestamp"], true),
        ("localtimestamp", vec![], false),
    ]
    .map(|(name, aliases, is_moment)| {
        ScalarUDF::from(Now {
            stock: datetime::now(&ConfigOptions::default()),
            name,
            aliases: aliases.into_iter().map(str::to_owned).collect(),
            zone: Arc::clone(zone),
            is_moment,
            signature: Signature::nullary(Volatility::Stable),
        })
    })
    .into()
}

impl Now {
    fn value(&self, moment: DateTime<Utc>) -> Result<ScalarValue> {
        let micros = moment.timestamp_micros();
        Ok(match self.is_moment {
            true => {
                let zone = Some(Arc::clone(&self.zone));
                ScalarValue::TimestampMicrosecond(Some(micros), zone)
            }
            false => {
                let local = zone::local_of(micros, &zone::parse(&self.zone)?)?;
                ScalarValue::TimestampMicrosecond(Some(local), None)
            }
        })
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        let zone = self.is_moment.then(|| Arc::clone(&self.zone));
        Ok(DataType::Timestamp(TimeUnit::Microsecond, zone))
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match context.query_execution_start_time() {
            Some(moment) => {
                ExprSimplifyResult::Simplified(Expr::Literal(self.value(moment)?, None))
            }
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} has no value before its statement is planned", self.name)
    }
}
