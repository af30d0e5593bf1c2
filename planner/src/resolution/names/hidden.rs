//! Tables that are called as a column is: `SELECT … FROM t AS k WHERE EXISTS (SELECT 1 FROM u WHERE u.x = k.id)` where
//! `u` has a column `k`. Within the subquery the planner takes `k.id` for a field of that column. Such tables are
//! called otherwise for it.

use super::scope::{Chain, Relation, Visible, exact, normalised};
use super::{Names, Tables};
use datafusion::sql::sqlparser::ast::{
    Query, Select, SelectItem, Statement, TableAlias, TableFactor, Visit, Visitor,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// The names of all columns in a statement, in lower case, as far as they can be seen; none where it has no query
/// within another.
pub(super) fn column_names(statement: &Statement, tables: &Tables) -> HashSet<String> {
    let mut seen = Seen::default();
    // The visitor never breaks off.
    let _ = statement.visit(&mut seen);
    if seen.queries < 2 {
        return HashSet::new();
    }
    let of_tables = tables.values().flatten();
    seen.names
        .extend(of_tables.map(|it| it.name.to_lowercase()));
    seen.names
}

#[derive(Default)]
struct Seen {
    queries: usize,
    names: HashSet<String>,
}

impl Seen {
    fn add_columns(&mut self, alias: &TableAlias) {
        let columns = alias.columns.iter();
        self.names
            .extend(columns.map(|column| column.name.value.to_lowercase()));
    }
}

impl Visitor for Seen {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.queries += 1;
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        ctes.for_each(|cte| self.add_columns(&cte.alias));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.names.insert(alias.value.to_lowercase());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => {
                alias.iter().for_each(|alias| self.add_columns(alias));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Names<'_> {
    /// Gives a relation an alias for the planner, where a column is called as it is.
    pub(super) fn uncover(&self, relation: &mut Relation, alias: &mut Option<TableAlias>) {
        let Some(name) = relation.full_name.last() else {
            return;
        };
        if relation.columns.is_none() || !self.hidden.contains(&name.to_lowercase()) {
            return;
        }
        // The same wherever the relation stands: equal subqueries stay equal.
        let given = format!("{}:table", relation.full_name.join("."));
        let given = exact(&given, relation.reference.last());
        let columns = alias.take().map_or_else(Vec::new, |alias| alias.columns);
        relation.reference = vec![given.clone()];
        *alias = Some(TableAlias {
            explicit: true,
            name: given,
            columns,
            at: None,
        });
    }
}

impl Relation {
    /// Whether the planner's expressions name it as statements do.
    pub(super) fn keeps_name(&self) -> bool {
        self.reference.last().map(normalised).as_ref() == self.full_name.last()
    }
}

/// Whether a name that could be a field of a column is a column of a table of a query around it: where a query
/// around has a table that is called as the column is, and the column is not known to have fields.
pub(super) fn is_of_outer(column: &Visible, names: &[String], outer: Option<&Chain>) -> bool {
    if column.has_fields {
        return false;
    }
    let (Some(table), Some(name)) = (names.first(), names.get(1)) else {
        return false;
    };
    let mut chain = outer;
    while let Some(link) = chain {
        let found = link.scope.find_relations(std::slice::from_ref(table));
        let found = found
            .iter()
            .filter_map(|index| link.scope.relations.get(*index));
        for relation in found {
            if relation.columns.is_none() || !relation.find(name).is_empty() {
                return true;
            }
        }
        chain = link.outer;
    }
    false
}
