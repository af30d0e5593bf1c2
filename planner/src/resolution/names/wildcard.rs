//! `SELECT *` and `t.*`, with what may follow: EXCLUDE, EXCEPT, REPLACE, RENAME.

use super::scope::{Access, Chain, Column, Scope, exact, matching, normalised, normalised_parts};
use super::select::{Item, Output, output, reference_of, with_alias};
use super::{Names, error_at};
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, IdentWithAlias, ObjectName, RenameSelectItem, SelectItem,
    SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};
use skep_protocol::{ErrorCode, QueryError};

/// A column of a wildcard as an item of its own; without an output, the columns of a relation that are not
/// known.
pub(super) struct Expanded {
    pub(super) item: SelectItem,
    pub(super) output: Option<Output>,
}

impl Names<'_> {
    pub(super) fn wildcard(
        &mut self,
        options: WildcardAdditionalOptions,
        scope: &Scope,
        chain: &Chain,
    ) -> Result<Item, QueryError> {
        if !scope.is_known() && !scope.is_merged() && options.opt_rename.is_none() {
            return Ok(Item::Unknown(SelectItem::Wildcard(options)));
        }
        let mut columns = Vec::new();
        for visible in &scope.visible {
            columns.push(match (&visible.access, scope.read(visible, None)) {
                (Access::Column(relation, column), Some(read)) => {
                    let planner_name = scope.planner_name(*relation, *column);
                    let column = Column {
                        name: visible.name.clone(),
                        planner_name: planner_name.unwrap_or(&visible.name).to_owned(),
                        has_fields: visible.has_fields,
                    };
                    plain(column, reference_of(scope, *relation), read)
                }
                (Access::All(relation), _) => Expanded {
                    item: all_of(scope, *relation)?,
                    output: None,
                },
                (_, Some(read)) => Expanded {
                    output: Some(output(Column::named(&visible.name), None, &read)),
                    item: with_alias(read, &visible.name),
                },
                (_, None) => continue,
            });
        }
        let is_needed = scope.is_merged() || options.opt_rename.is_some();
        let original = SelectItem::Wildcard(options.clone());
        self.changed(original, columns, options, is_needed, chain)
    }

    pub(super) fn qualified_wildcard(
        &mut self,
        kind: SelectItemQualifiedWildcardKind,
        options: WildcardAdditionalOptions,
        scope: &Scope,
        chain: &Chain,
    ) -> Result<Item, QueryError> {
        let original = SelectItem::QualifiedWildcard(kind.clone(), options.clone());
        let SelectItemQualifiedWildcardKind::ObjectName(name) = &kind else {
            return Ok(Item::Unknown(original));
        };
        let parts = normalised_parts(name);
        let [relation] = scope.find_relations(&parts)[..] else {
            return Ok(Item::Unknown(original));
        };
        let Some(found) = scope.relations.get(relation) else {
            return Ok(Item::Unknown(original));
        };
        let Some(known) = &found.columns else {
            return Ok(Item::Unknown(original));
        };
        let columns = known.iter().enumerate().map(|(index, column)| {
            let read = scope.column(relation, index, None);
            plain(column.clone(), reference_of(scope, relation), read)
        });
        let columns = columns.collect();
        let is_called_so = found.full_name.ends_with(&parts);
        let is_needed = !is_called_so || !found.keeps_name() || options.opt_rename.is_some();
        self.changed(original, columns, options, is_needed, chain)
    }

    /// The columns after EXCLUDE, REPLACE and RENAME.
    fn changed(
        &mut self,
        original: SelectItem,
        mut columns: Vec<Expanded>,
        options: WildcardAdditionalOptions,
        mut is_needed: bool,
        chain: &Chain,
    ) -> Result<Item, QueryError> {
        let is_renamed = |expanded: &Expanded| {
            let output = expanded.output.as_ref();
            output.is_some_and(|output| output.column.name != output.column.planner_name)
        };
        is_needed |= columns.iter().any(is_renamed);
        if options.opt_ilike.is_some() {
            let text = "ILIKE behind a wildcard";
            return Err(skep_sql::statement::unsupported(text));
        }
        for ident in excluded(&options) {
            let index = position(&columns, &ident, "EXCLUDE")?;
            columns.remove(index);
            is_needed = true;
        }
        if let Some(replace) = &options.opt_replace {
            for element in &replace.items {
                let index = position(&columns, &element.column_name, "REPLACE")?;
                let mut expression = element.expr.clone();
                self.expressions(&mut expression, Some(chain), &[], false)?;
                if let Some(changed) = columns.get_mut(index) {
                    let name = name_of(changed).to_owned();
                    *changed = named(expression, &name);
                    is_needed = true;
                }
            }
        }
        for IdentWithAlias { ident, alias } in renamed(&options) {
            let index = position(&columns, &ident, "RENAME")?;
            if let Some(changed) = columns.get_mut(index)
                && let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } =
                    &changed.item
            {
                *changed = named(expr.clone(), &normalised(&alias));
            }
        }
        Ok(Item::Wildcard(original, columns, is_needed))
    }
}

fn plain(column: Column, table: Option<String>, read: Expr) -> Expanded {
    Expanded {
        output: Some(output(column, table, &read)),
        item: SelectItem::UnnamedExpr(read),
    }
}

fn named(expression: Expr, name: &str) -> Expanded {
    Expanded {
        output: Some(output(Column::named(name), None, &expression)),
        item: with_alias(expression, name),
    }
}

/// All columns of a relation whose columns are not known.
fn all_of(scope: &Scope, relation: usize) -> Result<SelectItem, QueryError> {
    let reference = scope.relations.get(relation).map(|it| it.reference.clone());
    match reference {
        Some(reference) if !reference.is_empty() => Ok(SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(reference)),
            WildcardAdditionalOptions::default(),
        )),
        _ => {
            let text = "SELECT * from a table function without an alias beside such a join";
            Err(skep_sql::statement::unsupported(text))
        }
    }
}

fn name_of(column: &Expanded) -> &str {
    let output = column.output.as_ref();
    output.map_or("", |output| output.column.name.as_str())
}

fn position(columns: &[Expanded], ident: &Ident, clause: &str) -> Result<usize, QueryError> {
    let names = columns.iter().enumerate();
    let found = matching(
        &normalised(ident),
        names.map(|(index, column)| (name_of(column), index)),
    );
    let text = match found.as_slice() {
        [index] => return Ok(*index),
        [] => format!(
            "column '{}' of {clause} is not among the wildcard's columns",
            ident.value
        ),
        _ => format!(
            "column '{}' of {clause} is more than one of the wildcard's",
            ident.value
        ),
    };
    Err(error_at(ErrorCode::ColumnNotFound, text, ident))
}

fn excluded(options: &WildcardAdditionalOptions) -> Vec<Ident> {
    let mut idents = Vec::new();
    if let Some(except) = &options.opt_except {
        idents.push(except.first_element.clone());
        idents.extend(except.additional_elements.iter().cloned());
    }
    let last = |name: &ObjectName| {
        let part = name.0.last().and_then(|part| part.as_ident());
        part.cloned()
            .unwrap_or_else(|| exact(&name.to_string(), None))
    };
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => idents.push(last(name)),
        Some(ExcludeSelectItem::Multiple(names)) => idents.extend(names.iter().map(last)),
        None => {}
    }
    idents
}

fn renamed(options: &WildcardAdditionalOptions) -> Vec<IdentWithAlias> {
    match &options.opt_rename {
        Some(RenameSelectItem::Single(one)) => vec![one.clone()],
        Some(RenameSelectItem::Multiple(many)) => many.clone(),
        None => Vec::new(),
    }
}
