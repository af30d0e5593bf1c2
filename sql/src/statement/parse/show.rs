//! `SHOW` and `DESCRIBE`.

use super::access;
use super::clauses::{in_database, partition, property_key, table_in, unsupported};
use super::database::accept_word;
use super::query::source_query_behind;
use crate::statement::{Cursor, Show, TableName};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::QueryError;

/// Reads what follows `SHOW`.
pub(super) fn show(cursor: &mut Cursor) -> Result<Show, QueryError> {
    if cursor.accept(&["databases"]) || cursor.accept(&["schemas"]) {
        return Ok(Show::Databases(like(cursor)?));
    }
    if cursor.accept(&["tables"]) {
        let database = in_database(cursor)?;
        let like = like(cursor)?;
        return Ok(Show::Tables { database, like });
    }
    if cursor.accept(&["views"]) {
        let database = in_database(cursor)?;
        let like = like(cursor)?;
        return Ok(Show::Views { database, like });
    }
    if cursor.accept(&["functions"]) {
        return Ok(Show::Functions(like(cursor)?));
    }
    if cursor.accept(&["columns"]) {
        if !cursor.accept(&["in"]) && !cursor.accept(&["from"]) {
            return Err(cursor.unexpected("IN or FROM"));
        }
        let table = table_in(cursor)?;
        let like = like(cursor)?;
        return Ok(Show::ColumnNames { table, like });
    }
    if let Some(shown) = access::show(cursor)? {
        return Ok(Show::Access(shown));
    }
    if cursor.accept(&["partitions"]) {
        return partitions(cursor);
    }
    if cursor.accept(&["create"]) {
        return show_create(cursor);
    }
    if cursor.accept(&["tblproperties"]) {
        return table_properties(cursor);
    }
    if cursor.accept(&["stats"]) {
        cursor.expect(&["for"])?;
        return Ok(Show::Statistics(cursor.table_name()?));
    }
    if cursor.accept(&["profile"]) {
        let id = cursor.string("the id of a query in quotes")?;
        return Ok(Show::Profile(id));
    }
    let of_server = [
        ("executors", Show::Executors),
        ("queries", Show::Queries),
        ("users", Show::Users),
        ("all", Show::Setting(None)),
    ];
    for (word, shown) in of_server {
        if cursor.accept(&[word]) {
            return Ok(shown);
        }
    }
    if let Some(name) = refused(cursor) {
        return Err(unsupported(name));
    }
    setting(cursor)
}

fn setting(cursor: &mut Cursor) -> Result<Show, QueryError> {
    cursor.accept(&["conf"]);
    match cursor.string("a setting") {
        Ok(name) => Ok(Show::Setting(Some(name))),
        Err(_) => Ok(Show::Setting(Some(cursor.setting_name()?))),
    }
}

fn table_properties(cursor: &mut Cursor) -> Result<Show, QueryError> {
    let table = cursor.table_name()?;
    let key = match cursor.accept_token(&Token::LParen) {
        true => {
            let key = property_key(cursor)?;
            cursor.expect_token(&Token::RParen)?;
            Some(key)
        }
        false => None,
    };
    Ok(Show::TableProperties { table, key })
}

fn partitions(cursor: &mut Cursor) -> Result<Show, QueryError> {
    let table = cursor.table_name()?;
    let partition = partition(cursor)?;
    let is_chosen = ["where", "order", "limit"]
        .iter()
        .any(|word| cursor.is_next(&[word]));
    let chosen = match is_chosen {
        true => Some(source_query_behind(PARTITIONS_QUERY, cursor)?),
        false => None,
    };
    Ok(Show::Partitions {
        table,
        partition,
        chosen,
    })
}

/// What `SHOW PARTITIONS` is where it has a `WHERE`, an `ORDER BY` or a `LIMIT`: the places of the
/// partitions that are shown, from a table that has their values in columns.
const PARTITIONS_QUERY: &str = "SELECT __place FROM partitions";

fn refused(cursor: &Cursor) -> Option<&'static str> {
    [
        (&["materialized", "views"][..], "SHOW MATERIALIZED VIEWS"),
        (&["table", "extended"], "SHOW TABLE EXTENDED"),
        (&["indexes"], "SHOW INDEXES"),
        (&["index"], "SHOW INDEX"),
        (&["locks"], "SHOW LOCKS"),
        (&["transactions"], "SHOW TRANSACTIONS"),
        (&["compactions"], "SHOW COMPACTIONS"),
    ]
    .into_iter()
    .find(|(words, _)| cursor.is_next(words))
    .map(|(_, name)| name)
}

fn show_create(cursor: &mut Cursor) -> Result<Show, QueryError> {
    if accept_word(cursor) {
        return Ok(Show::CreateDatabase(cursor.name("a database's name")?));
    }
    if !cursor.accept(&["table"]) && !cursor.accept(&["view"]) {
        return Err(cursor.unexpected("TABLE, VIEW or DATABASE"));
    }
    Ok(Show::CreateTable(cursor.table_name()?))
}

/// Reads `LIKE 'pattern'` or `'pattern'` where one comes next.
fn like(cursor: &mut Cursor) -> Result<Option<String>, QueryError> {
    let pattern = "a pattern in quotes";
    if cursor.accept(&["like"]) {
        return cursor.string(pattern).map(Some);
    }
    match cursor.peek() {
        Some(Token::SingleQuotedString(_)) => cursor.string(pattern).map(Some),
        _ => Ok(None),
    }
}

/// Reads what follows `DESCRIBE`.
pub(super) fn describe(cursor: &mut Cursor) -> Result<Show, QueryError> {
    if cursor.is_next(&["query"]) {
        let mut query = cursor.clone();
        query.accept(&["query"]);
        if let Ok(id) = query.string("the id of a query in quotes") {
            *cursor = query;
            return Ok(Show::Query(id));
        }
        if ["select", "with", "values", "from"]
            .iter()
            .any(|word| query.is_next(&[word]))
        {
            let sql = query.rest_text().to_owned();
            cursor.skip_rest();
            return Ok(Show::QueryColumns(sql));
        }
    }
    if cursor.peek() == Some(&Token::LParen)
        || cursor.is_next(&["select"])
        || cursor.is_next(&["with"])
    {
        let sql = cursor.rest_text().to_owned();
        cursor.skip_rest();
        return Ok(Show::QueryColumns(sql));
    }
    if let Some(Token::SingleQuotedString(_)) = cursor.peek() {
        let sql = format!("SELECT * FROM {}", cursor.rest_text());
        cursor.skip_rest();
        return Ok(Show::QueryColumns(sql));
    }
    // A table may have the name of any of these words.
    let names_something = |cursor: &Cursor| matches!(cursor.peek(), Some(Token::Word(_)));
    let mut ahead = cursor.clone();
    if accept_word(&mut ahead) && names_something(&ahead) {
        let extended = ahead.is_next(&["extended"]) && {
            let mut name = ahead.clone();
            name.accept(&["extended"]);
            names_something(&name)
        };
        if extended {
            ahead.accept(&["extended"]);
        }
        let name = ahead.name("a database's name")?;
        *cursor = ahead;
        return Ok(Show::Database { name, extended });
    }
    let mut ahead = cursor.clone();
    if ahead.accept(&["function"]) && names_something(&ahead) {
        ahead.accept(&["extended"]);
        let name = ahead.name("a function's name")?;
        *cursor = ahead;
        return Ok(Show::Function(name));
    }
    let mut ahead = cursor.clone();
    if ahead.accept(&["table"]) && names_something(&ahead) {
        *cursor = ahead;
    }
    let mut ahead = cursor.clone();
    let is_detailed =
        (ahead.accept(&["extended"]) || ahead.accept(&["formatted"])) && names_something(&ahead);
    if is_detailed {
        *cursor = ahead;
    }
    describe_table(cursor, is_detailed)
}

fn describe_table(cursor: &mut Cursor, is_detailed: bool) -> Result<Show, QueryError> {
    let table = cursor.table_name()?;
    if cursor.accept_token(&Token::Period) {
        let column = cursor.name("a column")?;
        return Ok(Show::Column { table, column });
    }
    let partition = partition(cursor)?;
    if !partition.is_empty() || (is_detailed && cursor.is_at_end()) {
        return Ok(Show::Details { table, partition });
    }
    if cursor.is_at_end() {
        return Ok(Show::Columns(table));
    }
    column_of(cursor, table)
}

fn column_of(cursor: &mut Cursor, table: TableName) -> Result<Show, QueryError> {
    let column = cursor.name("a column")?;
    Ok(Show::Column { table, column })
}
