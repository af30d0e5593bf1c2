//! `LATERAL VIEW [OUTER] explode(…)`: every row with each item of one of its collections.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, TableReference, plan_err};
use datafusion::common::{NullHandling, UnnestOptions};
use datafusion::error::Result;
use datafusion::functions_nested::expr_fn::{
    array_length, make_array, map_keys, map_values, range,
};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    FunctionArg, FunctionArgExpr, Join, JoinOperator, TableAlias, TableFactor, TableWithJoins,
};

/// Whether a nested join is a lateral view, as the statement's rewriting leaves it.
pub(super) fn is_lateral_view(tables: &TableWithJoins) -> bool {
    let [join] = tables.joins.as_slice() else {
        return false;
    };
    matches!(&join.relation, TableFactor::Function { lateral: true, name, .. }
        if Generator::of(&name.to_string()).is_some())
}

/// A function that makes rows.
#[derive(Clone, Copy)]
struct Generator {
    kind: Kind,
    outer: bool,
}

/// What rows are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The items of a collection.
    Explode,
    /// The items of a collection with their places.
    PosExplode,
    /// The fields of an array of structs.
    Inline,
    /// The arguments, so many rows of them.
    Stack,
    /// The members of a JSON object: one row.
    JsonTuple,
}

impl Generator {
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (kind, outer) = match name.as_str() {
            "explode" | "unnest" => (Kind::Explode, false),
            "explode_outer" => (Kind::Explode, true),
            "posexplode" => (Kind::PosExplode, false),
            "posexplode_outer" => (Kind::PosExplode, true),
            "inline" => (Kind::Inline, false),
            "inline_outer" => (Kind::Inline, true),
            "stack" => (Kind::Stack, false),
            "json_tuple" => (Kind::JsonTuple, false),
            _ => return None,
        };
        Some(Self { kind, outer })
    }

    /// The columns that it makes of its arguments: a list for each, and its name.
    fn columns(self, arguments: Vec<Expr>, schema: &DFSchema) -> Result<Vec<(Expr, String)>> {
        match (self.kind, arguments.as_slice()) {
            (Kind::Explode | Kind::PosExplode, [collection]) => {
                self.exploded(collection.clone(), schema)
            }
            (Kind::Inline, [structs]) => inlined(structs, schema),
            (Kind::Stack, [count, values @ ..]) => stacked(count, values),
            (Kind::JsonTuple, [json, keys @ ..]) if !keys.is_empty() => {
                let columns = keys.iter().enumerate().map(|(index, key)| {
                    let field = call("skep_json_field", vec![json.clone(), key.clone()])?;
                    Ok((make_array(vec![field]), format!("c{index}")))
                });
                columns.collect()
            }
            (Kind::JsonTuple, _) => plan_err!("json_tuple takes a JSON text and names of members"),
            (Kind::Stack, _) => plan_err!("stack takes a number of rows and their values"),
            _ => plan_err!("a function of a lateral view takes one argument"),
        }
    }

    fn exploded(self, collection: Expr, schema: &DFSchema) -> Result<Vec<(Expr, String)>> {
        let mut columns = Vec::new();
        let is_map = match collection.get_type(schema)? {
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => false,
            DataType::Map(_, _) => true,
            other => return plan_err!("explode takes an array or a map, not a {other}"),
        };
        let first = match is_map {
            true => map_keys(collection.clone()),
            false => collection.clone(),
        };
        if self.kind == Kind::PosExplode {
            let length = cast(array_length(first.clone()), DataType::Int64);
            columns.push((range(lit(0_i64), length, lit(1_i64)), "pos".to_owned()));
        }
        match is_map {
            true => {
                columns.push((first, "key".to_owned()));
                columns.push((map_values(collection), "value".to_owned()));
            }
            false => columns.push((first, "col".to_owned())),
        }
        Ok(columns)
    }
}

/// A call of one of Skep's functions.
fn call(name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    match skep_functions::scalar_function(name) {
        Some(function) => Ok(Expr::ScalarFunction(ScalarFunction::new_udf(
            function, arguments,
        ))),
        None => plan_err!("there is no function {name}"),
    }
}

fn inlined(structs: &Expr, schema: &DFSchema) -> Result<Vec<(Expr, String)>> {
    let data_type = structs.get_type(schema)?;
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
        &data_type
    else {
        return plan_err!("inline takes an array of structs");
    };
    let DataType::Struct(fields) = item.data_type() else {
        return plan_err!("inline takes an array of structs");
    };
    let columns = fields.iter().enumerate().map(|(index, field)| {
        let list = call("skep_item_fields", vec![structs.clone(), lit(index as i64)])?;
        Ok((list, field.name().clone()))
    });
    columns.collect()
}

fn stacked(count: &Expr, values: &[Expr]) -> Result<Vec<(Expr, String)>> {
    let rows = match count {
        Expr::Literal(ScalarValue::Int64(Some(rows)), _) if *rows > 0 => *rows as usize,
        _ => return plan_err!("the number of rows of stack is a positive constant"),
    };
    let width = values.len().div_ceil(rows);
    let columns = (0..width).map(|column| {
        let items = (0..rows).map(|row| {
            let value = values.get(row * width + column);
            value
                .cloned()
                .unwrap_or(Expr::Literal(ScalarValue::Null, None))
        });
        (make_array(items.collect()), format!("col{column}"))
    });
    Ok(columns.collect())
}

/// Plans a join for which [`is_lateral_view`].
pub(super) fn plan(
    mut tables: TableWithJoins,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let view = tables.joins.pop();
    let Some(Join {
        relation:
            TableFactor::Function {
                name,
                args,
                alias: Some(alias),
                ..
            },
        join_operator,
        ..
    }) = view
    else {
        return plan_err!("a lateral view lost its function");
    };
    let Some(generator) = Generator::of(&name.to_string()) else {
        return plan_err!("{name} is not a function for a lateral view");
    };
    let input = context.plan(tables.relation)?;
    let mut arguments = Vec::with_capacity(args.len());
    for argument in args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
            return plan_err!("{name} takes no arguments with names");
        };
        arguments.push(context.sql_to_expr(argument, input.schema())?);
    }
    let generated = generator.columns(arguments, input.schema())?;
    let names = column_names(&alias, &generated, context)?;
    let view_name = TableReference::bare(context.normalize_ident(alias.name));

    let mut columns: Vec<Expr> = input
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    let mut unnested = Vec::new();
    for ((list, _), name) in generated.into_iter().zip(&names) {
        // Not the name that the items have in the end: rules that put both into one projection, as those for
        // fields of structs do, would find two columns of one name there.
        let internal = format!("{view_name}.{name}:items");
        columns.push(list.alias(&internal));
        unnested.push(Column::new_unqualified(internal));
    }
    let is_outer = generator.outer || matches!(join_operator, JoinOperator::LeftOuter(_));
    let options = UnnestOptions {
        null_handling: match is_outer {
            true => NullHandling::PreserveAndExpandEmpty,
            false => NullHandling::Drop,
        },
        recursions: vec![],
    };
    let plan = LogicalPlanBuilder::from(input)
        .project(columns)?
        .unnest_columns_with_options(unnested, options)?
        .build()?;
    with_item_names(plan, &names, &view_name)
}

/// Names the last columns of a plan, the items, as columns of the view.
fn with_item_names(
    plan: LogicalPlan,
    names: &[String],
    view_name: &TableReference,
) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let kept = columns.len().saturating_sub(names.len());
    let named = columns.into_iter().enumerate().map(|(index, column)| {
        match index.checked_sub(kept).and_then(|item| names.get(item)) {
            Some(name) => Expr::Column(column).alias_qualified(Some(view_name.clone()), name),
            None => Expr::Column(column),
        }
    });
    let named: Vec<Expr> = named.collect();
    LogicalPlanBuilder::from(plan).project(named)?.build()
}

fn column_names(
    alias: &TableAlias,
    generated: &[(Expr, String)],
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<String>> {
    if alias.columns.is_empty() {
        return Ok(generated.iter().map(|(_, name)| name.clone()).collect());
    }
    if alias.columns.len() != generated.len() {
        return plan_err!(
            "lateral view '{}' has {} columns, {} are named",
            alias.name,
            generated.len(),
            alias.columns.len()
        );
    }
    let names = alias.columns.iter();
    Ok(names
        .map(|column| context.normalize_ident(column.name.clone()))
        .collect())
}
