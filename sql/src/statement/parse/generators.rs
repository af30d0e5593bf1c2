//! Functions that make rows in the list of a SELECT: `SELECT a, posexplode(b) FROM t` becomes
//! `SELECT a, g.* FROM t LATERAL VIEW posexplode(b) g`.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, Ident, LateralView, ObjectName, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableWithJoins,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Those that make more than one column, or rows for what is empty. `explode` alone is the planner's `unnest`.
const GENERATORS: &[&str] = &[
    "explode_outer",
    "inline",
    "inline_outer",
    "json_tuple",
    "posexplode",
    "posexplode_outer",
    "stack",
];

/// Moves generators to the lateral views of a SELECT.
pub(super) fn move_to_views(select: &mut Select) {
    let mut views = Vec::new();
    let mut items = Vec::with_capacity(select.projection.len());
    let mut has_wildcard = false;
    for item in std::mem::take(&mut select.projection) {
        has_wildcard |= matches!(item, SelectItem::Wildcard(_));
        let (expression, aliases) = match &item {
            SelectItem::UnnamedExpr(expression) => (expression, Vec::new()),
            SelectItem::ExprWithAlias { expr, alias } => (expr, vec![alias.clone()]),
            SelectItem::ExprWithAliases { expr, aliases } => (expr, aliases.clone()),
            _ => {
                items.push(item);
                continue;
            }
        };
        if !is_generator(expression, aliases.len()) {
            items.push(item);
            continue;
        }
        let name = ObjectName::from(vec![Ident::new(format!("generated_{}", views.len() + 1))]);
        // All columns have those of the view among them.
        if !has_wildcard {
            let kind = SelectItemQualifiedWildcardKind::ObjectName(name.clone());
            items.push(SelectItem::QualifiedWildcard(kind, Default::default()));
        }
        views.push(LateralView {
            lateral_view: expression.clone(),
            lateral_view_name: name,
            lateral_col_alias: aliases,
            outer: false,
        });
    }
    select.projection = items;
    if !views.is_empty() && select.from.is_empty() {
        select.from.extend(one_row());
    }
    select.lateral_views.extend(views);
}

fn is_generator(expression: &Expr, aliases: usize) -> bool {
    let Expr::Function(Function {
        name, over: None, ..
    }) = expression
    else {
        return false;
    };
    let [part] = name.0.as_slice() else {
        return false;
    };
    let Some(name) = part.as_ident().map(|name| name.value.to_ascii_lowercase()) else {
        return false;
    };
    GENERATORS.contains(&name.as_str())
        || (name == "explode" && (aliases == 2 || is_of_map(expression)))
}

/// Whether the argument is written as a map, which the planner's `unnest` does not take.
fn is_of_map(expression: &Expr) -> bool {
    let Expr::Function(function) = expression else {
        return false;
    };
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    let text = list
        .args
        .first()
        .map(|argument| argument.to_string().to_ascii_lowercase());
    let starts = [
        "map(",
        "map_concat(",
        "map_from",
        "map_filter(",
        "str_to_map(",
    ];
    text.is_some_and(|text| starts.iter().any(|start| text.starts_with(start)))
}

/// A relation of one row, whose column nobody asks for.
fn one_row() -> Option<TableWithJoins> {
    let parser = Parser::new(&GenericDialect {}).try_with_sql("(VALUES (0)) AS generated_0");
    parser.ok()?.parse_table_and_joins().ok()
}
