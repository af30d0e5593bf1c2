//! `LATERAL VIEW [OUTER] explode(…)`: every row with each item of one of its collections.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, TableReference, plan_err};
use datafusion::common::{NullHandling, UnnestOptions};
use datafusion::error::Result;
use datafusion::functions_nested::expr_fn::{array_length, map_keys, map_values, range};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit};
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

/// A function that makes rows of a collection.
#[derive(Clone, Copy)]
struct Generator {
    with_position: bool,
    outer: bool,
}

impl Generator {
    fn of(name: &str) -> Option<Self> {
        let (with_position, outer) = match name.to_ascii_lowercase().as_str() {
            "explode" | "unnest" => (false, false),
            "explode_outer" => (false, true),
            "posexplode" => (true, false),
            "posexplode_outer" => (true, true),
            _ => return None,
        };
        Some(Self {
            with_position,
            outer,
        })
    }

    /// The columns that it makes of `collection`: a list for each, and its name.
    fn columns(self, collection: Expr, schema: &DFSchema) -> Result<Vec<(Expr, &'static str)>> {
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
        if self.with_position {
            let length = cast(array_length(first.clone()), DataType::Int64);
            columns.push((range(lit(0_i64), length, lit(1_i64)), "pos"));
        }
        match is_map {
            true => {
                columns.push((first, "key"));
                columns.push((map_values(collection), "value"));
            }
            false => columns.push((first, "col")),
        }
        Ok(columns)
    }
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
        return plan_err!("{name} is no function for a lateral view");
    };
    let input = context.plan(tables.relation)?;
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.as_slice() else {
        return plan_err!("{name} takes one argument");
    };
    let collection = context.sql_to_expr(argument.clone(), input.schema())?;
    let generated = generator.columns(collection, input.schema())?;
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
    generated: &[(Expr, &'static str)],
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<String>> {
    if alias.columns.is_empty() {
        return Ok(generated
            .iter()
            .map(|(_, name)| (*name).to_owned())
            .collect());
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
