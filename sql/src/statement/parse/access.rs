//! `CREATE ROLE`, `GRANT`, `REVOKE`, `SET ROLE` and what `SHOW` tells of them: in the spelling of the standard and in
//! Hive's.

use super::clauses::unsupported;
use crate::statement::{
    AccessStatement, Cursor, ObjectName, PrincipalName, PrivilegeName, RoleChoice, ShowAccess,
    Statement,
};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::QueryError;

/// The privileges, by their words.
const PRIVILEGES: &[(&[&str], &str)] = &[
    (&["select"], "SELECT"),
    (&["insert"], "INSERT"),
    (&["update"], "UPDATE"),
    (&["delete"], "DELETE"),
    (&["create"], "CREATE"),
    (&["alter"], "ALTER"),
    (&["drop"], "DROP"),
    (&["manage", "users"], "MANAGE USERS"),
    (&["view", "queries"], "VIEW QUERIES"),
    (&["kill", "queries"], "KILL QUERIES"),
    (&["manage", "cluster"], "MANAGE CLUSTER"),
];

/// Reads a statement about roles and grants, where one comes next.
///
/// # Errors
/// `Syntax` where it begins like one and goes on otherwise.
pub(super) fn parse(cursor: &mut Cursor) -> Result<Option<Statement>, QueryError> {
    let statement = if cursor.accept(&["create", "role"]) {
        let if_not_exists = cursor.accept(&["if", "not", "exists"]);
        AccessStatement::CreateRole {
            name: name(cursor, ROLE)?,
            if_not_exists,
        }
    } else if cursor.accept(&["drop", "role"]) {
        let if_exists = cursor.accept(&["if", "exists"]);
        AccessStatement::DropRole {
            name: name(cursor, ROLE)?,
            if_exists,
        }
    } else if cursor.accept(&["grant"]) {
        grant(cursor)?
    } else if cursor.accept(&["revoke"]) {
        revoke(cursor)?
    } else if cursor.accept(&["set", "role"]) {
        let choice = if cursor.accept(&["all"]) {
            RoleChoice::All
        } else if cursor.accept(&["none"]) {
            RoleChoice::None
        } else {
            RoleChoice::One(name(cursor, ROLE)?)
        };
        AccessStatement::SetRole(choice)
    } else {
        return Ok(None);
    };
    Ok(Some(Statement::Access(statement)))
}

/// Reads what follows `SHOW`, where it is about roles and grants.
pub(super) fn show(cursor: &mut Cursor) -> Result<Option<ShowAccess>, QueryError> {
    let shown = if cursor.accept(&["roles"]) {
        ShowAccess::Roles
    } else if cursor.accept(&["current", "roles"]) {
        ShowAccess::CurrentRoles
    } else if cursor.accept(&["role", "grant"]) || cursor.accept(&["role", "grants"]) {
        ShowAccess::RolesOf(principal(cursor)?)
    } else if cursor.accept(&["principals"]) {
        ShowAccess::Members(name(cursor, ROLE)?)
    } else if cursor.accept(&["grant"]) || cursor.accept(&["grants"]) {
        let is_of_somebody = !cursor.is_at_end() && !cursor.is_next(&["on"]);
        let principal = match is_of_somebody {
            true => Some(principal(cursor)?),
            false => None,
        };
        let object = match cursor.accept(&["on"]) {
            // Hive's ON ALL: whatever it is about.
            true if cursor.accept(&["all"]) => None,
            true => Some(object(cursor)?),
            false => None,
        };
        ShowAccess::Grants { principal, object }
    } else {
        return Ok(None);
    };
    Ok(Some(shown))
}

const ROLE: &str = "a role's name";

/// A name, or, for `ada@example.com`, one in quotes.
fn name(cursor: &mut Cursor, what: &str) -> Result<String, QueryError> {
    let name = match cursor.clone().name(what) {
        Ok(_) => cursor.name(what),
        Err(_) => cursor.string(what),
    };
    Ok(name?.to_lowercase())
}

fn principal(cursor: &mut Cursor) -> Result<PrincipalName, QueryError> {
    const WHAT: &str = "a user's or a role's name";
    let is_name = |cursor: &Cursor| matches!(cursor.peek(), Some(Token::Word(_)));
    let mut ahead = cursor.clone();
    for (word, is_user) in [("user", true), ("role", false)] {
        let is_quoted = |cursor: &Cursor| cursor.clone().string(WHAT).is_ok();
        if ahead.accept(&[word]) && (is_name(&ahead) || is_quoted(&ahead)) {
            *cursor = ahead;
            let name = name(cursor, WHAT)?;
            return Ok(match is_user {
                true => PrincipalName::User(name),
                false => PrincipalName::Role(name),
            });
        }
        ahead = cursor.clone();
    }
    match name(cursor, WHAT)? {
        name if name == "public" => Ok(PrincipalName::Role(name)),
        name => Ok(PrincipalName::Either(name)),
    }
}

/// Reads `OWNER TO [USER] name` and Hive's `SET OWNER USER name`, where one comes next.
pub(super) fn new_owner(cursor: &mut Cursor) -> Result<Option<String>, QueryError> {
    let has_word = cursor.accept(&["set", "owner"])
        || cursor.accept(&["owner", "to"])
        || cursor.accept(&["set", "authorization"]);
    if !has_word {
        return Ok(None);
    }
    let mut ahead = cursor.clone();
    if ahead.accept(&["role"]) && !ahead.is_at_end() {
        return Err(unsupported("a role that owns something"));
    }
    let mut ahead = cursor.clone();
    if ahead.accept(&["user"]) && !ahead.is_at_end() {
        *cursor = ahead;
    }
    name(cursor, "a user's name").map(Some)
}

fn grant(cursor: &mut Cursor) -> Result<AccessStatement, QueryError> {
    let Some(privileges) = privileges(cursor)? else {
        let (roles, principals) = roles(cursor, "to")?;
        return Ok(AccessStatement::Roles {
            revoke: false,
            roles,
            principals,
            admin_option: cursor.accept(&["with", "admin", "option"]),
        });
    };
    let object = object_of(cursor, "to")?;
    cursor.expect(&["to"])?;
    Ok(AccessStatement::Privileges {
        revoke: false,
        privileges,
        object,
        principals: cursor.list(principal)?,
        grant_option: cursor.accept(&["with", "grant", "option"]),
    })
}

fn revoke(cursor: &mut Cursor) -> Result<AccessStatement, QueryError> {
    let admin_option = cursor.accept(&["admin", "option", "for"]);
    let grant_option = !admin_option && cursor.accept(&["grant", "option", "for"]);
    let privileges = match admin_option {
        true => None,
        false => privileges(cursor)?,
    };
    let Some(privileges) = privileges else {
        if grant_option {
            return Err(cursor.unexpected("a privilege"));
        }
        let (roles, principals) = roles(cursor, "from")?;
        return Ok(AccessStatement::Roles {
            revoke: true,
            roles,
            principals,
            admin_option,
        });
    };
    let object = object_of(cursor, "from")?;
    cursor.expect(&["from"])?;
    Ok(AccessStatement::Privileges {
        revoke: true,
        privileges,
        object,
        principals: cursor.list(principal)?,
        grant_option,
    })
}

fn roles(
    cursor: &mut Cursor,
    before: &str,
) -> Result<(Vec<String>, Vec<PrincipalName>), QueryError> {
    let mut ahead = cursor.clone();
    if ahead.accept(&["role"]) && !ahead.is_next(&[before]) && ahead.peek() != Some(&Token::Comma) {
        *cursor = ahead;
    }
    let roles = cursor.list(|cursor| name(cursor, ROLE))?;
    cursor.expect(&[before])?;
    Ok((roles, cursor.list(principal)?))
}

/// The privileges that come next; `None` where roles do. A role may have the name of a privilege, which ON tells.
fn privileges(cursor: &mut Cursor) -> Result<Option<Vec<PrivilegeName>>, QueryError> {
    let mut ahead = cursor.clone();
    let Ok(read) = ahead.list(privilege) else {
        // A list with ON is one of privileges, one of which is none.
        return match has_object(cursor) {
            true => cursor.list(privilege).map(Some),
            false => Ok(None),
        };
    };
    let is_of_system = |privilege: &PrivilegeName| match privilege {
        PrivilegeName::One { name, .. } => name.contains(' '),
        PrivilegeName::All => false,
    };
    match ahead.is_next(&["on"]) || read.iter().any(is_of_system) {
        true => {
            *cursor = ahead;
            Ok(Some(read))
        }
        false => Ok(None),
    }
}

/// Whether ON comes before TO or FROM.
fn has_object(cursor: &Cursor) -> bool {
    let mut ahead = cursor.clone();
    while !ahead.is_at_end() && !ahead.is_next(&["to"]) && !ahead.is_next(&["from"]) {
        if ahead.is_next(&["on"]) {
            return true;
        }
        ahead.skip();
    }
    false
}

fn privilege(cursor: &mut Cursor) -> Result<PrivilegeName, QueryError> {
    if cursor.accept(&["all"]) {
        cursor.accept(&["privileges"]);
        return Ok(PrivilegeName::All);
    }
    let found = PRIVILEGES.iter().find(|(words, _)| cursor.is_next(words));
    let Some((words, name)) = found else {
        return Err(cursor.unexpected("a privilege"));
    };
    cursor.accept(words);
    let columns = match cursor.peek() {
        Some(Token::LParen) => {
            cursor.parenthesised(|cursor| Ok(cursor.name("a column's name")?.to_lowercase()))?
        }
        _ => Vec::new(),
    };
    Ok(PrivilegeName::One { name, columns })
}

/// Reads `ON …`. Privileges of the server need none.
fn object_of(cursor: &mut Cursor, before: &str) -> Result<ObjectName, QueryError> {
    if cursor.is_next(&[before]) {
        return Ok(ObjectName::System);
    }
    cursor.expect(&["on"])?;
    object(cursor)
}

fn object(cursor: &mut Cursor) -> Result<ObjectName, QueryError> {
    // A table may have the name of any of these words.
    let is_alone = |cursor: &Cursor| {
        cursor.is_at_end() || ["to", "from"].iter().any(|word| cursor.is_next(&[word]))
    };
    let mut ahead = cursor.clone();
    if ahead.accept(&["catalog"]) {
        ahead.accept(&["skep"]);
        if is_alone(&ahead) {
            *cursor = ahead;
            return Ok(ObjectName::Catalog);
        }
    }
    let mut ahead = cursor.clone();
    if ahead.accept(&["system"]) && is_alone(&ahead) {
        *cursor = ahead;
        return Ok(ObjectName::System);
    }
    let mut ahead = cursor.clone();
    if ahead.accept(&["any", "location"]) && is_alone(&ahead) {
        *cursor = ahead;
        return Ok(ObjectName::AnyLocation);
    }
    let mut ahead = cursor.clone();
    if ahead.accept(&["location"])
        && let Ok(location) = ahead.string("a location in quotes")
    {
        *cursor = ahead;
        return Ok(ObjectName::Location(location));
    }
    let mut ahead = cursor.clone();
    let is_database = ahead.accept(&["database"]) || ahead.accept(&["schema"]);
    if is_database && !is_alone(&ahead) && ahead.peek() != Some(&Token::Period) {
        *cursor = ahead;
        return Ok(ObjectName::Database(
            cursor.name("a database's name")?.to_lowercase(),
        ));
    }
    let mut ahead = cursor.clone();
    let has_word = ahead.accept(&["table"]) || ahead.accept(&["view"]);
    if has_word && !is_alone(&ahead) && ahead.peek() != Some(&Token::Period) {
        *cursor = ahead;
    }
    cursor.table_name().map(ObjectName::Relation)
}

#[cfg(test)]
mod tests;
