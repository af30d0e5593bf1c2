//! The names in expressions: written so that the planner finds what they stand for.

use super::hidden::is_of_outer;
use super::scope::{Access, Chain, Scope, exact, matching, normalised};
use super::select::Output;
use super::{Names, Purpose, error_at};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, Query, Value, VisitMut, VisitorMut,
};
use skep_protocol::{ErrorCode, QueryError};
use std::ops::ControlFlow;

impl Names<'_> {
    /// Rewrites the names in `node`, which is part of a query with the scope of `chain`. Where `outputs_first`,
    /// a name stands for what SELECT calls so before it stands for a column, else the other way round.
    pub(super) fn expressions(
        &mut self,
        node: &mut impl VisitMut,
        chain: Option<&Chain>,
        outputs: &[Output],
        outputs_first: bool,
    ) -> Result<(), QueryError> {
        let mut references = References {
            names: self,
            chain,
            outputs,
            outputs_first,
            depth: 0,
            parameters: Vec::new(),
            fields: Vec::new(),
        };
        match node.visit(&mut references) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }
}

struct References<'a, 'b, 'c> {
    names: &'a mut Names<'b>,
    chain: Option<&'a Chain<'c>>,
    outputs: &'a [Output],
    outputs_first: bool,
    /// How many queries the visitor is in, which have scopes of their own.
    depth: usize,
    /// The parameters of the lambdas that the visitor is in.
    parameters: Vec<Vec<String>>,
    /// Names of fields, which stand for nothing by themselves, while their expression is visited.
    fields: Vec<Expr>,
}

impl VisitorMut for References<'_, '_, '_> {
    type Break = Box<QueryError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        if self.depth > 1 {
            return ControlFlow::Continue(());
        }
        match self.names.query(query, self.chain, Purpose::Value) {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        match expression {
            Expr::Lambda(lambda) => {
                let names = lambda.params.iter();
                let names = names.map(|parameter| normalised(&parameter.name));
                self.parameters.push(names.collect());
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                if let Some(parts) = whole_name(root, access_chain) {
                    *expression = Expr::CompoundIdentifier(parts);
                    return ControlFlow::Continue(());
                }
                join_name(root, access_chain);
                for access in access_chain.iter_mut().rev() {
                    if let AccessExpr::Dot(field) = access {
                        let nothing = Expr::value(Value::Null);
                        self.fields.push(std::mem::replace(field, nothing));
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        match expression {
            Expr::Lambda(_) => drop(self.parameters.pop()),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Dot(field) = access
                        && let Some(kept) = self.fields.pop()
                    {
                        *field = as_text(kept);
                    }
                }
            }
            Expr::Identifier(ident) if self.depth == 0 => match self.identifier(ident) {
                Ok(Some(found)) => *expression = found,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(Box::new(error)),
            },
            Expr::CompoundIdentifier(parts) if self.depth == 0 => match self.compound(parts) {
                Ok(Some(found)) => *expression = found,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(Box::new(error)),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl References<'_, '_, '_> {
    fn is_parameter(&self, name: &str) -> bool {
        let mut all = self.parameters.iter().flatten();
        all.any(|parameter| parameter == name)
    }

    /// What a name without a table stands for, unless the planner finds it by itself.
    fn identifier(&self, ident: &Ident) -> Result<Option<Expr>, QueryError> {
        let name = normalised(ident);
        if self.is_parameter(&name) {
            return Ok(None);
        }
        if self.outputs_first
            && let Some(found) = self.output(&name, ident)
        {
            return Ok(found);
        }
        let mut chain = self.chain;
        let mut is_innermost = true;
        while let Some(link) = chain {
            let output = || self.output(&name, ident).filter(|_| is_innermost);
            match column(link.scope, &name, ident) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {
                    if let Some(found) = output() {
                        return Ok(found);
                    }
                }
                // The planner takes what SELECT calls so.
                Err(_) if output().is_some() => return Ok(None),
                Err(error) => return Err(error),
            }
            if !link.scope.is_known() {
                // It may well be one of the columns that are not known.
                return Ok(None);
            }
            is_innermost = false;
            chain = link.outer;
        }
        Ok(None)
    }

    /// What SELECT calls so, where that is one column.
    fn output(&self, name: &str, ident: &Ident) -> Option<Option<Expr>> {
        let outputs = self.outputs.iter();
        let named = outputs.filter(|output| output.is_named);
        let found = matching(
            name,
            named.map(|output| (output.column.name.as_str(), output)),
        );
        let [output] = found.as_slice() else {
            return None;
        };
        let planner_name = &output.column.planner_name;
        match planner_name == name {
            true => Some(None),
            // The planner does not see behind such a name within an expression.
            false if output.column.name == *name => None,
            false => Some(Some(Expr::Identifier(exact(planner_name, Some(ident))))),
        }
    }

    /// As [`Self::identifier`], for a name with others before it: a table's, or that of a column with fields.
    fn compound(&self, parts: &[Ident]) -> Result<Option<Expr>, QueryError> {
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        if self.is_parameter(&normalised(first)) {
            return Ok(None);
        }
        let names: Vec<String> = parts.iter().map(normalised).collect();
        let mut chain = self.chain;
        while let Some(link) = chain {
            // Catalog, database and table at the most, and a column.
            for length in (1..names.len().min(4)).rev() {
                let (table, rest) = names.split_at(length);
                let [relation] = link.scope.find_relations(table)[..] else {
                    continue;
                };
                return of_relation(link.scope, relation, (parts, length), rest);
            }
            let found = link.scope.find(names.first().map_or("", String::as_str));
            if let [visible] = found.as_slice() {
                if is_of_outer(visible, &names, link.outer) {
                    chain = link.outer;
                    continue;
                }
                return Ok(field_of(link.scope, visible, parts));
            }
            if !found.is_empty() {
                return Err(ambiguous(first));
            }
            if !link.scope.is_known() {
                return Ok(None);
            }
            chain = link.outer;
        }
        Ok(None)
    }
}

/// What a name stands for in a scope: nothing, what the planner finds by itself, or something else.
fn column(scope: &Scope, name: &str, ident: &Ident) -> Result<Option<Option<Expr>>, QueryError> {
    let found = scope.find(name);
    let [visible] = found.as_slice() else {
        return match found.is_empty() {
            true => Ok(None),
            false => Err(ambiguous(ident)),
        };
    };
    if let Access::Column(relation, index) = visible.access {
        let planner_name = scope.planner_name(relation, index);
        if planner_name == Some(name) && scope.is_unique_for_planner(name) {
            return Ok(Some(None));
        }
    }
    Ok(Some(scope.read(visible, Some(ident))))
}

/// A column with its table before it, and perhaps fields behind it.
fn of_relation(
    scope: &Scope,
    relation: usize,
    (parts, length): (&[Ident], usize),
    rest: &[String],
) -> Result<Option<Expr>, QueryError> {
    let (Some(found), Some(name)) = (scope.relations.get(relation), rest.first()) else {
        return Ok(None);
    };
    let columns = found.find(name);
    let [index] = columns.as_slice() else {
        return match parts.get(length) {
            Some(ident) if !columns.is_empty() => {
                let text = format!("column '{}' is more than one of its table", ident.value);
                Err(error_at(ErrorCode::Semantic, text, ident))
            }
            // The planner says that it is missing.
            _ => Ok(None),
        };
    };
    let is_found = scope.planner_name(relation, *index) == Some(name);
    let own = found.full_name.iter().rev();
    let written = parts.iter().take(length).rev();
    let mut pairs = own.zip(written);
    if is_found && found.keeps_name() && pairs.all(|(own, part)| *own == normalised(part)) {
        return Ok(None);
    }
    let Expr::CompoundIdentifier(mut written) = scope.column(relation, *index, parts.first())
    else {
        return Ok(None);
    };
    written.extend(parts.iter().skip(length + 1).cloned());
    Ok(Some(Expr::CompoundIdentifier(written)))
}

/// A field of a column that is written without its table.
fn field_of(scope: &Scope, visible: &super::scope::Visible, parts: &[Ident]) -> Option<Expr> {
    let (first, fields) = parts.split_first()?;
    if let Access::Column(relation, index) = visible.access
        && scope.planner_name(relation, index) == Some(normalised(first).as_str())
        && scope.is_unique_for_planner(&normalised(first))
    {
        return None;
    }
    match scope.read(visible, Some(first))? {
        Expr::CompoundIdentifier(mut written) => {
            written.extend(fields.iter().cloned());
            Some(Expr::CompoundIdentifier(written))
        }
        Expr::Identifier(column) => {
            let written = [column].into_iter().chain(fields.iter().cloned());
            Some(Expr::CompoundIdentifier(written.collect()))
        }
        merged => Some(Expr::CompoundFieldAccess {
            root: Box::new(merged),
            access_chain: fields
                .iter()
                .map(|field| AccessExpr::Dot(as_text(Expr::Identifier(field.clone()))))
                .collect(),
        }),
    }
}

/// The parts of `t.items`, where it has nothing but names.
fn whole_name(root: &Expr, access_chain: &[AccessExpr]) -> Option<Vec<Ident>> {
    let Expr::Identifier(first) = root else {
        return None;
    };
    let mut parts = vec![first.clone()];
    for access in access_chain {
        match access {
            AccessExpr::Dot(Expr::Identifier(part)) => parts.push(part.clone()),
            _ => return None,
        }
    }
    Some(parts)
}

/// Puts all parts of the name before the first `[…]` into one: `t.items[1]` begins with a table or a column.
fn join_name(root: &mut Expr, access_chain: &mut Vec<AccessExpr>) {
    let Expr::Identifier(first) = root else {
        return;
    };
    let is_part = |access: &&AccessExpr| matches!(access, AccessExpr::Dot(Expr::Identifier(_)));
    let count = access_chain.iter().take_while(is_part).count();
    if count == 0 || count == access_chain.len() {
        return;
    }
    let mut parts = vec![first.clone()];
    for access in access_chain.drain(..count) {
        if let AccessExpr::Dot(Expr::Identifier(part)) = access {
            parts.push(part);
        }
    }
    *root = Expr::CompoundIdentifier(parts);
}

/// The name of a field, as the planner takes it behind a value.
fn as_text(field: Expr) -> Expr {
    match field {
        Expr::Identifier(ident) => Expr::value(Value::SingleQuotedString(normalised(&ident))),
        other => other,
    }
}

/// Whether the names before the last one are a table's, rather than a column's with fields.
pub(super) fn is_field(parts: &[Ident], scope: &Scope) -> bool {
    let names: Vec<String> = parts.iter().map(normalised).collect();
    let count = names.len();
    if count < 2 || !scope.is_known() {
        return false;
    }
    let is_table = |length: usize| {
        names
            .get(..length)
            .is_some_and(|table| !scope.find_relations(table).is_empty())
    };
    match (1..count.min(4)).rev().find(|length| is_table(*length)) {
        Some(length) => count > length + 1,
        None => names
            .first()
            .is_some_and(|first| !scope.find(first).is_empty()),
    }
}

fn ambiguous(ident: &Ident) -> QueryError {
    let text = format!(
        "column '{}' is in more than one table: write the table before it",
        ident.value
    );
    error_at(ErrorCode::Semantic, text, ident)
}
