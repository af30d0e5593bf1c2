//! Views.

use super::access::new_owner;
use super::clauses::{comment, if_not_exists, properties, property_key};
use super::query::source_query;
use crate::statement::{
    CreateView, Cursor, SECURITY_INVOKER, SECURITY_PROPERTY, Statement, ViewChange,
};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::QueryError;
use std::collections::BTreeMap;

/// Reads what follows `CREATE [OR REPLACE] [TEMPORARY] VIEW`.
pub(super) fn create_view(
    cursor: &mut Cursor,
    or_replace: bool,
    temporary: bool,
) -> Result<Statement, QueryError> {
    let if_not_exists = if_not_exists(cursor);
    let name = cursor.table_name()?;
    let columns = match cursor.peek() {
        Some(Token::LParen) => cursor.parenthesised(|cursor| {
            let name = cursor.name("a column's name")?;
            Ok((name, comment(cursor)?))
        })?,
        _ => Vec::new(),
    };
    let mut text = None;
    let mut all_properties = BTreeMap::new();
    loop {
        if let Some(found) = comment(cursor)? {
            text = Some(found);
        } else if cursor.accept(&["tblproperties"]) {
            all_properties.extend(properties(cursor)?);
        } else if let Some(security) = security(cursor)? {
            let key = SECURITY_PROPERTY.to_owned();
            all_properties.insert(key, security.to_owned());
        } else {
            break;
        }
    }
    cursor.expect(&["as"])?;
    Ok(Statement::CreateView(Box::new(CreateView {
        name,
        or_replace,
        if_not_exists,
        must_exist: false,
        temporary,
        columns,
        comment: text,
        properties: all_properties,
        query: source_query(cursor)?,
    })))
}

/// Reads `[WITH] SECURITY INVOKER` and `[WITH] SECURITY DEFINER`: with whose rights the query runs.
fn security(cursor: &mut Cursor) -> Result<Option<&'static str>, QueryError> {
    if !cursor.accept(&["with", "security"]) && !cursor.accept(&["security"]) {
        return Ok(None);
    }
    if cursor.accept(&["invoker"]) {
        return Ok(Some(SECURITY_INVOKER));
    }
    cursor.expect(&["definer"])?;
    Ok(Some("definer"))
}

/// Reads what follows `ALTER VIEW`.
pub(super) fn alter_view(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let name = cursor.table_name()?;
    let change = if let Some(owner) = new_owner(cursor)? {
        ViewChange::SetOwner(owner)
    } else if cursor.accept(&["rename", "to"]) {
        ViewChange::Rename(cursor.table_name()?)
    } else if cursor.accept(&["set", "tblproperties"]) {
        ViewChange::SetProperties(properties(cursor)?)
    } else if cursor.accept(&["unset", "tblproperties"]) {
        cursor.accept(&["if", "exists"]);
        ViewChange::UnsetProperties(cursor.parenthesised(property_key)?)
    } else if cursor.accept(&["as"]) {
        return Ok(Statement::CreateView(Box::new(CreateView {
            name,
            or_replace: true,
            if_not_exists: false,
            must_exist: true,
            temporary: false,
            columns: Vec::new(),
            comment: None,
            properties: BTreeMap::new(),
            query: source_query(cursor)?,
        })));
    } else {
        return Err(cursor.unexpected("AS, RENAME, OWNER, SET or UNSET"));
    };
    Ok(Statement::AlterView { name, change })
}
