//! Files that a query names itself: `FROM '/data/x.parquet'`, `FROM read_csv('…', header => true)`.
//!
//! Before a statement is planned, the files are looked for and each such relation becomes a table that this one
//! statement knows, under a name that nobody can write. From then on it is like any other: partitions and files are
//! pruned, and executors read it.

mod columns;
mod locate;
mod options;
mod sample;
mod tables;

pub use columns::{FileColumns, infer_columns};
pub use options::ReadOptions;

use crate::{PlannedViews, PlanningContext};
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Spanned, Statement as SqlStatement, TableAlias, TableFactor, VisitMut,
    VisitorMut, visit_relations,
};
use options::Request;
use skep_protocol::QueryError;
use std::borrow::Cow;
use std::ops::ControlFlow;

/// The database in which such tables are. No statement may name it: it has what views read, too.
pub(crate) const LOOSE_DATABASE: &str = " files";

/// How many such relations one statement may have.
const RELATIONS_MAX: usize = 100;

/// The statement with tables in place of the files that it names. The tables are added to `planned`.
///
/// # Errors
/// Where files are not there, or cannot be read.
pub(crate) async fn plan_loose_files<'a>(
    context: &PlanningContext,
    state: &SessionState,
    statement: &'a DataFusionStatement,
    planned: &PlannedViews,
) -> Result<Cow<'a, DataFusionStatement>, QueryError> {
    let DataFusionStatement::Statement(inner) = statement else {
        return Ok(Cow::Borrowed(statement));
    };
    check_names(inner)?;
    if !names_files(inner) {
        return Ok(Cow::Borrowed(statement));
    }
    let mut inner = inner.clone();
    let mut finder = Finder {
        requests: Vec::new(),
        first: planned.loose_files(),
    };
    if let ControlFlow::Break(error) = inner.visit(&mut finder) {
        return Err(error);
    }
    for request in finder.requests {
        let position = request.position;
        let table = tables::table_of(context, state, request).await;
        planned.add_loose_files(table.map_err(|error| match error.position {
            None => error.at(position),
            Some(_) => error,
        })?);
    }
    Ok(Cow::Owned(DataFusionStatement::Statement(inner)))
}

/// Refuses names of tables that only plans may have.
fn check_names(statement: &SqlStatement) -> Result<(), QueryError> {
    let found = visit_relations(statement, |name| {
        let parts = name.0.iter().filter_map(|part| part.as_ident());
        let mut parts = parts.filter(|part| part.value.eq_ignore_ascii_case(LOOSE_DATABASE));
        match parts.next() {
            Some(part) => ControlFlow::Break(part.value.clone()),
            None => ControlFlow::Continue(()),
        }
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(name) => {
            let text = format!("database '{name}' not found");
            Err(QueryError::new(
                skep_protocol::ErrorCode::DatabaseNotFound,
                text,
            ))
        }
    }
}

/// Whether a relation may be one of files. Most statements have none, and are not copied.
fn names_files(statement: &SqlStatement) -> bool {
    let found = visit_relations(statement, |name| match sole_part(name) {
        Some(part) if is_file(part) || options::function(part).is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

fn sole_part(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
}

fn is_file(part: &Ident) -> bool {
    part.quote_style == Some('\'')
}

/// Puts names of tables in place of files.
struct Finder {
    requests: Vec<Request>,
    /// How many tables there were before.
    first: usize,
}

impl VisitorMut for Finder {
    type Break = QueryError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        match self.replace(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Finder {
    fn replace(&mut self, factor: &mut TableFactor) -> Result<(), QueryError> {
        let place = skep_sql::statement::position(factor.span().start);
        let TableFactor::Table {
            name, alias, args, ..
        } = factor
        else {
            return Ok(());
        };
        let Some(part) = sole_part(name) else {
            return Ok(());
        };
        let (request, called) = match args {
            None if is_file(part) => {
                let request = Request::of_file(&part.value, place);
                let file = part.value.trim_end_matches('/').rsplit('/').next();
                let stem = file.unwrap_or_default().split('.').next();
                (request, stem.unwrap_or_default().to_lowercase())
            }
            Some(given) => match options::function(part) {
                Some(function) => {
                    let request = Request::of_function(function, &given.args, place)?;
                    (request, part.value.to_lowercase())
                }
                None => return Ok(()),
            },
            None => return Ok(()),
        };
        let number = self.first + self.requests.len();
        if number >= RELATIONS_MAX {
            let text = format!("more than {RELATIONS_MAX} relations are of files");
            return Err(QueryError::new(
                skep_protocol::ErrorCode::StatementTooLarge,
                text,
            ));
        }
        self.requests.push(request);
        let quoted = |name: String| Ident::with_quote('"', name);
        *name = ObjectName::from(vec![
            quoted(LOOSE_DATABASE.to_owned()),
            quoted(number.to_string()),
        ]);
        *args = None;
        if alias.is_none() {
            *alias = Some(TableAlias {
                explicit: true,
                name: quoted(called),
                columns: Vec::new(),
                at: None,
            });
        }
        Ok(())
    }
}
