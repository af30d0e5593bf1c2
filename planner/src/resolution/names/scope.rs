//! What names stand for in one SELECT: the relations of its FROM, their columns, and which of these a name
//! without a table finds.

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName};
use std::cell::OnceCell;
use std::collections::HashMap;

/// A column of a relation or of a query's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// What statements call it; others may be called the same.
    pub(super) name: String,
    /// What the planner calls it, which is unique in its relation.
    pub(super) planner_name: String,
    /// Whether it is known to be a struct, or something else that `column.name` may read from.
    pub(super) has_fields: bool,
}

impl Column {
    /// A column that the planner calls as statements do.
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            planner_name: name.to_owned(),
            has_fields: false,
        }
    }
}

/// Something in FROM.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// Its full name in lower case or as quoted, as far as there is one: catalog, database, table; or its alias.
    pub(super) full_name: Vec<String>,
    /// How the planner's expressions name it; empty for a derived table without an alias.
    pub(super) reference: Vec<Ident>,
    /// `None` where they are not known before planning.
    pub(super) columns: Option<Vec<Column>>,
}

/// What a name without a table stands for.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// A relation's column, each by its index.
    Column(usize, usize),
    /// The columns that USING has made one.
    Merged(Box<Expr>),
    /// Any number of columns of a relation whose columns are not known.
    All(usize),
}

/// A column as `SELECT *` has it.
#[derive(Clone, Debug)]
pub(super) struct Visible {
    pub(super) name: String,
    pub(super) access: Access,
    /// As [`Column`] has it.
    pub(super) has_fields: bool,
}

/// The relations of a FROM.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) relations: Vec<Relation>,
    /// In the order of `SELECT *`.
    pub(super) visible: Vec<Visible>,
    /// The visible columns by their names in lower case.
    by_name: OnceCell<HashMap<String, Vec<usize>>>,
    /// How many columns of all relations have a name of the planner's.
    planner_names: OnceCell<HashMap<String, usize>>,
}

/// A scope and those of the queries around its query.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    pub(super) scope: &'a Scope,
    pub(super) outer: Option<&'a Chain<'a>>,
}

/// A name as it is compared: in lower case unless it is quoted.
pub(super) fn normalised(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// The parts of an object's name, as they are compared.
pub(super) fn normalised_parts(name: &ObjectName) -> Vec<String> {
    let parts = name.0.iter().filter_map(|part| part.as_ident());
    parts.map(normalised).collect()
}

/// A name that the planner takes as it is, at the place of another.
pub(super) fn exact(name: &str, at: Option<&Ident>) -> Ident {
    let mut ident = Ident::with_quote('"', name);
    if let Some(at) = at {
        ident.span = at.span;
    }
    ident
}

/// Those of `candidates` that are called `wanted`: letter by letter, or else in other letters' case.
pub(super) fn matching<'a, T>(
    wanted: &str,
    candidates: impl Iterator<Item = (&'a str, T)>,
) -> Vec<T> {
    let alike: Vec<(&str, T)> = candidates
        .filter(|(name, _)| name.to_lowercase() == wanted.to_lowercase())
        .collect();
    let has_exact = alike.iter().any(|(name, _)| *name == wanted);
    let kept = alike
        .into_iter()
        .filter(|(name, _)| !has_exact || *name == wanted);
    kept.map(|(_, found)| found).collect()
}

impl Relation {
    /// Its columns that a name stands for, by their indexes.
    pub(super) fn find(&self, name: &str) -> Vec<usize> {
        let columns = self.columns.iter().flatten().enumerate();
        matching(
            name,
            columns.map(|(index, column)| (column.name.as_str(), index)),
        )
    }

    fn is_called(&self, parts: &[String], is_same: impl Fn(&str, &str) -> bool) -> bool {
        let start = self.full_name.len().checked_sub(parts.len());
        let Some(own) = start.and_then(|start| self.full_name.get(start..)) else {
            return false;
        };
        !parts.is_empty() && own.iter().zip(parts).all(|(own, part)| is_same(own, part))
    }
}

impl Scope {
    /// One relation with all of its columns.
    pub(super) fn of(relation: Relation) -> Self {
        let visible = match &relation.columns {
            Some(columns) => columns
                .iter()
                .enumerate()
                .map(|(index, column)| Visible {
                    name: column.name.clone(),
                    access: Access::Column(0, index),
                    has_fields: column.has_fields,
                })
                .collect(),
            None => vec![Visible {
                name: String::new(),
                access: Access::All(0),
                has_fields: false,
            }],
        };
        Self {
            relations: vec![relation],
            visible,
            ..Self::default()
        }
    }

    /// The relations of both, those of `right` last.
    pub(super) fn joined(mut self, right: Self) -> Self {
        let shift = self.relations.len();
        let shifted = right.visible.into_iter().map(|visible| Visible {
            name: visible.name,
            has_fields: visible.has_fields,
            access: match visible.access {
                Access::Column(relation, column) => Access::Column(relation + shift, column),
                Access::All(relation) => Access::All(relation + shift),
                merged => merged,
            },
        });
        self.visible.extend(shifted);
        self.relations.extend(right.relations);
        Self {
            relations: self.relations,
            visible: self.visible,
            ..Self::default()
        }
    }

    /// The same relations, of which `SELECT *` has other columns.
    pub(super) fn showing(self, visible: Vec<Visible>) -> Self {
        Self {
            relations: self.relations,
            visible,
            ..Self::default()
        }
    }

    /// Whether all columns are known.
    pub(super) fn is_known(&self) -> bool {
        self.relations
            .iter()
            .all(|relation| relation.columns.is_some())
    }

    /// Whether `SELECT *` is not simply all columns of all relations.
    pub(super) fn is_merged(&self) -> bool {
        let all: usize = self
            .relations
            .iter()
            .map(|relation| relation.columns.as_ref().map_or(1, Vec::len))
            .sum();
        let is_merged = |visible: &Visible| matches!(visible.access, Access::Merged(_));
        self.visible.len() != all || self.visible.iter().any(is_merged)
    }

    /// The visible columns that a name without a table may stand for.
    pub(super) fn find(&self, name: &str) -> Vec<&Visible> {
        let by_name = self.by_name.get_or_init(|| {
            let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
            for (index, visible) in self.visible.iter().enumerate() {
                by_name
                    .entry(visible.name.to_lowercase())
                    .or_default()
                    .push(index);
            }
            by_name
        });
        let alike = by_name.get(&name.to_lowercase()).into_iter().flatten();
        let alike = alike.filter_map(|index| self.visible.get(*index));
        matching(name, alike.map(|visible| (visible.name.as_str(), visible)))
    }

    /// The relations that are called so.
    pub(super) fn find_relations(&self, parts: &[String]) -> Vec<usize> {
        let found = |is_same: fn(&str, &str) -> bool| -> Vec<usize> {
            let relations = self.relations.iter().enumerate();
            relations
                .filter(|(_, relation)| relation.is_called(parts, is_same))
                .map(|(index, _)| index)
                .collect()
        };
        match found(|own, part| own == part) {
            none if none.is_empty() => found(|own, part| own.to_lowercase() == part.to_lowercase()),
            exact => exact,
        }
    }

    /// Whether the planner finds no two columns by this name alone.
    pub(super) fn is_unique_for_planner(&self, planner_name: &str) -> bool {
        self.count_for_planner(planner_name) <= 1
    }

    /// Whether the planner finds a column by this name alone.
    pub(super) fn has_planner_name(&self, planner_name: &str) -> bool {
        self.count_for_planner(planner_name) > 0
    }

    fn count_for_planner(&self, planner_name: &str) -> usize {
        let names = self.planner_names.get_or_init(|| {
            let mut names = HashMap::new();
            let columns = self
                .relations
                .iter()
                .flat_map(|it| it.columns.iter().flatten());
            for column in columns {
                *names.entry(column.planner_name.clone()).or_insert(0) += 1;
            }
            names
        });
        names.get(planner_name).copied().unwrap_or(0)
    }

    /// A relation's column, as the planner is to read it.
    pub(super) fn column(&self, relation: usize, column: usize, at: Option<&Ident>) -> Expr {
        let relation = self.relations.get(relation);
        let columns = relation.and_then(|relation| relation.columns.as_ref());
        let name = columns.and_then(|columns| columns.get(column));
        let name = name.map_or_else(String::new, |column| column.planner_name.clone());
        let reference = relation.map_or(&[][..], |relation| &relation.reference);
        let mut parts = reference.to_vec();
        parts.push(exact(&name, at));
        match parts.len() {
            1 => Expr::Identifier(exact(&name, at)),
            _ => {
                if let (Some(first), Some(at)) = (parts.first_mut(), at) {
                    first.span = at.span;
                }
                Expr::CompoundIdentifier(parts)
            }
        }
    }

    /// What a visible column is read as.
    pub(super) fn read(&self, visible: &Visible, at: Option<&Ident>) -> Option<Expr> {
        match &visible.access {
            Access::Column(relation, column) => Some(self.column(*relation, *column, at)),
            Access::Merged(expression) => Some(expression.as_ref().clone()),
            Access::All(_) => None,
        }
    }

    /// What the planner calls a column.
    pub(super) fn planner_name(&self, relation: usize, column: usize) -> Option<&str> {
        let columns = self.relations.get(relation)?.columns.as_ref()?;
        columns
            .get(column)
            .map(|column| column.planner_name.as_str())
    }
}
