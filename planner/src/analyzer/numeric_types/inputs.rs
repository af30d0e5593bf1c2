//! Numbers of different plans that meet: the keys of a join, the columns of a union, and what is compared with
//! the column of a subquery.

use super::coercion::{Purpose, common_type, transformed};
use super::rounding::cast_to;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{InSubquery, SetComparison};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Subquery, Union,
};
use std::sync::Arc;

/// A value and the column of a subquery that it is compared with, in their common type.
fn with_subquery(
    expr: Expr,
    subquery: Subquery,
    schema: &DFSchema,
) -> Result<(Expr, Subquery, bool)> {
    let plan = &subquery.subquery;
    let types = match (expr.get_type(schema), plan.schema().fields().first()) {
        (Ok(one), Some(other)) => [one, other.data_type().clone()],
        _ => return Ok((expr, subquery, false)),
    };
    let common = common_type(&types, Purpose::Comparison);
    let Some(common) = common.filter(|common| types.iter().any(|one| one != common)) else {
        return Ok((expr, subquery, false));
    };
    let expr = cast_to(expr, &common, schema)?;
    let columns: Vec<DataType> = vec![common];
    let plan = projected(plan.as_ref().clone(), &columns)?;
    let subquery = Subquery {
        subquery: Arc::new(plan),
        ..subquery
    };
    Ok((expr, subquery, true))
}

pub(super) fn in_subquery(one: InSubquery, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (expr, subquery, changed) = with_subquery(*one.expr, one.subquery, schema)?;
    let same = InSubquery::new(Box::new(expr), subquery, one.negated);
    Ok(transformed(Expr::InSubquery(same), changed))
}

pub(super) fn set_comparison(one: SetComparison, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (expr, subquery, changed) = with_subquery(*one.expr, one.subquery, schema)?;
    let same = SetComparison::new(Box::new(expr), subquery, one.op, one.quantifier);
    Ok(transformed(Expr::SetComparison(same), changed))
}

/// The plan with its columns in these types, as far as they are given.
fn projected(plan: LogicalPlan, types: &[DataType]) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let columns = schema.columns().into_iter().enumerate();
    let expressions = columns.map(|(index, column)| {
        let Column { relation, name, .. } = column.clone();
        let same = Expr::Column(column);
        match types.get(index) {
            Some(to) if to != schema.field(index).data_type() => {
                Ok(cast_to(same, to, &schema)?.alias_qualified(relation, name))
            }
            _ => Ok(same),
        }
    });
    let expressions = expressions.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(plan).project(expressions)?.build()
}

/// What the inputs of a join or a union have in common.
pub(super) fn unify(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Join(join) => join_keys(join),
        LogicalPlan::Union(union) => union_inputs(union),
        other => Ok(Transformed::no(other)),
    }
}

fn join_keys(join: Join) -> Result<Transformed<LogicalPlan>> {
    let Join {
        left, right, on, ..
    } = &join;
    let mut is_changed = false;
    let mut key = |(one, other): &(Expr, Expr)| -> Result<(Expr, Expr)> {
        let same = || Ok((one.clone(), other.clone()));
        let types = (one.get_type(left.schema()), other.get_type(right.schema()));
        let (Ok(one_type), Ok(other_type)) = types else {
            return same();
        };
        if one_type == other_type && !one_type.is_floating() {
            return same();
        }
        let Some(common) = common_type(&[one_type, other_type], Purpose::Comparison) else {
            return same();
        };
        is_changed = true;
        let one = cast_to(one.clone(), &common, left.schema())?;
        let other = cast_to(other.clone(), &common, right.schema())?;
        Ok((one, other))
    };
    let on = on.iter().map(&mut key).collect::<Result<_>>()?;
    let join = LogicalPlan::Join(Join { on, ..join });
    Ok(Transformed::new_transformed(join, is_changed))
}

/// The types of a union's columns, where it has others than its inputs, and of its inputs, where those differ.
struct UnionTypes {
    /// The type that this rule decides; `None` where the inputs agree or DataFusion decides.
    decided: Vec<Option<DataType>>,
    /// Those of the union. Where DataFusion decides, it begins with what the first input has.
    columns: Vec<DataType>,
}

impl UnionTypes {
    fn of(union: &Union) -> Self {
        let schemas: Vec<&DFSchema> = union
            .inputs
            .iter()
            .map(|input| input.schema().as_ref())
            .collect();
        let (mut decided, mut columns) = (Vec::new(), Vec::new());
        for (index, field) in union.schema.fields().iter().enumerate() {
            let mut types = schemas.iter().map(|schema| schema.field(index).data_type());
            let first = types.next().unwrap_or(field.data_type());
            let common = match types.all(|next| next == first) {
                true => None,
                false => {
                    let all = schemas.iter().map(|schema| schema.field(index).data_type());
                    let all: Vec<DataType> = all.cloned().collect();
                    common_type(&all, Purpose::Result)
                }
            };
            columns.push(common.clone().unwrap_or_else(|| first.clone()));
            decided.push(common);
        }
        Self { decided, columns }
    }
}

fn union_inputs(union: Union) -> Result<Transformed<LogicalPlan>> {
    let width = union.schema.fields().len();
    let is_same_width = |input: &Arc<LogicalPlan>| input.schema().fields().len() == width;
    if !union.inputs.iter().all(is_same_width) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let types = UnionTypes::of(&union);
    let mut columns = union.schema.fields().iter().zip(&types.columns);
    let is_same = columns.all(|(field, data_type)| field.data_type() == data_type);
    if is_same && types.decided.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let Union { inputs, schema } = union;
    let fields = schema.iter().zip(&types.columns);
    let fields = fields.map(|((qualifier, field), data_type)| {
        let field = field.as_ref().clone().with_data_type(data_type.clone());
        (qualifier.cloned(), Arc::new(field))
    });
    let metadata = schema.metadata().clone();
    let schema = Arc::new(DFSchema::new_with_metadata(fields.collect(), metadata)?);
    let inputs = inputs.into_iter().map(|input| {
        let own = input.schema().fields().iter();
        let wanted: Vec<DataType> = own
            .zip(&types.decided)
            .map(|(field, common)| common.as_ref().unwrap_or(field.data_type()).clone())
            .collect();
        let mut fields = input.schema().fields().iter().zip(&wanted);
        match fields.all(|(field, to)| field.data_type() == to) {
            true => Ok(input),
            false => projected(Arc::unwrap_or_clone(input), &wanted).map(Arc::new),
        }
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union {
        inputs,
        schema,
    })))
}
