//! What result columns are called that nobody has named: by what was written, `1 + 1`, and not by how
//! the planner writes it down, `Int64(1) + Int64(1)`.
//!
//! Only the schema of a result is concerned. Within plans and in views, columns keep the planner's names.
//!
//! Decision: Result columns without a name are called as they were written, `1 + 1`; within plans and views they
//! keep the planner's names.

use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement};
use skep_sql::statement::as_written;

/// The names that a query's first SELECT gives to its columns, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShownNames {
    /// From the first column on; what has a name already is `None`.
    front: Vec<Option<String>>,
    /// Those after a wildcard, back to front.
    back: Vec<Option<String>>,
    /// All of them, where they are known.
    all: Option<Vec<String>>,
}

impl ShownNames {
    pub(crate) fn of(statement: &DataFusionStatement) -> Self {
        let DataFusionStatement::Statement(statement) = statement else {
            return Self::default();
        };
        let Statement::Query(query) = statement.as_ref() else {
            return Self::default();
        };
        let items = first_projection(query);
        let is_wildcard = |item: &&SelectItem| !matches!(name(item), Named::As(_));
        let named = |items: &mut dyn Iterator<Item = &SelectItem>| {
            let names = items.map_while(|item| match name(item) {
                Named::As(name) => Some(name),
                Named::Unknown => None,
            });
            names.collect()
        };
        Self {
            front: named(&mut items.iter()),
            back: match items.iter().find(is_wildcard) {
                Some(_) => named(&mut items.iter().rev()),
                None => Vec::new(),
            },
            all: None,
        }
    }

    /// The same, or `all` where that is known.
    pub(crate) fn or_all(self, all: Option<Vec<String>>) -> Self {
        Self { all, ..self }
    }

    /// What the column at `index` of `columns` is called, unless the planner's name is right.
    pub(crate) fn get(&self, index: usize, columns: usize) -> Option<&str> {
        let from_back = columns.checked_sub(index + 1)?;
        if let Some(all) = self.all.as_ref().filter(|all| all.len() == columns) {
            return all.get(index).map(String::as_str);
        }
        let front = self.front.get(index);
        let name = front.or_else(|| self.back.get(from_back));
        name.and_then(Option::as_deref)
    }
}

enum Named {
    /// This, or as the planner has it.
    As(Option<String>),
    /// It may be any number of columns.
    Unknown,
}

fn name(item: &SelectItem) -> Named {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
            Named::As(None)
        }
        SelectItem::UnnamedExpr(expression) => Named::As(Some(as_written(expression))),
        SelectItem::ExprWithAlias { .. } => Named::As(None),
        _ => Named::Unknown,
    }
}

/// The columns of a query are called as in the first SELECT of a set operation.
fn first_projection(query: &Query) -> &[SelectItem] {
    let mut body = query.body.as_ref();
    loop {
        body = match body {
            SetExpr::Select(select) => return &select.projection,
            SetExpr::Query(query) => query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => left.as_ref(),
            _ => return &[],
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_sql::statement::{ParseOptions, Statement as Parsed, parse};

    fn names(sql: &str, columns: usize) -> Vec<Option<String>> {
        let options = ParseOptions {
            bytes_max: 1000,
            dialect: Default::default(),
        };
        let Parsed::Query(query) = parse(sql, options).unwrap() else {
            panic!("no query: {sql}");
        };
        let names = ShownNames::of(&query);
        let name = |index| names.get(index, columns).map(str::to_owned);
        (0..columns).map(name).collect()
    }

    fn some(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn columns_without_a_name_are_called_as_they_are_written() {
        assert_eq!(
            names("SELECT 1 +  1, a, t.b, count(*) AS n, sum(t.x) FROM t", 5),
            [some("1 + 1"), None, None, None, some("sum(t.x)")]
        );
        assert_eq!(
            names("(SELECT 'x' UNION SELECT 'y') ORDER BY 1", 1),
            [some("'x'")]
        );
    }

    #[test]
    fn a_wildcard_may_be_any_number_of_columns() {
        assert_eq!(
            names("SELECT 1, *, 2 FROM t", 5),
            [some("1"), None, None, None, some("2")]
        );
        assert_eq!(names("SELECT * FROM t", 1), [None]);
        assert_eq!(names("VALUES (1)", 1), [None]);
    }
}
