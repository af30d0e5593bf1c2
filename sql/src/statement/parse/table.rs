//! `CREATE TABLE` in all its forms.

use super::clauses::{comment, if_not_exists, properties, storage, unsupported};
use super::query::source_query;
use super::types::parse_type;
use crate::statement::{Buckets, ColumnDefinition, CreateTable, Cursor, Statement, StorageClauses};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::BTreeMap;

/// What stands between CREATE and TABLE.
#[derive(Clone, Copy, Default)]
pub(super) struct CreatePrefix {
    pub(super) external: bool,
    pub(super) temporary: bool,
}

/// Reads what follows `CREATE [EXTERNAL] [TEMPORARY] TABLE`.
pub(super) fn create_table(
    cursor: &mut Cursor,
    prefix: CreatePrefix,
) -> Result<Statement, QueryError> {
    let if_not_exists = if_not_exists(cursor);
    let mut table = CreateTable {
        name: cursor.table_name()?,
        if_not_exists,
        external: prefix.external,
        temporary: prefix.temporary,
        columns: Vec::new(),
        partition_columns: Vec::new(),
        buckets: None,
        comment: None,
        storage: StorageClauses::default(),
        location: None,
        properties: BTreeMap::new(),
        like: None,
        source: None,
    };
    if cursor.accept(&["like"]) {
        table.like = Some(cursor.table_name()?);
    } else if cursor.peek() == Some(&Token::LParen) && !starts_query(cursor) {
        table.columns = cursor
            .parenthesised(column_or_constraint)?
            .into_iter()
            .flatten()
            .collect();
    }
    while clause(cursor, &mut table)? {}
    let has_as = cursor.accept(&["as"]);
    if has_as || starts_query(cursor) {
        table.source = Some(source_query(cursor)?);
    }
    if table.source.is_some() && !table.columns.is_empty() {
        let text = "the columns of CREATE TABLE … AS come from its query; leave their list out";
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    Ok(Statement::CreateTable(Box::new(table)))
}

fn starts_query(cursor: &Cursor) -> bool {
    let mut inner = cursor.clone();
    while inner.accept_token(&Token::LParen) {}
    ["select", "with", "values", "from"]
        .iter()
        .any(|word| inner.is_next(&[word]))
}

/// Reads one of the clauses behind the columns, in whatever order.
fn clause(cursor: &mut Cursor, table: &mut CreateTable) -> Result<bool, QueryError> {
    if let Some(text) = comment(cursor)? {
        table.comment = Some(text);
    } else if cursor.accept(&["partitioned", "by"]) {
        if cursor.accept(&["spec"]) {
            return Err(unsupported("PARTITIONED BY SPEC"));
        }
        table.partition_columns = cursor.parenthesised(partition_column)?;
    } else if cursor.accept(&["clustered", "by"]) {
        table.buckets = Some(buckets(cursor)?);
    } else if cursor.accept(&["location"]) {
        table.location = Some(cursor.string("a location in quotes")?);
    } else if cursor.accept(&["tblproperties"]) {
        table.properties.extend(properties(cursor)?);
    } else if cursor.accept(&["skewed", "by"]) {
        return Err(unsupported("SKEWED BY"));
    } else {
        return storage(cursor, &mut table.storage);
    }
    Ok(true)
}

fn buckets(cursor: &mut Cursor) -> Result<Buckets, QueryError> {
    let columns = cursor.parenthesised(|cursor| cursor.name("a column"))?;
    let sorted_by = match cursor.accept(&["sorted", "by"]) {
        true => cursor.parenthesised(|cursor| {
            let name = cursor.name("a column")?;
            let descending = cursor.accept(&["desc"]);
            if !descending {
                cursor.accept(&["asc"]);
            }
            Ok((name, descending))
        })?,
        false => Vec::new(),
    };
    cursor.expect(&["into"])?;
    let at = cursor.unexpected("").position;
    let count = cursor.number("a number of buckets")?;
    cursor.expect(&["buckets"])?;
    if count == 0 {
        let text = "a table has at least one bucket";
        return Err(QueryError::new(ErrorCode::Semantic, text).at(at));
    }
    Ok(Buckets {
        columns,
        sorted_by,
        count,
    })
}

/// A column, or `None` for nothing at all; constraints are refused by name.
fn column_or_constraint(cursor: &mut Cursor) -> Result<Option<ColumnDefinition>, QueryError> {
    for (words, name) in [
        (&["primary", "key"][..], "PRIMARY KEY"),
        (&["foreign", "key"], "FOREIGN KEY"),
        (&["unique"], "UNIQUE"),
        (&["constraint"], "CONSTRAINT"),
        (&["check"], "CHECK"),
    ] {
        let mut ahead = cursor.clone();
        let is_name_with_type =
            words.len() == 1 && ahead.accept(words) && matches!(ahead.peek(), Some(Token::Word(_)));
        if cursor.is_next(words) && (!is_name_with_type || name == "CONSTRAINT") {
            return Err(unsupported(name));
        }
    }
    column(cursor).map(Some)
}

/// Reads a column with its type.
pub(super) fn column(cursor: &mut Cursor) -> Result<ColumnDefinition, QueryError> {
    let name = cursor.name("a column's name")?;
    // Spark writes `name: type` in places.
    cursor.accept_token(&Token::Colon);
    let sql_type = Some(parse_type(cursor)?);
    let mut column = ColumnDefinition {
        name,
        sql_type,
        nullable: true,
        comment: None,
    };
    loop {
        if let Some(text) = comment(cursor)? {
            column.comment = Some(text);
        } else if cursor.accept(&["not", "null"]) {
            column.nullable = false;
            for word in ["enable", "disable", "novalidate", "rely", "norely"] {
                if cursor.is_next(&[word]) {
                    return Err(unsupported(&format!("NOT NULL {}", word.to_uppercase())));
                }
            }
        } else if cursor.accept(&["null"]) {
            column.nullable = true;
        } else if cursor.accept(&["primary", "key"]) {
            return Err(unsupported("PRIMARY KEY"));
        } else if cursor.accept(&["default"]) {
            return Err(unsupported("DEFAULT"));
        } else if cursor.accept(&["unique"]) {
            return Err(unsupported("UNIQUE"));
        } else if cursor.accept(&["check"]) {
            return Err(unsupported("CHECK"));
        } else if cursor.accept(&["references"]) {
            return Err(unsupported("REFERENCES"));
        } else if cursor.accept(&["generated"]) {
            return Err(unsupported("GENERATED"));
        } else {
            return Ok(column);
        }
    }
}

/// Reads a partition column; without a type, it is one of the table's columns, or is found out.
fn partition_column(cursor: &mut Cursor) -> Result<ColumnDefinition, QueryError> {
    let mut ahead = cursor.clone();
    let name = ahead.name("a partition column's name")?;
    match ahead.peek() {
        Some(Token::Comma | Token::RParen) | None => {
            *cursor = ahead;
            Ok(ColumnDefinition {
                name,
                sql_type: None,
                nullable: true,
                comment: None,
            })
        }
        Some(Token::LParen) => Err(unsupported("PARTITIONED BY a function of a column")),
        _ => column(cursor),
    }
}
