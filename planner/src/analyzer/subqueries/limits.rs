//! LIMIT and OFFSET in subqueries, computed for all rows outside at once: rows are numbered for each.

use super::Unnester;
use super::clauses::project;
use super::dependent::Dependent;
use super::scope::Scope;
use datafusion::common::{Column, not_impl_err};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::Sort as SortExpr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, FetchType, Filter, Limit, LogicalPlan, Projection, SkipType, Subquery,
    SubqueryAlias, Window, lit,
};
use std::sync::Arc;

/// Which rows a LIMIT leaves.
#[derive(Clone, Copy)]
struct Rows {
    skip: u64,
    fetch: Option<u64>,
}

impl Rows {
    fn of(limit: &Limit) -> Result<Self> {
        match (limit.get_skip_type()?, limit.get_fetch_type()?) {
            (SkipType::Literal(skip), FetchType::Literal(fetch)) => Ok(Self {
                skip: skip as u64,
                fetch: fetch.map(|fetch| fetch as u64),
            }),
            _ => not_impl_err!("LIMIT and OFFSET take constants in a correlated subquery"),
        }
    }

    /// Whether the first row is left.
    fn has_first(self) -> bool {
        self.skip == 0 && self.fetch != Some(0)
    }

    /// Whether the row of this number, from 1, is left.
    fn condition(self, number: Expr) -> Expr {
        let mut conditions = Vec::new();
        if self.skip > 0 {
            conditions.push(number.clone().gt(lit(self.skip)));
        }
        if let Some(fetch) = self.fetch {
            conditions.push(number.lt_eq(lit(self.skip.saturating_add(fetch))));
        }
        conjunction(conditions).unwrap_or_else(|| lit(true))
    }
}

impl Unnester {
    pub(super) fn dependent_limit(&mut self, limit: Limit, scope: &Scope) -> Result<Dependent> {
        let rows = Rows::of(&limit)?;
        let below = |input: Arc<LogicalPlan>| {
            Arc::new(LogicalPlan::Limit(Limit {
                skip: limit.skip.clone(),
                fetch: limit.fetch.clone(),
                input,
            }))
        };
        // What computes columns stands above, so that the order below is next to it.
        match Arc::unwrap_or_clone(limit.input) {
            LogicalPlan::Projection(projection) => {
                let input = below(projection.input);
                let written =
                    Projection::try_new_with_schema(projection.expr, input, projection.schema)?;
                self.dependent(LogicalPlan::Projection(written), scope)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let written = SubqueryAlias::try_new(below(alias.input), alias.alias)?;
                self.dependent(LogicalPlan::SubqueryAlias(written), scope)
            }
            LogicalPlan::Subquery(inner) => {
                let subquery = below(inner.subquery);
                let written = Subquery { subquery, ..inner };
                self.dependent(LogicalPlan::Subquery(written), scope)
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                self.numbered(Arc::unwrap_or_clone(sort.input), sort.expr, rows, scope)
            }
            other => self.numbered(other, Vec::new(), rows, scope),
        }
    }

    fn numbered(
        &mut self,
        input: LogicalPlan,
        mut order: Vec<SortExpr>,
        rows: Rows,
        scope: &Scope,
    ) -> Result<Dependent> {
        let columns = super::columns_of(&input);
        let mut input = self.dependent(input, scope)?;
        if input.absent.is_some() {
            if rows.has_first() {
                return Ok(input);
            }
            let nothing = Filter::try_new(lit(false), Arc::new(input.plan))?;
            input.plan = LogicalPlan::Filter(nothing);
            input.absent = None;
            return Ok(input);
        }
        let needed: Vec<&Expr> = order.iter().map(|key| &key.expr).collect();
        let (input, values) = self.with_values(input, scope, &needed)?;
        for key in &mut order {
            key.expr = scope.replaced(std::mem::take(&mut key.expr), &values)?;
        }
        let (input, keys) = self.keyed(input, scope)?;
        order.retain(|sorted| match &sorted.expr {
            Expr::Column(column) => !keys.contains(column),
            _ => true,
        });
        let input = self.tidied(input, &columns)?;
        let name = self.name("row");
        let number = row_number()
            .partition_by(keys.into_iter().map(Expr::Column).collect())
            .order_by(order)
            .build()?
            .alias(name.clone());
        let kept = super::columns_of(&input.plan);
        let plan = Window::try_new(vec![number], Arc::new(input.plan))?;
        let condition = rows.condition(Expr::Column(Column::new_unqualified(name)));
        let plan = Filter::try_new(condition, Arc::new(LogicalPlan::Window(plan)))?;
        let kept = kept.into_iter().map(Expr::Column).collect();
        Ok(Dependent {
            plan: project(kept, LogicalPlan::Filter(plan))?,
            single: input.single || rows.fetch.is_some_and(|fetch| fetch <= 1),
            bound: input.bound,
            predicates: input.predicates,
            absent: None,
        })
    }
}
