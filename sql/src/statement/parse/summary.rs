//! `SUMMARIZE table` and `SUMMARIZE query`: a query from a relation that the planner of relations knows by its
//! alias (`planner/src/resolution/relations/summary.rs`).

use super::query::source_query_behind;
use crate::statement::{Cursor, Statement};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::QueryError;

/// The alias of what is to be summarised. Nobody else writes it.
pub const SUMMARY_ALIAS: &str = "skep:summary";

/// Reads what follows `SUMMARIZE`.
pub(super) fn summarize(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let mut ahead = cursor.clone();
    while ahead.accept_token(&Token::LParen) {}
    let is_query = ["select", "with", "values", "from"]
        .iter()
        .any(|word| ahead.is_next(&[word]));
    let mut tokens = match is_query {
        true => cursor.rest(),
        false => {
            let mut name = cursor.clone();
            name.table_name()?;
            name.end()?;
            super::query::tokens_of("SELECT * FROM")?
        }
    };
    if !is_query {
        tokens.extend(cursor.rest());
    }
    let mut inner = Cursor::new(tokens, "");
    let query = source_query_behind("SELECT * FROM (", &mut closed(&mut inner)?)?;
    cursor.skip_rest();
    Ok(Statement::Query(query.statement))
}

/// The tokens with the parenthesis that ends what is summarised, and its alias.
fn closed(cursor: &mut Cursor) -> Result<Cursor, QueryError> {
    let mut tokens = cursor.rest();
    tokens.extend(super::query::tokens_of(&format!(
        ") AS \"{SUMMARY_ALIAS}\""
    ))?);
    Ok(Cursor::new(tokens, ""))
}
