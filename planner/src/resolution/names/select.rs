//! SELECT: which columns its result has, and what they are called.
//!
//! The planner wants every column to have a name of its own. Where two are called the same, the later one gets
//! another name there, and keeps its own for everybody else.

use super::expressions::is_field;
use super::grouping::without_repetitions;
use super::scope::{Access, Chain, Column, Scope, exact, matching, normalised};
use super::wildcard::Expanded;
use super::{Names, Purpose, error_at};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderBy, OrderByExpr, OrderByKind, Select, SelectItem, Value,
};
use skep_protocol::{ErrorCode, QueryError};
use skep_sql::statement::as_written;
use std::collections::{HashMap, HashSet};

/// A column of a SELECT's result.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) column: Column,
    /// Whether the statement names it: by an alias, or because it is a column.
    pub(super) is_named: bool,
    /// The table that it is a column of, as far as the planner keeps it apart by that.
    table: Option<String>,
    /// What it is computed from.
    pub(super) expression: Expr,
    /// Whether it is written as its name alone.
    is_bare: bool,
    /// Whether it is written as a name with its table before it.
    is_qualified: bool,
    /// Whether it has no name and gets one that is its text.
    is_given_name: bool,
}

impl Output {
    /// A column of a query that is a part of another.
    pub(super) fn of(column: Column) -> Self {
        Self {
            is_named: true,
            table: None,
            expression: Expr::Identifier(exact(&column.planner_name, None)),
            is_bare: false,
            is_qualified: false,
            is_given_name: false,
            column,
        }
    }
}

/// What one item of a SELECT gives.
pub(super) enum Item {
    One(SelectItem, Box<Output>),
    /// A wildcard, its columns, and whether the planner would get other ones.
    Wildcard(SelectItem, Vec<Expanded>, bool),
    /// Something whose columns are not known before planning.
    Unknown(SelectItem),
}

impl Names<'_> {
    /// A SELECT with what orders its rows; returns the columns of its result, as far as they are known.
    pub(super) fn select(
        &mut self,
        select: &mut Select,
        order: Option<&mut OrderBy>,
        outer: Option<&Chain>,
        purpose: Purpose,
    ) -> Result<Option<Vec<Output>>, QueryError> {
        let scope = self.from(&mut select.from, outer)?;
        let chain = Chain {
            scope: &scope,
            outer,
        };
        let outputs = self.project(select, &scope, outer, purpose)?;
        let known = outputs.as_deref().unwrap_or_default();
        self.expressions(&mut select.selection, Some(&chain), &[], false)?;
        self.expressions(&mut select.prewhere, Some(&chain), &[], false)?;
        self.expressions(&mut select.group_by, Some(&chain), known, false)?;
        without_repetitions(&mut select.group_by, &scope, known)?;
        self.expressions(&mut select.having, Some(&chain), known, false)?;
        self.expressions(&mut select.qualify, Some(&chain), known, false)?;
        self.expressions(&mut select.named_window, Some(&chain), &[], false)?;
        self.expressions(&mut select.distinct, Some(&chain), known, true)?;
        self.expressions(&mut select.distribute_by, Some(&chain), known, false)?;
        if let Some(order) = order {
            self.order_by(order, Some(&chain), known)?;
        }
        Ok(outputs)
    }

    /// ORDER BY: a name alone stands for a column of the result.
    pub(super) fn order_by(
        &mut self,
        order: &mut OrderBy,
        chain: Option<&Chain>,
        outputs: &[Output],
    ) -> Result<(), QueryError> {
        if let OrderByKind::All(options) = &order.kind
            && !outputs.is_empty()
        {
            let keys = (1..=outputs.len()).map(|position| OrderByExpr {
                expr: Expr::value(Value::Number(position.to_string(), false)),
                options: *options,
                with_fill: None,
            });
            order.kind = OrderByKind::Expressions(keys.collect());
        }
        let OrderByKind::Expressions(keys) = &mut order.kind else {
            return Ok(());
        };
        for key in keys {
            if let Expr::Identifier(ident) = &key.expr
                && let Some(found) = ordering_output(ident, outputs, chain)?
            {
                if found.planner_name != normalised(ident) {
                    key.expr = Expr::Identifier(exact(&found.planner_name, Some(ident)));
                }
                continue;
            }
            self.expressions(&mut key.expr, chain, outputs, true)?;
            // What has got a name here is known by it alone below DISTINCT.
            let mut computed = outputs.iter().filter(|output| output.is_given_name);
            if let Some(output) = computed.find(|output| output.expression == key.expr) {
                key.expr = Expr::Identifier(exact(&output.column.planner_name, None));
            }
        }
        Ok(())
    }

    /// The items of a SELECT, so that the planner can tell their columns apart.
    pub(super) fn project(
        &mut self,
        select: &mut Select,
        scope: &Scope,
        outer: Option<&Chain>,
        purpose: Purpose,
    ) -> Result<Option<Vec<Output>>, QueryError> {
        let chain = Chain { scope, outer };
        let written = std::mem::take(&mut select.projection).into_iter();
        let mut items = written
            .map(|item| self.item(item, scope, &chain, purpose))
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = outputs_of(&items);
        let clashes = outputs
            .as_deref()
            .is_some_and(|outputs| has_clash(outputs, purpose));
        let is_needed = |item: &Item| matches!(item, Item::Wildcard(_, _, true));
        if clashes || items.iter().any(is_needed) {
            items = items.into_iter().flat_map(expanded).collect();
        }
        let mut outputs = outputs_of(&items);
        if clashes {
            rename_clashing(&mut items, purpose);
            outputs = outputs_of(&items);
        }
        select.projection = items.into_iter().map(Item::into_item).collect();
        Ok(outputs)
    }

    fn item(
        &mut self,
        item: SelectItem,
        scope: &Scope,
        chain: &Chain,
        purpose: Purpose,
    ) -> Result<Item, QueryError> {
        match item {
            SelectItem::UnnamedExpr(expression) => self.unnamed(expression, scope, chain, purpose),
            SelectItem::ExprWithAlias { mut expr, alias } => {
                self.expressions(&mut expr, Some(chain), &[], false)?;
                let name = normalised(&alias);
                let output = Output {
                    table: table_of(&expr, scope, &name),
                    expression: expr.clone(),
                    is_bare: false,
                    is_qualified: false,
                    is_given_name: false,
                    column: Column::named(&name),
                    is_named: true,
                };
                let item = SelectItem::ExprWithAlias { expr, alias };
                Ok(Item::One(item, Box::new(output)))
            }
            SelectItem::Wildcard(options) => self.wildcard(options, scope, chain),
            SelectItem::QualifiedWildcard(kind, options) => {
                self.qualified_wildcard(kind, options, scope, chain)
            }
            other => Ok(Item::Unknown(other)),
        }
    }

    /// An expression without an alias. A column keeps its name; others are called as they are written.
    fn unnamed(
        &mut self,
        mut expression: Expr,
        scope: &Scope,
        chain: &Chain,
        purpose: Purpose,
    ) -> Result<Item, QueryError> {
        let written = as_written(&expression);
        let is_bare = matches!(expression, Expr::Identifier(_));
        let name = match &expression {
            Expr::Identifier(ident) => Some(normalised(ident)),
            Expr::CompoundIdentifier(parts) => parts.last().map(normalised),
            _ => None,
        };
        let is_field =
            matches!(&expression, Expr::CompoundIdentifier(parts) if is_field(parts, scope));
        self.expressions(&mut expression, Some(chain), &[], false)?;
        let Some(name) = name else {
            return Ok(computed(expression, &written, purpose));
        };
        let is_own = is_column_of(&expression, scope);
        if !is_own && !scope.is_known() {
            // A field or a column, and called accordingly.
            return Ok(Item::Unknown(SelectItem::UnnamedExpr(expression)));
        }
        let planner_name = match &expression {
            // The planner has names of its own for columns of the queries around this one.
            _ if !is_own && purpose == Purpose::Relation => None,
            Expr::Identifier(ident) => Some(normalised(ident)),
            Expr::CompoundIdentifier(parts) if !is_field => parts.last().map(normalised),
            _ => None,
        };
        let mut output = Output {
            column: Column {
                planner_name: planner_name.clone().unwrap_or_else(|| name.clone()),
                name: name.clone(),
                has_fields: false,
            },
            is_named: true,
            table: None,
            expression: expression.clone(),
            is_bare,
            is_qualified: !is_bare,
            is_given_name: false,
        };
        let item = match planner_name {
            Some(planner_name) => {
                output.table = table_of(&expression, scope, &planner_name);
                SelectItem::UnnamedExpr(expression)
            }
            None => with_alias(expression, &name),
        };
        Ok(Item::One(item, Box::new(output)))
    }
}

impl Item {
    fn into_item(self) -> SelectItem {
        match self {
            Self::One(item, _) | Self::Wildcard(item, _, _) | Self::Unknown(item) => item,
        }
    }
}

/// An expression that is no column, which is called as it is written.
fn computed(expression: Expr, written: &str, purpose: Purpose) -> Item {
    if spreads(&expression) {
        return Item::Unknown(SelectItem::UnnamedExpr(expression));
    }
    let output = Output {
        column: Column::named(written),
        is_named: false,
        table: None,
        expression: expression.clone(),
        is_bare: false,
        is_qualified: false,
        is_given_name: purpose == Purpose::Relation,
    };
    let item = match purpose {
        Purpose::Relation => with_alias(expression, written),
        Purpose::Result | Purpose::View | Purpose::Value => SelectItem::UnnamedExpr(expression),
    };
    Item::One(item, Box::new(output))
}

/// The columns of all items; `None` where those of one are not known.
fn outputs_of(items: &[Item]) -> Option<Vec<Output>> {
    let mut outputs = Vec::new();
    for item in items {
        match item {
            Item::One(_, output) => outputs.push(output.as_ref().clone()),
            Item::Wildcard(_, columns, _) => {
                for column in columns {
                    outputs.push(column.output.clone()?);
                }
            }
            Item::Unknown(_) => return None,
        }
    }
    Some(outputs)
}

/// A wildcard's columns as items of their own.
fn expanded(item: Item) -> Vec<Item> {
    match item {
        Item::Wildcard(_, columns, _) => columns
            .into_iter()
            .map(|column| match column.output {
                Some(output) => Item::One(column.item, Box::new(output)),
                None => Item::Unknown(column.item),
            })
            .collect(),
        other => vec![other],
    }
}

/// The columns that have been met, by the planner's names for them.
#[derive(Default)]
struct Met(HashMap<String, HashSet<Option<String>>>);

impl Met {
    /// Whether the planner would confuse a column with one that was met before.
    fn clashes(&mut self, output: &Output, purpose: Purpose) -> bool {
        let tables = self
            .0
            .entry(output.column.planner_name.clone())
            .or_default();
        let clashes = match (&output.table, purpose) {
            // What is selected from has no tables within.
            (_, Purpose::Relation | Purpose::View) | (None, _) => !tables.is_empty(),
            (Some(_), _) => tables.contains(&output.table) || tables.contains(&None),
        };
        if !clashes {
            tables.insert(output.table.clone());
        }
        clashes
    }
}

fn has_clash(outputs: &[Output], purpose: Purpose) -> bool {
    let mut met = Met::default();
    let mut outputs = outputs.iter();
    outputs.any(|output| met.clashes(output, purpose))
}

/// Gives columns whose names are taken others, for the planner.
fn rename_clashing(items: &mut [Item], purpose: Purpose) {
    let mut taken: HashSet<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::One(_, output) => Some(output.column.planner_name.clone()),
            _ => None,
        })
        .collect();
    let mut met = Met::default();
    for item in items {
        let Item::One(item, output) = item else {
            continue;
        };
        if !met.clashes(output, purpose) {
            continue;
        }
        let free = (1..).map(|number: usize| format!("{}:{number}", output.column.name));
        let Some(planner_name) = free.into_iter().find(|name| !taken.contains(name)) else {
            continue;
        };
        taken.insert(planner_name.clone());
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            *item = with_alias(expr.clone(), &planner_name);
        }
        output.table = None;
        output.column.planner_name = planner_name;
    }
}

pub(super) fn with_alias(expr: Expr, alias: &str) -> SelectItem {
    SelectItem::ExprWithAlias {
        expr,
        alias: exact(alias, None),
    }
}

/// The table by which the planner keeps a column apart from others called `name`. A column with an alias that
/// is its name is still that column.
fn table_of(expression: &Expr, scope: &Scope, name: &str) -> Option<String> {
    match expression {
        Expr::Identifier(ident) if normalised(ident) == name => match scope.find(name).as_slice() {
            [visible] => match visible.access {
                Access::Column(relation, _) => reference_of(scope, relation),
                _ => None,
            },
            _ => None,
        },
        Expr::CompoundIdentifier(parts) => {
            let (last, table) = parts.split_last()?;
            let table: Vec<String> = table.iter().map(normalised).collect();
            match scope.find_relations(&table)[..] {
                [relation] if normalised(last) == name => reference_of(scope, relation),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether an expression is a column of the scope's relations, or a field of one.
fn is_column_of(expression: &Expr, scope: &Scope) -> bool {
    match expression {
        Expr::Identifier(ident) => {
            let name = normalised(ident);
            !scope.find(&name).is_empty() || scope.has_planner_name(&name)
        }
        Expr::CompoundIdentifier(parts) => {
            let names: Vec<String> = parts.iter().map(normalised).collect();
            let mut lengths = 1..names.len().min(4);
            let is_table = |length: usize| {
                let table = names.get(..length).unwrap_or_default();
                !scope.find_relations(table).is_empty()
            };
            lengths.any(is_table)
                || names
                    .first()
                    .is_some_and(|name| !scope.find(name).is_empty())
        }
        _ => true,
    }
}

/// How the planner's expressions name a relation, as one text.
pub(super) fn reference_of(scope: &Scope, relation: usize) -> Option<String> {
    let reference = &scope.relations.get(relation)?.reference;
    let parts: Vec<String> = reference.iter().map(normalised).collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

/// A column of a relation, as an item of its own.
pub(super) fn output(column: Column, table: Option<String>, expression: &Expr) -> Output {
    Output {
        column,
        is_named: true,
        table,
        expression: expression.clone(),
        is_bare: false,
        is_qualified: true,
        is_given_name: false,
    }
}

/// The column of a result that ORDER BY means by a name alone.
fn ordering_output<'a>(
    ident: &Ident,
    outputs: &'a [Output],
    chain: Option<&Chain>,
) -> Result<Option<&'a Column>, QueryError> {
    let name = normalised(ident);
    let named = outputs.iter().filter(|output| output.is_named);
    let found = matching(
        &name,
        named.map(|output| (output.column.name.as_str(), output)),
    );
    let Some((first, others)) = found.split_first() else {
        return Ok(None);
    };
    let is_same = |other: &&Output| other.expression == first.expression;
    if others.iter().all(is_same) {
        return Ok(Some(&first.column));
    }
    // `SELECT k, a.k` leaves no doubt what `k` alone is.
    let (bare, rest): (Vec<&Output>, Vec<&Output>) =
        found.into_iter().partition(|output| output.is_bare);
    match bare.as_slice() {
        [one] if rest.iter().all(|output| output.is_qualified) => Ok(Some(&one.column)),
        // Nor does `SELECT a.k, b.k` where `k` is the merged column of both.
        [] if rest.iter().all(|output| output.is_qualified)
            && chain.is_some_and(|chain| chain.scope.find(&name).len() == 1) =>
        {
            Ok(None)
        }
        _ => {
            let text = format!(
                "column '{}' of ORDER BY is more than one column of the result",
                ident.value
            );
            Err(error_at(ErrorCode::Semantic, text, ident))
        }
    }
}

/// Whether an expression may become several columns.
fn spreads(expression: &Expr) -> bool {
    let Expr::Function(function) = expression else {
        return false;
    };
    let name = function.name.to_string().to_lowercase();
    ["unnest", "explode", "inline", "stack", "json_tuple"]
        .iter()
        .any(|spreading| name.contains(spreading))
}
