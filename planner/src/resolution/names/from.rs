//! The relations of a FROM. Joins with USING and NATURAL become joins with ON here, since the planner knows
//! such a column by its left side alone, which is NULL where a RIGHT or FULL JOIN has no such row.
//!
//! Decision: USING becomes ON, and its column `coalesce`, before planning: the planner knows the left key alone. A
//! second column of one name has another name for the planner only.

use super::scope::{
    Access, Chain, Column, Relation, Scope, Visible, exact, normalised, normalised_parts,
};
use super::{Names, Purpose, error_at};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, SetExpr,
    TableAlias, TableFactor, TableWithJoins, Value,
};
use skep_protocol::{ErrorCode, QueryError};
use skep_sql::statement::{SUMMARY_ALIAS, call, query_of, select_all};

/// Which sides of a join have rows in its result, and in which all rows are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    /// Both; a row of the right side always has one of the left side.
    Left,
    /// Both; there may be nothing on the left.
    Either,
    OnlyLeft,
    OnlyRight,
}

impl Names<'_> {
    /// The scope of a FROM.
    pub(super) fn from(
        &mut self,
        from: &mut [TableWithJoins],
        outer: Option<&Chain>,
    ) -> Result<Scope, QueryError> {
        let is_alone = matches!(from, [table] if table.joins.is_empty());
        let mut scope = Scope::default();
        for table in from {
            let joined = self.joins(table, &scope, outer, !is_alone)?;
            scope = scope.joined(joined);
        }
        Ok(scope)
    }

    /// The scope of a table with what is joined to it; `before` is what stands before it in FROM.
    fn joins(
        &mut self,
        table: &mut TableWithJoins,
        before: &Scope,
        outer: Option<&Chain>,
        has_others: bool,
    ) -> Result<Scope, QueryError> {
        let has_others = has_others || !table.joins.is_empty();
        let mut scope = self.relation(&mut table.relation, before, outer, has_others)?;
        for join in &mut table.joins {
            let seen = before.clone().joined(scope.clone());
            let using = self.asof(join, &scope)?;
            let right = self.relation(&mut join.relation, &seen, outer, true)?;
            scope = match using {
                Some(using) if !using.is_empty() => merged_left(scope, right, &using)?,
                _ => self.join(scope, right, join, outer)?,
            };
        }
        Ok(scope)
    }

    fn join(
        &mut self,
        left: Scope,
        right: Scope,
        join: &mut Join,
        outer: Option<&Chain>,
    ) -> Result<Scope, QueryError> {
        let Some((constraint, sides)) = constraint_of(&mut join.join_operator) else {
            return Ok(left.joined(right));
        };
        let names = match constraint {
            JoinConstraint::On(condition) => {
                let scope = left.clone().joined(right.clone());
                let chain = Chain {
                    scope: &scope,
                    outer,
                };
                self.expressions(condition, Some(&chain), &[], false)?;
                return Ok(remaining(left, right, sides));
            }
            JoinConstraint::None => return Ok(remaining(left, right, sides)),
            // The planner knows the columns, and takes the left one, which is right here.
            JoinConstraint::Using(_) | JoinConstraint::Natural
                if sides != Sides::Either && !(left.is_known() && right.is_known()) =>
            {
                return Ok(remaining(left, right, sides));
            }
            JoinConstraint::Using(names) => using_names(names)?,
            JoinConstraint::Natural => {
                if !left.is_known() || !right.is_known() {
                    let text = "NATURAL JOIN with a table whose columns have no names; write ON";
                    return Err(QueryError::new(ErrorCode::Unsupported, text));
                }
                common_names(&left, &right)
            }
        };
        let keys = names
            .iter()
            .map(|name| Ok((key(&left, name, "left")?, key(&right, name, "right")?)))
            .collect::<Result<Vec<_>, QueryError>>()?;
        let (condition, merged) = merged(&left, &right, &keys, &names, sides)?;
        *constraint = JoinConstraint::On(condition);
        Ok(match sides {
            Sides::OnlyLeft | Sides::OnlyRight => remaining(left, right, sides),
            Sides::Left | Sides::Either => showing(left, right, &keys, merged),
        })
    }

    pub(super) fn relation(
        &mut self,
        relation: &mut TableFactor,
        before: &Scope,
        outer: Option<&Chain>,
        has_others: bool,
    ) -> Result<Scope, QueryError> {
        let lateral = Chain {
            scope: before,
            outer,
        };
        self.pivots(relation, before, outer)?;
        match relation {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let mut found = self.table(name, alias.as_ref());
                self.uncover(&mut found, alias);
                Ok(Scope::of(found))
            }
            TableFactor::Derived {
                lateral: is_lateral,
                subquery,
                alias,
                ..
            } => {
                let outer = if *is_lateral { Some(&lateral) } else { outer };
                let columns = self.query(subquery, outer, Purpose::Relation)?;
                let is_summary = alias
                    .as_ref()
                    .is_some_and(|it| it.name.value == SUMMARY_ALIAS);
                let columns = columns.filter(|_| !is_summary);
                if alias.is_none() && has_others {
                    *alias = Some(self.new_alias());
                }
                let mut found = aliased(alias.as_ref(), columns);
                if !is_summary {
                    self.uncover(&mut found, alias);
                }
                Ok(Scope::of(found))
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let scope = self.joins(table_with_joins, before, outer, has_others)?;
                match alias {
                    None => Ok(scope),
                    Some(_) => self.derived_of_join(relation, scope, outer),
                }
            }
            TableFactor::Table {
                args: Some(args),
                alias,
                ..
            } => {
                self.expressions(&mut args.args, Some(&lateral), &[], false)?;
                Ok(Scope::of(aliased(alias.as_ref(), None)))
            }
            other => self.made_by_function(other, &lateral),
        }
    }

    /// What a function makes, or something else whose columns are not known.
    fn made_by_function(
        &mut self,
        relation: &mut TableFactor,
        lateral: &Chain,
    ) -> Result<Scope, QueryError> {
        let alias = match relation {
            TableFactor::Function { args, alias, .. } => {
                self.expressions(args, Some(lateral), &[], false)?;
                alias.as_ref()
            }
            TableFactor::UNNEST {
                array_exprs, alias, ..
            } => {
                self.expressions(array_exprs, Some(lateral), &[], false)?;
                alias.as_ref()
            }
            other => alias_of(other),
        };
        Ok(Scope::of(aliased(alias, None)))
    }

    /// `(a JOIN b USING (k)) AS j` as the query that `j` is.
    fn derived_of_join(
        &mut self,
        relation: &mut TableFactor,
        scope: Scope,
        outer: Option<&Chain>,
    ) -> Result<Scope, QueryError> {
        let TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } = relation
        else {
            return Ok(scope);
        };
        let mut select = select_all(table_with_joins.as_ref().clone());
        let columns = self.project(&mut select, &scope, outer, Purpose::Relation)?;
        let columns = columns.map(|outputs| outputs.into_iter().map(|it| it.column).collect());
        let alias = alias.take();
        let found = Scope::of(aliased(alias.as_ref(), columns));
        *relation = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
            alias,
            sample: None,
        };
        Ok(found)
    }

    /// A table, a view, or a query of WITH.
    fn table(&self, name: &ObjectName, alias: Option<&TableAlias>) -> Relation {
        let parts = normalised_parts(name);
        let columns = match parts.as_slice() {
            [only] => match self.cte(only) {
                Some(columns) => columns.clone(),
                None => self.table_columns(&parts),
            },
            _ => self.table_columns(&parts),
        };
        if alias.is_some() {
            return aliased(alias, columns);
        }
        let is_cte = matches!(parts.as_slice(), [only] if self.cte(only).is_some());
        Relation {
            full_name: match is_cte {
                true => parts,
                false => self.full_name(&parts),
            },
            reference: name
                .0
                .iter()
                .filter_map(|part| part.as_ident().cloned())
                .collect(),
            columns,
        }
    }

    pub(super) fn new_alias(&mut self) -> TableAlias {
        self.aliases += 1;
        TableAlias {
            explicit: true,
            name: exact(&format!("derived:{}", self.aliases), None),
            columns: Vec::new(),
            at: None,
        }
    }
}

/// A relation as its alias calls it.
fn aliased(alias: Option<&TableAlias>, columns: Option<Vec<Column>>) -> Relation {
    let Some(alias) = alias else {
        return Relation {
            full_name: Vec::new(),
            reference: Vec::new(),
            columns,
        };
    };
    let renamed = alias.columns.iter();
    let renamed: Vec<Column> = renamed
        .map(|column| Column::named(&normalised(&column.name)))
        .collect();
    let name = normalised(&alias.name);
    Relation {
        reference: vec![exact(&name, Some(&alias.name))],
        full_name: vec![name],
        columns: match renamed.is_empty() {
            true => columns,
            false => Some(renamed),
        },
    }
}

fn alias_of(relation: &TableFactor) -> Option<&TableAlias> {
    match relation {
        TableFactor::TableFunction { alias, .. }
        | TableFactor::JsonTable { alias, .. }
        | TableFactor::OpenJsonTable { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. }
        | TableFactor::MatchRecognize { alias, .. }
        | TableFactor::XmlTable { alias, .. } => alias.as_ref(),
        _ => None,
    }
}

/// What says which rows belong together, and what the join keeps; `None` for joins without such a condition.
fn constraint_of(operator: &mut JoinOperator) -> Option<(&mut JoinConstraint, Sides)> {
    Some(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::StraightJoin(constraint) => (constraint, Sides::Left),
        JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => (constraint, Sides::Either),
        JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint) => (constraint, Sides::OnlyLeft),
        JoinOperator::RightSemi(constraint) | JoinOperator::RightAnti(constraint) => {
            (constraint, Sides::OnlyRight)
        }
        _ => return None,
    })
}

/// Both sides of a join whose columns of USING are those of the left.
fn merged_left(left: Scope, right: Scope, names: &[Ident]) -> Result<Scope, QueryError> {
    let keys = names
        .iter()
        .map(|name| Ok((key(&left, name, "left")?, key(&right, name, "right")?)))
        .collect::<Result<Vec<_>, QueryError>>()?;
    let merged = keys.iter().map(|(key, _)| key.clone()).collect();
    Ok(showing(left, right, &keys, merged))
}

fn remaining(left: Scope, right: Scope, sides: Sides) -> Scope {
    match sides {
        Sides::Left | Sides::Either => left.joined(right),
        Sides::OnlyLeft => left,
        Sides::OnlyRight => right,
    }
}

pub(super) fn using_names(names: &[ObjectName]) -> Result<Vec<Ident>, QueryError> {
    let name = |name: &ObjectName| match name.0.as_slice() {
        [part] => part.as_ident().cloned(),
        _ => None,
    };
    names
        .iter()
        .map(|written| {
            name(written).ok_or_else(|| {
                let text = format!("USING takes columns without their tables, not {written}");
                QueryError::new(ErrorCode::Semantic, text)
            })
        })
        .collect()
}

/// The names of the columns that both sides have, in the order of the left one.
fn common_names(left: &Scope, right: &Scope) -> Vec<Ident> {
    let mut names: Vec<Ident> = Vec::new();
    for visible in &left.visible {
        let is_new = !names.iter().any(|known| known.value == visible.name);
        if is_new && !right.find(&visible.name).is_empty() {
            names.push(exact(&visible.name, None));
        }
    }
    names
}

/// The one column of a side that is called so.
pub(super) fn key(side: &Scope, name: &Ident, which: &str) -> Result<Visible, QueryError> {
    let found = side.find(&normalised(name));
    let (code, text) = match found.as_slice() {
        [one] => return Ok((*one).clone()),
        [] if !side.is_known() => (
            ErrorCode::Unsupported,
            format!(
                "column '{}' of USING is looked for in a table whose columns have no names; write ON",
                name.value
            ),
        ),
        [] => (
            ErrorCode::ColumnNotFound,
            format!(
                "column '{}' of USING is not in the tables on the {which} of the join",
                name.value
            ),
        ),
        _ => (
            ErrorCode::Semantic,
            format!(
                "column '{}' of USING is in more than one table on the {which} of the join",
                name.value
            ),
        ),
    };
    Err(error_at(code, text, name))
}

/// The condition that keys are equal, and the columns that they are then: the value of the side that has a
/// row.
fn merged(
    left: &Scope,
    right: &Scope,
    keys: &[(Visible, Visible)],
    names: &[Ident],
    sides: Sides,
) -> Result<(Expr, Vec<Visible>), QueryError> {
    let shift = left.relations.len();
    let scope = left.clone().joined(right.clone());
    let mut condition = None;
    let mut visible = Vec::new();
    for ((left_key, right_key), ident) in keys.iter().zip(names) {
        let right_key = shifted(right_key, shift);
        let read = |key: &Visible| {
            let read = scope.read(key, Some(ident));
            read.ok_or_else(|| QueryError::internal("a key of USING is not a column"))
        };
        let (left_read, right_read) = (read(left_key)?, read(&right_key)?);
        let equal = binary(left_read.clone(), BinaryOperator::Eq, right_read.clone());
        condition = Some(match condition {
            None => equal,
            Some(others) => binary(others, BinaryOperator::And, equal),
        });
        visible.push(Visible {
            name: left_key.name.clone(),
            has_fields: left_key.has_fields,
            access: match sides {
                Sides::Either => {
                    let either = call("coalesce", vec![left_read, right_read]);
                    Access::Merged(Box::new(either))
                }
                Sides::Left | Sides::OnlyLeft | Sides::OnlyRight => left_key.access.clone(),
            },
        });
    }
    // Without a common column, every row goes with every other.
    let always = Expr::value(Value::Boolean(true));
    Ok((condition.unwrap_or(always), visible))
}

/// Both sides, of which `SELECT *` has the merged columns first and their keys no more.
fn showing(
    left: Scope,
    right: Scope,
    keys: &[(Visible, Visible)],
    mut merged: Vec<Visible>,
) -> Scope {
    let shift = left.relations.len();
    let is_left_key = |visible: &&Visible| keys.iter().any(|(key, _)| is_same(visible, key));
    let is_right_key = |visible: &&Visible| keys.iter().any(|(_, key)| is_same(visible, key));
    let rest = left.visible.iter().filter(|it| !is_left_key(it));
    merged.extend(rest.cloned());
    let rest = right.visible.iter().filter(|it| !is_right_key(it));
    merged.extend(rest.map(|visible| shifted(visible, shift)));
    left.joined(right).showing(merged)
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn shifted(visible: &Visible, shift: usize) -> Visible {
    Visible {
        name: visible.name.clone(),
        has_fields: visible.has_fields,
        access: match &visible.access {
            Access::Column(relation, column) => Access::Column(relation + shift, *column),
            Access::All(relation) => Access::All(relation + shift),
            Access::Merged(expression) => Access::Merged(expression.clone()),
        },
    }
}

fn is_same(one: &Visible, other: &Visible) -> bool {
    match (&one.access, &other.access) {
        (Access::Column(relation, column), Access::Column(other, other_column)) => {
            relation == other && column == other_column
        }
        (Access::Merged(expression), Access::Merged(other)) => expression == other,
        _ => false,
    }
}
