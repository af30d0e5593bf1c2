//! Databases.

use super::access::new_owner;
use super::clauses::{comment, if_exists, if_not_exists, properties, unsupported};
use crate::statement::{CreateDatabase, Cursor, DatabaseChange, Statement};
use skep_protocol::QueryError;

/// Whether DATABASE or SCHEMA comes next; reads it.
pub(super) fn accept_word(cursor: &mut Cursor) -> bool {
    cursor.accept(&["database"]) || cursor.accept(&["schema"])
}

/// Reads what follows `CREATE DATABASE`.
pub(super) fn create_database(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let if_not_exists = if_not_exists(cursor);
    let mut create = CreateDatabase {
        name: cursor.name("a database's name")?,
        if_not_exists,
        ..CreateDatabase::default()
    };
    loop {
        if let Some(text) = comment(cursor)? {
            create.comment = Some(text);
        } else if cursor.accept(&["location"]) {
            create.location = Some(cursor.string("a location in quotes")?);
        } else if cursor.accept(&["managedlocation"]) {
            return Err(unsupported("MANAGEDLOCATION"));
        } else if cursor.accept(&["with", "dbproperties"]) {
            create.properties.extend(properties(cursor)?);
        } else {
            return Ok(Statement::CreateDatabase(create));
        }
    }
}

/// Reads what follows `ALTER DATABASE`.
pub(super) fn alter_database(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let name = cursor.name("a database's name")?;
    let change = if cursor.accept(&["set", "dbproperties"]) {
        DatabaseChange::SetProperties(properties(cursor)?)
    } else if let Some(owner) = new_owner(cursor)? {
        DatabaseChange::SetOwner(owner)
    } else if cursor.accept(&["set", "location"]) {
        DatabaseChange::SetLocation(cursor.string("a location in quotes")?)
    } else if cursor.is_next(&["set", "managedlocation"]) {
        return Err(unsupported("SET MANAGEDLOCATION"));
    } else {
        return Err(cursor.unexpected("SET DBPROPERTIES, SET OWNER or SET LOCATION"));
    };
    Ok(Statement::AlterDatabase { name, change })
}

/// Reads what follows `DROP DATABASE`.
pub(super) fn drop_database(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let if_exists = if_exists(cursor);
    let name = cursor.name("a database's name")?;
    let cascade = cursor.accept(&["cascade"]);
    if !cascade {
        cursor.accept(&["restrict"]);
    }
    Ok(Statement::DropDatabase {
        name,
        if_exists,
        cascade,
    })
}
