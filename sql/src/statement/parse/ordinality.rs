//! `UNNEST (…) WITH ORDINALITY` and `WITH OFFSET`: the items of arrays with their places, as a lateral query of both.

use super::blank::{query_of, select_all};
use super::calls::call;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Ident, SelectItem, SetExpr, TableAlias, TableAliasColumnDef,
    TableFactor, TableWithJoins, Value,
};

/// What the column of places is called where nobody has named it.
const ORDINALITY: &str = "ordinality";
const OFFSET: &str = "offset";

/// What the column of items is called where nobody has named it.
const ITEM: &str = "unnest";

/// Puts such a table into the planner's words.
pub(super) fn rewrite(table: &mut TableFactor) {
    let TableFactor::UNNEST {
        alias,
        array_exprs,
        with_offset,
        with_offset_alias,
        with_ordinality,
    } = table
    else {
        return;
    };
    if !*with_offset && !*with_ordinality {
        return;
    }
    let arrays = std::mem::take(array_exprs);
    let mut columns: Vec<(Expr, Ident)> = Vec::with_capacity(arrays.len() + 1);
    for (index, array) in arrays.iter().enumerate() {
        let name = match index {
            0 => ITEM.to_owned(),
            _ => format!("{ITEM}_{}", index + 1),
        };
        columns.push((call("unnest", vec![array.clone()]), Ident::new(name)));
    }
    if *with_ordinality {
        let last = length(&arrays);
        let places = call("generate_series", vec![number(1), last]);
        columns.push((call("unnest", vec![places]), Ident::new(ORDINALITY)));
    }
    if *with_offset {
        let end = length(&arrays);
        let places = call("range", vec![number(0), end]);
        let name = with_offset_alias.take();
        let name = name.unwrap_or_else(|| Ident::new(OFFSET));
        columns.push((call("unnest", vec![places]), name));
    }
    let mut alias = alias.take();
    if let (Some(alias), true, [_]) = (&mut alias, *with_offset, arrays.as_slice()) {
        name_item(alias, &columns);
    }
    let mut select = select_all(TableWithJoins {
        relation: TableFactor::UNNEST {
            alias: None,
            array_exprs: Vec::new(),
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: false,
        },
        joins: Vec::new(),
    });
    select.from.clear();
    select.projection = columns
        .into_iter()
        .map(|(expr, alias)| SelectItem::ExprWithAlias { expr, alias })
        .collect();
    *table = TableFactor::Derived {
        lateral: true,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
        alias,
        sample: None,
    };
}

/// `UNNEST (a) AS x WITH OFFSET AS n`: the items are called as the table is.
fn name_item(alias: &mut TableAlias, columns: &[(Expr, Ident)]) {
    if !alias.columns.is_empty() {
        return;
    }
    let others = columns.iter().skip(1).map(|(_, name)| name.clone());
    let names = [alias.name.clone()].into_iter().chain(others);
    alias.columns = names
        .map(|name| TableAliasColumnDef {
            name,
            data_type: None,
        })
        .collect();
}

/// How many items the longest of the arrays has.
fn length(arrays: &[Expr]) -> Expr {
    let lengths = arrays.iter().map(|array| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(call("array_length", vec![array.clone()])),
        data_type: DataType::BigInt(None),
        array: false,
        format: None,
    });
    let lengths: Vec<Expr> = lengths.collect();
    match lengths.as_slice() {
        [one] => one.clone(),
        _ => call("greatest", lengths),
    }
}

fn number(value: u64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}
