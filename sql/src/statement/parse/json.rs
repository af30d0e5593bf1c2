//! What the standard writes in calls about JSON: RETURNING, NULL and ABSENT ON NULL, and values that are JSON
//! themselves; and casts to JSON, which is text.

use super::calls::call;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, JsonNullClause,
    ObjectName,
};

/// Functions whose text is JSON.
const MAKE_JSON: &[&str] = &[
    "json",
    "json_array",
    "json_extract",
    "json_get",
    "json_object",
    "json_query",
    "skep_json_array_with_nulls",
    "skep_json_object_without_nulls",
    "to_json",
];

/// Puts an expression into words that the planner knows.
pub(super) fn rewrite(expression: &mut Expr) {
    let rewritten = match expression {
        Expr::Function(function) => of_function(function),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type: DataType::JSON | DataType::JSONB,
            ..
        } => Some(call("json", vec![expr.as_ref().clone()])),
        _ => None,
    };
    if let Some(rewritten) = rewritten {
        *expression = rewritten;
    }
}

fn of_function(function: &mut Function) -> Option<Expr> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    let name = part.as_ident()?.value.to_lowercase();
    let FunctionArguments::List(list) = &mut function.args else {
        return None;
    };
    let is_maker = matches!(name.as_str(), "json_object" | "json_array");
    if !is_maker && !matches!(name.as_str(), "json_value" | "json_query") {
        return None;
    }
    let mut renamed = None;
    if is_maker {
        mark_json(list);
        renamed = null_treatment(&name, list);
    }
    let returned = returning(list);
    if let Some(renamed) = renamed {
        function.name = ObjectName::from(vec![Ident::new(renamed)]);
    }
    let data_type = returned?;
    Some(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Function(function.clone())),
        data_type,
        array: false,
        format: None,
    })
}

/// The function that treats NULL as the clause says, where that is not what the name alone says.
fn null_treatment(name: &str, list: &mut FunctionArgumentList) -> Option<&'static str> {
    let is_clause = |clause: &FunctionArgumentClause| {
        matches!(clause, FunctionArgumentClause::JsonNullClause(_))
    };
    let position = list.clauses.iter().position(is_clause)?;
    let FunctionArgumentClause::JsonNullClause(clause) = list.clauses.remove(position) else {
        return None;
    };
    match (name, clause) {
        ("json_object", JsonNullClause::AbsentOnNull) => Some("skep_json_object_without_nulls"),
        ("json_array", JsonNullClause::NullOnNull) => Some("skep_json_array_with_nulls"),
        _ => None,
    }
}

/// The type of RETURNING, which is taken away.
fn returning(list: &mut FunctionArgumentList) -> Option<DataType> {
    let is_clause = |clause: &FunctionArgumentClause| {
        matches!(clause, FunctionArgumentClause::JsonReturningClause(_))
    };
    let position = list.clauses.iter().position(is_clause)?;
    match list.clauses.remove(position) {
        FunctionArgumentClause::JsonReturningClause(clause) => Some(clause.data_type),
        _ => None,
    }
}

/// Says of the values that are JSON that they are.
fn mark_json(list: &mut FunctionArgumentList) {
    for argument in &mut list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) = argument
            && is_json(value)
        {
            *value = call("skep_json_text", vec![value.clone()]);
        }
    }
}

fn is_json(value: &Expr) -> bool {
    match value {
        Expr::Nested(inner) => is_json(inner),
        Expr::BinaryOp {
            op: BinaryOperator::Arrow,
            ..
        } => true,
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            MAKE_JSON.contains(&name.as_str())
        }
        _ => false,
    }
}
