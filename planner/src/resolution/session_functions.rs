//! Functions that tell of the session and of the engine: `current_database()` and its like. The optimiser
//! puts their values in their place, so that no executor has to know them.

use crate::resolution::catalog_names::CATALOG_NAME;
use crate::session::PlanningSession;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::scalar::ScalarValue;
use skep_exchange::this_version;

/// One function, with what it tells.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfSession {
    name: &'static str,
    aliases: Vec<String>,
    value: String,
    signature: Signature,
}

/// The functions of `session`.
pub(crate) fn of(session: &PlanningSession) -> Vec<ScalarUDF> {
    let version = format!("Skep {}", this_version().skep);
    [
        (
            "current_database",
            vec!["current_schema"],
            session.database.as_str(),
        ),
        ("current_catalog", vec![], CATALOG_NAME),
        ("current_user", vec!["session_user"], session.user.as_str()),
        ("version", vec![], version.as_str()),
    ]
    .map(|(name, aliases, value)| {
        ScalarUDF::from(OfSession {
            name,
            aliases: aliases.into_iter().map(str::to_owned).collect(),
            value: value.to_owned(),
            signature: Signature::nullary(Volatility::Stable),
        })
    })
    .into()
}

impl ScalarUDFImpl for OfSession {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn simplify(&self, _args: Vec<Expr>, _context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(lit(self.value.as_str())))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::from(ScalarValue::from(self.value.as_str())))
    }
}
