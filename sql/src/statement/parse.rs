//! Text to [`Statement`].

mod access;
mod aggregates;
mod alter;
mod analyze;
mod balance;
mod blank;
mod calls;
mod clauses;
mod copy;
mod database;
mod explain;
mod fetch;
mod functions;
mod generators;
mod grouping_ids;
mod insert;
mod interval_units;
mod joins;
mod json;
mod lambdas;
mod named_windows;
mod nested_types;
mod numbers;
mod ordered_windows;
mod ordinality;
mod patterns;
mod query;
mod recursion;
mod refused;
mod rewrite;
mod rows_equal;
mod rows_in;
mod show;
mod sliding_windows;
mod summary;
mod table;
mod times;
mod tokenize;
mod tokens;
mod types;
mod unplanned;
mod view;
mod word_order;

pub use blank::{query_of, select_all};
pub use calls::call;
pub use nested_types::named_type;
pub use numbers::as_written;
pub use summary::SUMMARY_ALIAS;
pub use types::type_of_text;

/// The error of a clause that is known and not supported.
pub fn unsupported(what: &str) -> QueryError {
    QueryError::new(ErrorCode::Unsupported, format!("{what} is not supported"))
}

use super::cursor::{Cursor, position};
use super::{Dialect, Repair, Statement, size};
use clauses::if_exists;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use skep_protocol::{ErrorCode, QueryError};
use table::CreatePrefix;

/// How a statement is read.
#[derive(Clone, Copy, Debug)]
pub struct ParseOptions {
    /// How long it may be.
    pub bytes_max: usize,
    /// What is meant where standard SQL and Hive disagree.
    pub dialect: Dialect,
}

/// Reads one statement; semicolons may follow it.
///
/// # Errors
/// `Syntax` with its place, `Unsupported` naming the statement, `StatementTooLarge`.
pub fn parse(sql: &str, options: ParseOptions) -> Result<Statement, QueryError> {
    if sql.len() > options.bytes_max {
        let text = format!(
            "the statement has {} bytes, {} are allowed",
            sql.len(),
            options.bytes_max
        );
        return Err(QueryError::new(ErrorCode::StatementTooLarge, text));
    }
    let mut cursor = Cursor::new(tokenize(sql, options.dialect)?, sql);
    if cursor.is_at_end() {
        return Err(QueryError::new(ErrorCode::Syntax, "the statement is empty"));
    }
    if let Some(name) = refused::refused(&cursor) {
        return Err(unsupported(name));
    }
    if let Some(statement) = parse_own(&mut cursor)? {
        cursor.end()?;
        return Ok(statement);
    }
    let statement = query::parse_datafusion(cursor.rest())?;
    query::check_is_query(&statement)?;
    Ok(Statement::Query(Box::new(statement)))
}

pub(super) fn tokenize(sql: &str, dialect: Dialect) -> Result<Vec<TokenWithSpan>, QueryError> {
    let tokens = dialect.parser_tokens(sql).map_err(|error| {
        QueryError::new(ErrorCode::Syntax, query::lower_first(&error.message))
            .at(position(error.location))
    })?;
    let mut tokens: Vec<TokenWithSpan> = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .collect();
    while tokens
        .last()
        .is_some_and(|token| token.token == Token::SemiColon)
    {
        tokens.pop();
    }
    size::check(&tokens)?;
    super::placeholders::number(&mut tokens)?;
    Ok(tokens)
}

/// Statements that DataFusion does not have, or reads in a way that loses parts of them.
fn parse_own(cursor: &mut Cursor) -> Result<Option<Statement>, QueryError> {
    if cursor.accept(&["explain"]) {
        return explain::explain(cursor).map(Some);
    }
    if cursor.accept(&["show"]) {
        return show::show(cursor).map(|show| Some(Statement::Show(show)));
    }
    if cursor.accept(&["describe"]) || cursor.accept(&["desc"]) {
        return show::describe(cursor).map(|show| Some(Statement::Show(show)));
    }
    if cursor.accept(&["summarize"]) {
        return summary::summarize(cursor).map(Some);
    }
    if let Some(statement) = super::users::parse(cursor)? {
        return Ok(Some(statement));
    }
    if let Some(statement) = access::parse(cursor)? {
        return Ok(Some(statement));
    }
    if cursor.accept(&["create"]) {
        return create(cursor).map(Some);
    }
    if cursor.accept(&["alter"]) {
        return alter(cursor).map(Some);
    }
    if cursor.accept(&["drop"]) {
        return drop(cursor).map(Some);
    }
    if cursor.accept(&["insert"]) {
        return insert::insert(cursor).map(Some);
    }
    if let Some(insert) = insert::multi_insert(cursor)? {
        return Ok(Some(insert));
    }
    if cursor.accept(&["copy"]) {
        return copy::copy(cursor).map(Some);
    }
    if cursor.accept(&["load", "data"]) {
        return insert::load_data(cursor).map(Some);
    }
    if cursor.accept(&["truncate"]) {
        cursor.accept(&["table"]);
        let name = cursor.table_name()?;
        let partition = clauses::partition(cursor)?;
        return Ok(Some(Statement::Truncate { name, partition }));
    }
    if let Some(statement) = upkeep(cursor)? {
        return Ok(Some(statement));
    }
    session(cursor)
}

fn create(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    if database::accept_word(cursor) {
        return database::create_database(cursor);
    }
    let or_replace = cursor.accept(&["or", "replace"]);
    let mut prefix = CreatePrefix::default();
    loop {
        if cursor.accept(&["external"]) {
            prefix.external = true;
        } else if cursor.accept(&["temporary"]) || cursor.accept(&["temp"]) {
            prefix.temporary = true;
        } else {
            break;
        }
    }
    if !prefix.external && cursor.accept(&["view"]) {
        return view::create_view(cursor, or_replace, prefix.temporary);
    }
    if or_replace {
        return Err(cursor.unexpected("VIEW"));
    }
    match cursor.accept(&["table"]) {
        true => table::create_table(cursor, prefix),
        false => Err(cursor.unexpected("TABLE, VIEW or DATABASE")),
    }
}

fn alter(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    if database::accept_word(cursor) {
        return database::alter_database(cursor);
    }
    if cursor.accept(&["view"]) {
        return view::alter_view(cursor);
    }
    if cursor.accept(&["executor"]) {
        let id = cursor.string("the id of an executor in quotes")?;
        cursor.expect(&["drain"])?;
        return Ok(Statement::DrainExecutor(id));
    }
    match cursor.accept(&["table"]) {
        true => alter::alter_table(cursor),
        false => Err(cursor.unexpected("TABLE, VIEW, DATABASE or EXECUTOR")),
    }
}

fn drop(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    if database::accept_word(cursor) {
        return database::drop_database(cursor);
    }
    let is_view = cursor.accept(&["view"]);
    if !is_view && !cursor.accept(&["table"]) {
        return Err(cursor.unexpected("TABLE, VIEW or DATABASE"));
    }
    let if_exists = if_exists(cursor);
    let name = cursor.table_name()?;
    if is_view {
        return Ok(Statement::DropView { name, if_exists });
    }
    // There is no place where dropped tables are kept, so PURGE changes nothing.
    cursor.accept(&["purge"]);
    Ok(Statement::DropTable { name, if_exists })
}

/// Statements about tables' files.
fn upkeep(cursor: &mut Cursor) -> Result<Option<Statement>, QueryError> {
    if cursor.accept(&["analyze", "table"]) {
        return Ok(Some(Statement::Analyze(analyze::analyze(cursor)?)));
    }
    if cursor.accept(&["refresh", "table"]) {
        return Ok(Some(Statement::RefreshTable(cursor.table_name()?)));
    }
    if cursor.accept(&["msck"]) || cursor.is_next(&["repair", "table"]) {
        cursor.accept(&["repair"]);
        cursor.expect(&["table"])?;
        let name = cursor.table_name()?;
        let repair = if cursor.accept(&["drop", "partitions"]) {
            Repair::Drop
        } else if cursor.accept(&["sync", "partitions"]) {
            Repair::Sync
        } else {
            cursor.accept(&["add", "partitions"]);
            Repair::Add
        };
        return Ok(Some(Statement::RepairTable { name, repair }));
    }
    if cursor.accept(&["vacuum"]) {
        let is_named = !cursor.is_at_end() && !cursor.is_next(&["dry", "run"]);
        let name = match is_named {
            true => Some(cursor.table_name()?),
            false => None,
        };
        let dry_run = cursor.accept(&["dry", "run"]);
        return Ok(Some(Statement::Vacuum { name, dry_run }));
    }
    Ok(None)
}

/// Statements about the session.
fn session(cursor: &mut Cursor) -> Result<Option<Statement>, QueryError> {
    if cursor.accept(&["use"]) {
        database::accept_word(cursor);
        return Ok(Some(Statement::Use(cursor.name("a database's name")?)));
    }
    if cursor.accept(&["kill"]) {
        cursor.expect(&["query"])?;
        let id = cursor.string("the id of a query in quotes")?;
        return Ok(Some(Statement::KillQuery(id)));
    }
    if cursor.accept(&["set"]) {
        return set(cursor).map(Some);
    }
    if cursor.accept(&["reset"]) {
        let name = match cursor.accept(&["all"]) || cursor.is_at_end() {
            true => None,
            false => Some(cursor.setting_name()?),
        };
        return Ok(Some(Statement::Reset(name)));
    }
    Ok(None)
}

/// `SET name = value`; without a value, Hive shows the setting, and without a name all of them.
fn set(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    if cursor.is_at_end() {
        return Ok(Statement::Show(super::Show::Setting(None)));
    }
    if cursor.accept_token(&Token::Minus) {
        cursor.expect(&["v"])?;
        return Ok(Statement::Show(super::Show::Setting(None)));
    }
    if ["hivevar", "hiveconf", "system", "env", "define"]
        .iter()
        .any(|word| cursor.is_next(&[word]))
    {
        return Err(unsupported(
            "setting a variable of the server; the shell has variables: --hivevar name=value",
        ));
    }
    let name = cursor.setting_name()?;
    if cursor.is_at_end() {
        return Ok(Statement::Show(super::Show::Setting(Some(name))));
    }
    if !cursor.accept_token(&Token::Eq) && !cursor.accept(&["to"]) {
        return Err(cursor.unexpected("'=' or TO"));
    }
    let value = cursor.setting_value()?;
    Ok(Statement::Set { name, value })
}

#[cfg(test)]
mod tests;
