//! Calls that are put in other words: names of other systems, units of time without quotes, and clauses of
//! aggregates that the planner knows in another place.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, CastKind, CeilFloorKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, GroupByExpr,
    Ident, NullTreatment, ObjectName, Select, SelectItem, Subscript, TimezoneInfo, Value,
    visit_expressions_mut,
};
use std::ops::ControlFlow;

/// Functions that the planner knows by another name.
const RENAMED: &[(&str, &str)] = &[
    ("any", "bool_or"),
    ("some", "bool_or"),
    ("every", "bool_and"),
    ("array", "make_array"),
    ("explode", "unnest"),
    ("first", "first_value"),
    ("last", "last_value"),
    ("any_value", "first_value"),
    ("std", "stddev"),
    ("variance", "var_samp"),
    ("approx_count_distinct", "approx_distinct"),
    ("try_avg", "avg"),
    ("listagg", "string_agg"),
];

/// Functions whose first argument is a unit of time where they have three.
const WITH_UNITS: &[&str] = &[
    "dateadd",
    "date_add",
    "timestampadd",
    "datediff",
    "date_diff",
    "timestampdiff",
];

/// Puts a call into other words.
pub(super) fn rewrite(function: &mut Function) {
    let [part] = function.name.0.as_slice() else {
        return;
    };
    let Some(name) = part.as_ident().filter(|name| name.quote_style.is_none()) else {
        return;
    };
    let name = name.value.to_ascii_lowercase();
    let within_group = !function.within_group.is_empty();
    if let FunctionArguments::List(list) = &mut function.args {
        if WITH_UNITS.contains(&name.as_str()) && list.args.len() == 3 {
            quote_unit(list);
        }
        match name.as_str() {
            "first" | "last" | "any_value" | "first_value" | "last_value" => {
                let is_plain = function.null_treatment.is_none() && function.over.is_none();
                if takes_flag(list) || (name == "any_value" && is_plain) {
                    function.null_treatment = Some(NullTreatment::IgnoreNulls);
                }
            }
            "approx_count_distinct" => list.args.truncate(1),
            "listagg" | "string_agg" => {
                if list.args.len() == 1 {
                    list.args.push(text_argument(""));
                }
                if within_group {
                    let keys = std::mem::take(&mut function.within_group);
                    list.clauses.push(FunctionArgumentClause::OrderBy(keys));
                }
            }
            _ => {}
        }
    }
    let is_sorted_by = name == "array_sort" && has_lambda(function);
    let renamed = match is_sorted_by {
        true => Some("array_sort_by"),
        false => RENAMED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, renamed)| *renamed),
    };
    if let Some(renamed) = renamed {
        function.name = ObjectName::from(vec![Ident::new(renamed)]);
    }
}

fn text_argument(text: &str) -> FunctionArg {
    let text = Expr::value(Value::SingleQuotedString(text.to_owned()));
    FunctionArg::Unnamed(FunctionArgExpr::Expr(text))
}

fn has_lambda(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    let is_lambda = |argument: &FunctionArg| {
        matches!(
            argument,
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(_)))
        )
    };
    list.args.iter().any(is_lambda)
}

/// `dateadd(MONTH, 1, t)`: the unit is not a column.
fn quote_unit(list: &mut FunctionArgumentList) {
    if let Some(first) = list.args.first_mut()
        && let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(unit))) = first
        && unit.quote_style.is_none()
    {
        *first = text_argument(&unit.value.clone());
    }
}

/// `first(x, true)`: whether NULL is left out. The flag is taken away.
fn takes_flag(list: &mut FunctionArgumentList) -> bool {
    let [
        _,
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(flag))),
    ] = list.args.as_slice()
    else {
        return false;
    };
    let Value::Boolean(flag) = flag.value else {
        return false;
    };
    list.args.truncate(1);
    flag
}

/// `CEIL(x, 2)` as a call: the planner knows no more than `CEIL(x)`.
pub(super) fn rounding(expression: Expr) -> Expr {
    let (name, expr, scale) = match expression {
        Expr::Ceil {
            expr,
            field: CeilFloorKind::Scale(scale),
        } => ("ceil", expr, scale),
        Expr::Floor {
            expr,
            field: CeilFloorKind::Scale(scale),
        } => ("floor", expr, scale),
        other => return other,
    };
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![argument(*expr), argument(Expr::Value(scale))],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// `window.start` beside `GROUP BY window(t, '5 minutes')` is the field of what is grouped by.
pub(super) fn name_windows(select: &mut Select) {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else {
        return;
    };
    let is_window = |key: &&Expr| {
        matches!(key, Expr::Function(function)
            if function.name.to_string().eq_ignore_ascii_case("window"))
    };
    let Some(window) = keys.iter().find(is_window).cloned() else {
        return;
    };
    let mut fields: Vec<Expr> = Vec::new();
    for item in &mut select.projection {
        let expression = match item {
            SelectItem::UnnamedExpr(expression)
            | SelectItem::ExprWithAlias {
                expr: expression, ..
            } => expression,
            _ => continue,
        };
        // The visitor never breaks off.
        let _ = visit_expressions_mut(expression, |part| {
            if let Expr::CompoundIdentifier(names) = part
                && let [table, field] = names.as_slice()
                && table.value.eq_ignore_ascii_case("window")
            {
                let name = Value::SingleQuotedString(field.value.to_ascii_lowercase());
                let field = Expr::CompoundFieldAccess {
                    root: Box::new(window.clone()),
                    access_chain: vec![AccessExpr::Subscript(Subscript::Index {
                        index: Expr::value(name),
                    })],
                };
                if !fields.contains(&field) {
                    fields.push(field.clone());
                }
                *part = field;
            }
            ControlFlow::<()>::Continue(())
        });
    }
    // They follow from the window, so that there are no more groups.
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        keys.extend(fields);
    }
}

/// Whether a call of one column becomes another expression.
pub(super) fn is_renamed(function: &Function) -> bool {
    let name = function.name.to_string().to_ascii_lowercase();
    let is_renamed = RENAMED.iter().any(|(known, _)| *known == name) && name != "explode";
    is_renamed || CASTS.iter().any(|(known, _)| *known == name)
}

/// Types whose names are functions, too: `int('1')` is a cast.
const CASTS: &[(&str, DataType)] = &[
    ("bigint", DataType::BigInt(None)),
    ("binary", DataType::Bytea),
    ("boolean", DataType::Boolean),
    ("date", DataType::Date),
    ("double", DataType::Double(ExactNumberInfo::None)),
    ("float", DataType::Float(ExactNumberInfo::None)),
    ("int", DataType::Int(None)),
    ("smallint", DataType::SmallInt(None)),
    ("string", DataType::String(None)),
    ("timestamp", DataType::Timestamp(None, TimezoneInfo::None)),
    ("tinyint", DataType::TinyInt(None)),
];

/// The cast that a call is.
pub(super) fn cast(function: &Function) -> Option<Expr> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    let name = part.as_ident().filter(|name| name.quote_style.is_none())?;
    let (_, data_type) = CASTS
        .iter()
        .find(|(known, _)| name.value.eq_ignore_ascii_case(known))?;
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else {
        return None;
    };
    Some(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value.clone()),
        data_type: data_type.clone(),
        format: None,
        array: false,
    })
}
