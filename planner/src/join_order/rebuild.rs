//! Makes a plan of an order.

use super::extract::{Extracted, with_output};
use super::graph::JoinGraph;
use super::region::JoinKind;
use super::relation_set::RelationSet;
use super::search::{JoinTree, Joined};
use crate::statistics::{Build, Estimated};
use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator, lit};
use std::sync::Arc;

/// The plan of `tree`, with the columns of the region as it was.
///
/// # Errors
/// Those of the base library.
pub fn rebuild(
    extracted: &Extracted,
    graph: &JoinGraph<'_>,
    tree: &JoinTree,
) -> Result<LogicalPlan> {
    let rebuilding = Rebuilding { extracted, graph };
    let part = rebuilding.part(tree)?;
    let plan = with_output(extracted, part.plan)?;
    Ok(Estimated::plan(plan, part.rows, part.row_bytes, None))
}

struct Rebuilding<'r> {
    extracted: &'r Extracted,
    graph: &'r JoinGraph<'r>,
}

struct Part {
    plan: LogicalPlan,
    rows: f64,
    row_bytes: f64,
}

impl Part {
    fn estimated(self, build: Option<Build>) -> Arc<LogicalPlan> {
        Arc::new(Estimated::plan(self.plan, self.rows, self.row_bytes, build))
    }
}

impl Rebuilding<'_> {
    fn part(&self, tree: &JoinTree) -> Result<Part> {
        match tree {
            JoinTree::Relation(number) => {
                let relation = &self.graph.region.relations[*number];
                Ok(Part {
                    plan: self.relation(*number)?,
                    rows: relation.rows,
                    row_bytes: relation.row_bytes,
                })
            }
            JoinTree::Join(joined) => self.join(joined),
        }
    }

    /// A relation. Where the region's equalities make columns of it equal to one another, its rows must say so
    /// themselves: a join takes one of these columns.
    fn relation(&self, number: usize) -> Result<LogicalPlan> {
        let plan = self.extracted.relations[number].clone();
        let own = RelationSet::single(number);
        let mut equal = Vec::new();
        for class in 0..self.graph.classes.len() {
            let columns = self.graph.columns_of(class, own);
            let names = columns.map(|column| self.extracted.name_of(column).map(Expr::Column));
            let names = names.collect::<Result<Vec<_>>>()?;
            let pairs = names.windows(2);
            equal.extend(pairs.filter_map(|pair| match pair {
                [one, other] => Some(one.clone().eq(other.clone())),
                _ => None,
            }));
        }
        match conjunction(equal) {
            Some(predicate) => Filter::try_new(predicate, Arc::new(plan)).map(LogicalPlan::Filter),
            None => Ok(plan),
        }
    }

    /// The join with the side on the left that becomes the hash table.
    fn join(&self, joined: &Joined) -> Result<Part> {
        let (left, right) = (self.part(&joined.left)?, self.part(&joined.right)?);
        let (build, probe) = match joined.method.builds_left {
            true => (left, right),
            false => (right, left),
        };
        let method = match joined.method.is_broadcast {
            true => Build::Broadcast,
            false => Build::Partitioned,
        };
        let (build, probe) = (build.estimated(Some(method)), probe.estimated(None));
        let (on, filter) = self.conditions(joined, &build, &probe)?;
        let kind = joined.applied.kind;
        let filter = match kind {
            JoinKind::Inner => filter,
            // A join of another kind without any condition has to have one.
            _ if on.is_empty() => Some(filter.unwrap_or_else(|| lit(true))),
            _ => filter,
        };
        let join = Join::try_new(
            build,
            probe,
            on,
            filter,
            join_type(kind, joined.method.builds_left),
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?;
        Ok(Part {
            plan: LogicalPlan::Join(join),
            rows: joined.rows,
            row_bytes: joined.row_bytes,
        })
    }

    /// The keys and the other conditions of a join.
    #[expect(
        clippy::type_complexity,
        reason = "the base library's own parts of a join"
    )]
    fn conditions(
        &self,
        joined: &Joined,
        build: &LogicalPlan,
        probe: &LogicalPlan,
    ) -> Result<(Vec<(Expr, Expr)>, Option<Expr>)> {
        let mut conditions = Vec::new();
        let (left, right) = (joined.left.relations(), joined.right.relations());
        for class in &joined.applied.classes {
            let one = self.graph.columns_of(*class, left).next();
            let other = self.graph.columns_of(*class, right).next();
            if let Some((one, other)) = one.zip(other) {
                let (one, other) = (self.extracted.name_of(one)?, self.extracted.name_of(other)?);
                conditions.push(Expr::Column(one).eq(Expr::Column(other)));
            }
        }
        for operator in &joined.applied.operators {
            conditions.extend(self.extracted.conditions[*operator].iter().cloned());
        }
        let mut on = Vec::new();
        let mut others = Vec::new();
        for condition in conditions.into_iter().flat_map(split_conjunction_owned) {
            match key(condition, build, probe) {
                Ok(pair) => on.push(pair),
                Err(condition) => others.push(*condition),
            }
        }
        Ok((on, conjunction(others)))
    }
}

/// The two sides of an equality between what is built and what is looked up; the condition where it is none.
fn key(
    condition: Expr,
    build: &LogicalPlan,
    probe: &LogicalPlan,
) -> std::result::Result<(Expr, Expr), Box<Expr>> {
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => match () {
            () if reads(build, &left) && reads(probe, &right) => Ok((*left, *right)),
            () if reads(probe, &left) && reads(build, &right) => Ok((*right, *left)),
            () => Err(Box::new(Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::Eq,
                right,
            }))),
        },
        other => Err(Box::new(other)),
    }
}

/// Whether an expression reads columns of a plan, and no others.
fn reads(plan: &LogicalPlan, expression: &Expr) -> bool {
    let columns = expression.column_refs();
    let has = |column: &&Column| plan.schema().maybe_index_of_column(column).is_some();
    !columns.is_empty() && columns.iter().all(has)
}

/// The type of the join that has what is built on its left.
fn join_type(kind: JoinKind, builds_left: bool) -> JoinType {
    match (kind, builds_left) {
        (JoinKind::Inner, _) => JoinType::Inner,
        (JoinKind::Full, _) => JoinType::Full,
        (JoinKind::Left, true) => JoinType::Left,
        (JoinKind::Left, false) => JoinType::Right,
        (JoinKind::Semi, true) => JoinType::LeftSemi,
        (JoinKind::Semi, false) => JoinType::RightSemi,
        (JoinKind::Anti, true) => JoinType::LeftAnti,
        (JoinKind::Anti, false) => JoinType::RightAnti,
        (JoinKind::Mark, true) => JoinType::LeftMark,
        (JoinKind::Mark, false) => JoinType::RightMark,
    }
}
