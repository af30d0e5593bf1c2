//! Finds joins that may change places.
//!
//! A region begins at a join and goes down through joins, and through projections and aliases that do no more
//! than leave out and rename columns. Everything else is one of its relations. Within a region a column has one
//! name, that of its relation; conditions are written with it.

use super::region::{Condition, JoinKind, Operator, Region, RegionColumn, Relation, WrittenJoin};
use super::relation_set::{RELATIONS_MAX, RelationSet};
use crate::optimizer::guards::failure::{Failure, failure};
use crate::statistics::{ColumnProfile, Estimate, Estimator, selectivity};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, internal_datafusion_err};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Join, LogicalPlan, Operator as ExprOperator, Projection,
};
use std::collections::HashSet;
use std::sync::Arc;

/// A region as a part of a plan.
pub struct Extracted {
    /// What is joined.
    pub relations: Vec<LogicalPlan>,
    /// By operator, its conditions in the region's names.
    pub conditions: Vec<Vec<Expr>>,
    /// By operator, its kind.
    kinds: Vec<JoinKind>,
    written: WrittenJoin,
    /// The region's result: the column of each field.
    pub output: Vec<RegionColumn>,
    /// The plan as it was, for its schema and for where nothing can be done.
    original: LogicalPlan,
    /// The relations that are the right side of mark joins, with the names of their marks.
    pub marks: Vec<(usize, Column)>,
}

/// The place of a mark among the columns of the relation that it speaks of: behind them.
pub const MARK: usize = usize::MAX;

/// The region that begins at `plan`, which is a join; `None` where it must stay as it is.
///
/// # Errors
/// Those of the base library, over plans that are not as they should be.
pub fn extract(plan: &LogicalPlan) -> Result<Option<Extracted>> {
    let mut extraction = Extraction::default();
    let Some((written, output)) = extraction.visit(plan)? else {
        return Ok(None);
    };
    if extraction.relations.len() < 2 || !extraction.has_unique_names() {
        return Ok(None);
    }
    Ok(Some(Extracted {
        relations: extraction.relations,
        conditions: extraction.conditions,
        kinds: extraction.kinds,
        written,
        output,
        original: plan.clone(),
        marks: extraction.marks,
    }))
}

/// A part of a region, and the column of each of its fields.
type Part = (WrittenJoin, Vec<RegionColumn>);

#[derive(Default)]
struct Extraction {
    relations: Vec<LogicalPlan>,
    conditions: Vec<Vec<Expr>>,
    kinds: Vec<JoinKind>,
    marks: Vec<(usize, Column)>,
    /// Relations that have to be found a place for, above those that have one.
    pending: usize,
}

impl Extraction {
    /// What `plan` is within the region; `None` where it is a join that must stay as it is.
    fn visit(&mut self, plan: &LogicalPlan) -> Result<Option<Part>> {
        match plan {
            LogicalPlan::Join(join) => self.visit_join(join),
            LogicalPlan::SubqueryAlias(alias) if leads_to_join(&alias.input) => {
                self.visit(&alias.input)
            }
            LogicalPlan::Projection(projection) if leads_to_join(plan) => {
                self.visit_projection(projection)
            }
            other => Ok(Some(self.relation(other))),
        }
    }

    /// As [`Self::visit`], where what must stay as it is becomes a relation.
    fn visit_side(&mut self, plan: &LogicalPlan) -> Result<Part> {
        let (relations, operators, marks) =
            (self.relations.len(), self.kinds.len(), self.marks.len());
        if let Some(part) = self.visit(plan)? {
            return Ok(part);
        }
        self.relations.truncate(relations);
        self.kinds.truncate(operators);
        self.conditions.truncate(operators);
        self.marks.truncate(marks);
        Ok(self.relation(plan))
    }

    fn relation(&mut self, plan: &LogicalPlan) -> Part {
        let relation = self.relations.len();
        self.relations.push(plan.clone());
        let columns = 0..plan.schema().fields().len();
        let columns = columns.map(|column| RegionColumn { relation, column });
        (WrittenJoin::Relation(relation), columns.collect())
    }

    fn visit_projection(&mut self, projection: &Projection) -> Result<Option<Part>> {
        let before = self.relations.len();
        let Some((written, columns)) = self.visit(&projection.input)? else {
            return Ok(None);
        };
        debug_assert!(self.relations.len() > before);
        let schema = projection.input.schema();
        let kept = projection.expr.iter().map(|expression| {
            let column = plain_column(expression);
            let column =
                column.ok_or_else(|| internal_datafusion_err!("{expression} is no column"));
            Ok(columns[schema.index_of_column(column?)?])
        });
        Ok(Some((written, kept.collect::<Result<_>>()?)))
    }

    fn visit_join(&mut self, join: &Join) -> Result<Option<Part>> {
        let Some((kind, is_swapped)) = kind_of(join) else {
            return Ok(None);
        };
        if self.relations.len() + self.pending + 2 > RELATIONS_MAX || !may_move(join)? {
            return Ok(None);
        }
        let (left, right) = match is_swapped {
            true => (&join.right, &join.left),
            false => (&join.left, &join.right),
        };
        self.pending += 1;
        let left = self.visit_side(left)?;
        self.pending -= 1;
        let right = match kind {
            // A mark is called after what it is found in, all of which must stay together.
            JoinKind::Mark => self.relation(right),
            _ => self.visit_side(right)?,
        };
        self.join(join, kind, is_swapped, left, right)
    }

    fn join(
        &mut self,
        join: &Join,
        kind: JoinKind,
        is_swapped: bool,
        (left, left_columns): Part,
        (right, right_columns): Part,
    ) -> Result<Option<Part>> {
        let both = match is_swapped {
            true => [right_columns.as_slice(), &left_columns].concat(),
            false => [left_columns.as_slice(), &right_columns].concat(),
        };
        let schema = join.left.schema().join(join.right.schema())?;
        let conditions = conditions_of(join)
            .into_iter()
            .map(|condition| self.renamed(condition, &schema, &both))
            .collect::<Result<Vec<_>>>()?;
        let first = self.kinds.len();
        match kind {
            JoinKind::Inner if conditions.is_empty() => self.push(kind, Vec::new()),
            JoinKind::Inner => {
                for condition in conditions {
                    self.push(kind, vec![condition]);
                }
            }
            _ => self.push(kind, conditions),
        }
        let output = match kind {
            JoinKind::Semi | JoinKind::Anti => left_columns,
            JoinKind::Mark => {
                let mark = join.schema.iter().last().map(Column::from);
                let relation = right.relations().iter().next();
                let Some((mark, relation)) = mark.zip(relation) else {
                    return Ok(None);
                };
                self.marks.push((relation, mark));
                let mut columns = left_columns;
                columns.push(RegionColumn {
                    relation,
                    column: MARK,
                });
                columns
            }
            JoinKind::Inner | JoinKind::Left | JoinKind::Full => both,
        };
        let written = WrittenJoin::Join {
            operators: (first..self.kinds.len()).collect(),
            left: Box::new(left),
            right: Box::new(right),
        };
        Ok(Some((written, output)))
    }

    fn push(&mut self, kind: JoinKind, conditions: Vec<Expr>) {
        self.kinds.push(kind);
        self.conditions.push(conditions);
    }

    /// A condition in the region's names.
    fn renamed(
        &self,
        condition: Expr,
        schema: &DFSchema,
        columns: &[RegionColumn],
    ) -> Result<Expr> {
        condition
            .transform_down(|part| match part {
                Expr::Column(column) => {
                    let index = schema.index_of_column(&column)?;
                    Ok(Transformed::yes(Expr::Column(
                        self.name_of(columns[index])?,
                    )))
                }
                other => Ok(Transformed::no(other)),
            })
            .data()
    }

    fn name_of(&self, column: RegionColumn) -> Result<Column> {
        name_of(&self.relations, &self.marks, column)
    }

    /// Whether every column of the region has a name of its own, and none can be taken for another.
    fn has_unique_names(&self) -> bool {
        let mut names = HashSet::new();
        let mut bare = HashSet::new();
        let fields = self
            .relations
            .iter()
            .flat_map(|relation| relation.schema().iter());
        let columns = fields.map(Column::from);
        let columns: Vec<Column> = columns
            .chain(self.marks.iter().map(|(_, mark)| mark.clone()))
            .collect();
        for column in &columns {
            if !names.insert(column) {
                return false;
            }
            if column.relation.is_none() {
                bare.insert(column.name.as_str());
            }
        }
        let mut qualified = columns.iter().filter(|column| column.relation.is_some());
        !qualified.any(|column| bare.contains(column.name.as_str()))
    }
}

/// What the region calls a column.
///
/// # Errors
/// Where there is no such column.
pub fn name_of(
    relations: &[LogicalPlan],
    marks: &[(usize, Column)],
    column: RegionColumn,
) -> Result<Column> {
    let mark = marks
        .iter()
        .find(|(relation, _)| *relation == column.relation);
    match (column.column, mark) {
        (MARK, Some((_, mark))) => Ok(mark.clone()),
        (MARK, None) => Err(internal_datafusion_err!("there is no mark")),
        (index, _) => Ok(relations[column.relation]
            .schema()
            .qualified_field(index)
            .into()),
    }
}

/// Whether a plan is a join, but for columns that are left out or renamed.
fn leads_to_join(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => kind_of(join).is_some(),
        LogicalPlan::SubqueryAlias(alias) => leads_to_join(&alias.input),
        LogicalPlan::Projection(projection) => {
            let mut expressions = projection.expr.iter();
            expressions.all(|expression| plain_column(expression).is_some())
                && leads_to_join(&projection.input)
        }
        _ => false,
    }
}

fn plain_column(expression: &Expr) -> Option<&Column> {
    match expression {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => plain_column(&alias.expr),
        _ => None,
    }
}

/// The kind of a join, and whether its sides are the other way round; `None` for those that stay.
fn kind_of(join: &Join) -> Option<(JoinKind, bool)> {
    if join.null_aware || join.null_equality == NullEquality::NullEqualsNull {
        return None;
    }
    Some(match join.join_type {
        JoinType::Inner => (JoinKind::Inner, false),
        JoinType::Left => (JoinKind::Left, false),
        JoinType::Right => (JoinKind::Left, true),
        JoinType::Full => (JoinKind::Full, false),
        JoinType::LeftSemi => (JoinKind::Semi, false),
        JoinType::RightSemi => (JoinKind::Semi, true),
        JoinType::LeftAnti => (JoinKind::Anti, false),
        JoinType::RightAnti => (JoinKind::Anti, true),
        JoinType::LeftMark => (JoinKind::Mark, false),
        JoinType::RightMark => (JoinKind::Mark, true),
    })
}

/// Whether a join's conditions mean the same over other pairs of rows: none has a value of its own for each, and
/// none fails over rows that another join would have left out.
fn may_move(join: &Join) -> Result<bool> {
    let schema = join.left.schema().join(join.right.schema())?;
    let moves = |condition: &Expr| {
        !condition.is_volatile() && failure(condition, &schema) != Failure::Value
    };
    Ok(conditions_of(join).iter().all(moves))
}

fn conditions_of(join: &Join) -> Vec<Expr> {
    let keys = join.on.iter();
    let keys = keys.map(|(left, right)| left.clone().eq(right.clone()));
    let others = join.filter.clone().map(split_conjunction_owned);
    keys.chain(others.into_iter().flatten()).collect()
}

impl Extracted {
    /// The same region with other plans in the place of its relations.
    pub fn map_relations(
        mut self,
        map: impl Fn(LogicalPlan) -> Result<LogicalPlan>,
    ) -> Result<Self> {
        let relations = self.relations.into_iter().map(map);
        self.relations = relations.collect::<Result<_>>()?;
        Ok(self)
    }

    /// The plan as it was written.
    pub fn into_written(self) -> LogicalPlan {
        self.original
    }

    /// The schema of the result.
    pub fn schema(&self) -> &DFSchema {
        self.original.schema()
    }

    /// What the region calls a column.
    ///
    /// # Errors
    /// Where there is no such column.
    pub fn name_of(&self, column: RegionColumn) -> Result<Column> {
        name_of(&self.relations, &self.marks, column)
    }

    /// The region with estimates.
    pub fn region(&self, estimator: &Estimator<'_>) -> Region {
        let estimates: Vec<Estimate> = self
            .relations
            .iter()
            .map(|relation| estimator.estimate(relation))
            .collect();
        let names = Names::new(self);
        let operators = self.kinds.iter().zip(&self.conditions);
        let operators = operators.map(|(kind, conditions)| {
            let reads = |condition: &Expr| names.relations_of(condition);
            Operator {
                kind: *kind,
                reads: conditions
                    .iter()
                    .map(reads)
                    .fold(RelationSet::EMPTY, |all, one| all | one),
                rejects_null: conditions
                    .iter()
                    .filter(|condition| rejects_null(condition))
                    .map(reads)
                    .fold(RelationSet::EMPTY, |all, one| all | one),
                conditions: conditions
                    .iter()
                    .map(|condition| names.condition(condition, &estimates))
                    .collect(),
            }
        });
        Region {
            operators: operators.collect(),
            written: self.written.clone(),
            relations: estimates
                .into_iter()
                .map(|estimate| Relation {
                    rows: estimate.rows,
                    row_bytes: estimate.row_bytes(),
                    is_known: estimate.is_known,
                    columns: estimate.columns,
                })
                .collect(),
        }
    }
}

/// The region's columns by name.
struct Names<'e> {
    relations: &'e [LogicalPlan],
    marks: &'e [(usize, Column)],
}

impl<'e> Names<'e> {
    fn new(extracted: &'e Extracted) -> Self {
        Self {
            relations: &extracted.relations,
            marks: &extracted.marks,
        }
    }

    fn find(&self, column: &Column) -> Option<RegionColumn> {
        if let Some((relation, _)) = self.marks.iter().find(|(_, mark)| mark == column) {
            return Some(RegionColumn {
                relation: *relation,
                column: MARK,
            });
        }
        let mut relations = self.relations.iter().enumerate();
        relations.find_map(|(relation, plan)| {
            let column = plan.schema().maybe_index_of_column(column)?;
            Some(RegionColumn { relation, column })
        })
    }

    fn relations_of(&self, condition: &Expr) -> RelationSet {
        let columns = condition.column_refs();
        let found = columns.into_iter().filter_map(|column| self.find(column));
        found.map(|column| column.relation).collect()
    }

    fn condition(&self, condition: &Expr, estimates: &[Estimate]) -> Condition {
        let Expr::BinaryExpr(BinaryExpr {
            left,
            op: ExprOperator::Eq,
            right,
        }) = condition
        else {
            return self.other(condition, estimates);
        };
        let (one, other) = (self.relations_of(left), self.relations_of(right));
        if one.is_empty() || other.is_empty() || one.intersects(other) {
            return self.other(condition, estimates);
        }
        let plain = |side: &Expr| match side {
            Expr::Column(column) => self.find(column).filter(|found| found.column != MARK),
            _ => None,
        };
        match (plain(left), plain(right)) {
            (Some(left), Some(right)) => {
                let (one, other) = (self.data_type(left), self.data_type(right));
                Condition::Equal {
                    left,
                    right,
                    is_transitive: one == other && is_transitive(&one),
                }
            }
            _ => Condition::EqualExpressions,
        }
    }

    fn data_type(&self, column: RegionColumn) -> DataType {
        let schema = self.relations[column.relation].schema();
        schema.field(column.column).data_type().clone()
    }

    fn other(&self, condition: &Expr, estimates: &[Estimate]) -> Condition {
        let read: Vec<usize> = self.relations_of(condition).iter().collect();
        let mut schema = DFSchema::empty();
        let mut profiles: Vec<ColumnProfile> = Vec::new();
        for relation in read {
            let Ok(joined) = schema.join(self.relations[relation].schema()) else {
                continue;
            };
            schema = joined;
            profiles.extend(estimates[relation].columns.iter().cloned());
        }
        Condition::Other {
            selectivity: selectivity(condition, &schema, &profiles),
        }
    }
}

/// Whether equality of values of a type is transitive, however it is computed.
fn is_transitive(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_temporal()
        || data_type.is_decimal()
        || data_type.is_string()
        || data_type.is_binary()
        || *data_type == DataType::Boolean
}

/// Whether a condition is not true where one of its columns is NULL.
fn rejects_null(condition: &Expr) -> bool {
    fn is_strict(expression: &Expr) -> bool {
        match expression {
            Expr::Column(_) | Expr::Literal(..) => true,
            Expr::Cast(cast) => is_strict(&cast.expr),
            Expr::Negative(inner) => is_strict(inner),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                op.is_numerical_operators() && is_strict(left) && is_strict(right)
            }
            _ => false,
        }
    }
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let compares = matches!(
                op,
                ExprOperator::Eq
                    | ExprOperator::NotEq
                    | ExprOperator::Lt
                    | ExprOperator::LtEq
                    | ExprOperator::Gt
                    | ExprOperator::GtEq
            );
            compares && is_strict(left) && is_strict(right)
        }
        _ => false,
    }
}

/// The plan of a region's result: the columns that it had, by the names that they had.
///
/// # Errors
/// Those of the base library.
pub fn with_output(extracted: &Extracted, plan: LogicalPlan) -> Result<LogicalPlan> {
    let fields = extracted.output.iter().zip(extracted.schema().iter());
    let expressions = fields.map(|(column, (qualifier, field))| {
        let name = extracted.name_of(*column)?;
        let wanted = Column::new(qualifier.cloned(), field.name());
        Ok(match name == wanted {
            true => Expr::Column(name),
            false => Expr::Column(name).alias_qualified(qualifier.cloned(), field.name()),
        })
    });
    let expressions = expressions.collect::<Result<Vec<_>>>()?;
    let columns: Vec<Column> = plan.schema().iter().map(Column::from).collect();
    let is_same = columns.len() == expressions.len()
        && columns.iter().zip(&expressions).all(
            |(column, expression)| matches!(expression, Expr::Column(wanted) if wanted == column),
        );
    match is_same {
        true => Ok(plan),
        false => Projection::try_new(expressions, Arc::new(plan)).map(LogicalPlan::Projection),
    }
}
