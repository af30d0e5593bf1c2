//! Numbers of different plans that meet: the keys of a join, the columns of a union, and what is compared with
//! the column of a subquery.

use super::common::{Purpose, common_type, transformed};
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
pub(super) fn unify(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Join(join) => join_keys(join).map(LogicalPlan::Join),
        LogicalPlan::Union(union) => union_inputs(union).map(LogicalPlan::Union),
        other => Ok(other),
    }
}

fn join_keys(join: Join) -> Result<Join> {
    let Join {
        left, right, on, ..
    } = &join;
    let key = |(one, other): &(Expr, Expr)| -> Result<(Expr, Expr)> {
        let types = (one.get_type(left.schema()), other.get_type(right.schema()));
        let (Ok(one_type), Ok(other_type)) = types else {
            return Ok((one.clone(), other.clone()));
        };
        match common_type(&[one_type, other_type], Purpose::Comparison) {
            None => Ok((one.clone(), other.clone())),
            Some(common) => Ok((
                cast_to(one.clone(), &common, left.schema())?,
                cast_to(other.clone(), &common, right.schema())?,
            )),
        }
    };
    let on = on.iter().map(key).collect::<Result<_>>()?;
    Ok(Join { on, ..join })
}

fn union_inputs(union: Union) -> Result<Union> {
    let Union { inputs, schema } = union;
    let width = schema.fields().len();
    if inputs
        .iter()
        .any(|input| input.schema().fields().len() != width)
    {
        return Ok(Union { inputs, schema });
    }
    let column = |index: usize| -> Vec<DataType> {
        let fields = inputs.iter().map(|input| input.schema().field(index));
        fields.map(|field| field.data_type().clone()).collect()
    };
    // Where DataFusion decides, it begins with what the first input has.
    let decided: Vec<Option<DataType>> = (0..width)
        .map(|index| common_type(&column(index), Purpose::Result))
        .collect();
    let types = decided.iter().enumerate().map(|(index, common)| {
        let first = || column(index).into_iter().next();
        common.clone().or_else(first).unwrap_or(DataType::Null)
    });
    let types: Vec<DataType> = types.collect();
    let fields = schema
        .iter()
        .zip(&types)
        .map(|((qualifier, field), data_type)| {
            let field = field.as_ref().clone().with_data_type(data_type.clone());
            (qualifier.cloned(), Arc::new(field))
        });
    let metadata = schema.metadata().clone();
    let schema = Arc::new(DFSchema::new_with_metadata(fields.collect(), metadata)?);
    let inputs = inputs.into_iter().map(|input| {
        let own = input.schema().fields().iter();
        let wanted: Vec<DataType> = own
            .zip(&decided)
            .map(|(field, common)| common.clone().unwrap_or_else(|| field.data_type().clone()))
            .collect();
        let fields = input.schema().fields().iter();
        let is_same = fields
            .zip(&wanted)
            .all(|(field, to)| field.data_type() == to);
        match is_same {
            true => Ok(input),
            false => projected(Arc::unwrap_or_clone(input), &wanted).map(Arc::new),
        }
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(Union { inputs, schema })
}
