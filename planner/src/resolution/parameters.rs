//! The parameters of a statement: which there are, of which types, and their values.

use crate::ResolvedQuery;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection};
use datafusion::scalar::ScalarValue;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::from_datafusion;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a parameter is said to be where its place tells nothing. Every client can send text, and values
/// of other types are taken as they come.
const TYPE_WITHOUT_HINT: DataType = DataType::Utf8;

/// The types of the parameters of `plan`, by number: `None` where no use of one tells.
fn types(plan: &LogicalPlan) -> Result<BTreeMap<usize, Option<DataType>>, QueryError> {
    let mut types: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    plan.apply_with_subqueries(|plan| {
        // The planner says nothing of what a LIMIT is.
        let hint = matches!(plan, LogicalPlan::Limit(_)).then_some(DataType::Int64);
        plan.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Expr::Placeholder(Placeholder { id, field }) = expression {
                    let number = id.trim_start_matches('$').parse().unwrap_or(usize::MAX);
                    let known = types.entry(number).or_default();
                    // The first use that tells decides; values are coerced to the others.
                    if known.is_none() {
                        let field = field.as_ref().map(|field| field.data_type().clone());
                        *known = field.or(hint.clone());
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(|error| from_datafusion(&error))?;
    Ok(types)
}

/// One field for each of the parameters `$1`, `$2`, … that `queries` of one statement have together, typed
/// as far as the statement tells.
///
/// # Errors
/// `Semantic` where a number is left out.
pub fn parameter_schema<'a>(
    queries: impl IntoIterator<Item = &'a ResolvedQuery>,
) -> Result<SchemaRef, QueryError> {
    let mut all: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    for query in queries {
        for (number, data_type) in types(&query.logical)? {
            let known = all.entry(number).or_default();
            *known = known.take().or(data_type);
        }
    }
    if let Some(missing) = (1..=all.len()).find(|number| !all.contains_key(number)) {
        let text = format!(
            "the statement has {} parameters, but no ${missing}",
            all.len()
        );
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    let fields: Vec<Field> = all
        .into_iter()
        .map(|(number, data_type)| {
            let data_type = data_type.unwrap_or(TYPE_WITHOUT_HINT);
            Field::new(format!("${number}"), data_type, true)
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The complaint about a number of values.
pub fn wrong_count(expected: usize, given: usize) -> QueryError {
    let text = format!("the statement has {expected} parameters and {given} values were given");
    QueryError::new(ErrorCode::InvalidArgument, text)
}

impl ResolvedQuery {
    /// Puts values in place of all parameters.
    ///
    /// # Errors
    /// `InvalidArgument` where their number is not right.
    pub fn bind(self, values: Vec<ScalarValue>) -> Result<Self, QueryError> {
        match parameter_schema([&self])?.fields().len() {
            expected if expected == values.len() => self.with_values(&values),
            expected => Err(wrong_count(expected, values.len())),
        }
    }

    /// Puts those of the values in place of the parameters that the query has.
    ///
    /// # Errors
    /// Those of the base library.
    pub fn with_values(self, values: &[ScalarValue]) -> Result<Self, QueryError> {
        let logical = with_values(self.logical, values);
        Ok(Self {
            logical: logical.map_err(|error| from_datafusion(&error))?,
            ..self
        })
    }

    /// Whether the query is a list of rows (`VALUES`), which can be as long as there are values for.
    pub fn is_row_list(&self) -> bool {
        matches!(self.logical, LogicalPlan::Values(_))
    }

    /// Writes a list of rows with so many parameters down once for each row of their values, which stand
    /// one behind the other in `values`.
    ///
    /// # Errors
    /// `InvalidArgument` where the query is not a list of rows, or the last row lacks values.
    pub fn with_rows(self, values: &[ScalarValue], count: usize) -> Result<Self, QueryError> {
        let LogicalPlan::Values(list) = &self.logical else {
            return Err(wrong_count(count, values.len()));
        };
        if count == 0 || values.is_empty() || !values.len().is_multiple_of(count) {
            return Err(wrong_count(count, values.len()));
        }
        let mut rows = Vec::new();
        for values in values.chunks(count) {
            let bound = with_values(LogicalPlan::Values(list.clone()), values);
            if let LogicalPlan::Values(bound) = bound.map_err(|error| from_datafusion(&error))? {
                rows.extend(bound.values);
            }
        }
        let logical = LogicalPlanBuilder::values(rows).and_then(LogicalPlanBuilder::build);
        Ok(Self {
            logical: logical.map_err(|error| from_datafusion(&error))?,
            ..self
        })
    }

    /// Gives parameters that are a whole column of the query the types of what the columns are written
    /// to.
    ///
    /// # Errors
    /// Those of the base library.
    pub fn typed_by(self, columns: &[DataType]) -> Result<Self, QueryError> {
        if types(&self.logical)?.is_empty() {
            return Ok(self);
        }
        let logical = match self.logical {
            LogicalPlan::Values(list) => {
                let rows = list.values.into_iter();
                let rows = rows.map(|row| typed_row(row, columns)).collect();
                LogicalPlanBuilder::values(rows).and_then(LogicalPlanBuilder::build)
            }
            LogicalPlan::Projection(projection) => {
                let typed = typed_row(projection.expr, columns);
                Projection::try_new(typed, projection.input).map(LogicalPlan::Projection)
            }
            other => Ok(other),
        };
        Ok(Self {
            logical: logical.map_err(|error| from_datafusion(&error))?,
            ..self
        })
    }
}

fn with_values(plan: LogicalPlan, values: &[ScalarValue]) -> Result<LogicalPlan> {
    match values {
        [] => Ok(plan),
        values => plan.with_param_values(ParamValues::from(values.to_vec())),
    }
}

/// A row whose untyped parameters have the types of its columns.
fn typed_row(row: Vec<Expr>, columns: &[DataType]) -> Vec<Expr> {
    let types = columns.iter().map(Some).chain(std::iter::repeat(None));
    let columns = row.into_iter().zip(types);
    let columns = columns.map(|(expression, data_type)| match data_type {
        Some(data_type) => typed(expression, data_type),
        None => expression,
    });
    columns.collect()
}

fn typed(expression: Expr, data_type: &DataType) -> Expr {
    match expression {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Arc::new(Field::new(&id, data_type.clone(), true));
            Expr::Placeholder(Placeholder::new_with_field(id, Some(field)))
        }
        Expr::Alias(mut alias) => {
            *alias.expr = typed(*alias.expr, data_type);
            Expr::Alias(alias)
        }
        other => other,
    }
}
