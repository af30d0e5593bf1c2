//! The tests of the module above.

use crate::statement::{
    AccessStatement, Dialect, ObjectName, ParseOptions, PrincipalName, PrivilegeName, RoleChoice,
    Show, ShowAccess, Statement, TableName, parse,
};

fn parsed(sql: &str) -> Statement {
    let options = ParseOptions {
        bytes_max: 1_000,
        dialect: Dialect::Standard,
    };
    parse(sql, options).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn access(sql: &str) -> AccessStatement {
    match parsed(sql) {
        Statement::Access(statement) => statement,
        other => panic!("{sql}: {other:?}"),
    }
}

fn shown(sql: &str) -> ShowAccess {
    match parsed(sql) {
        Statement::Show(Show::Access(shown)) => shown,
        other => panic!("{sql}: {other:?}"),
    }
}

fn one(name: &'static str, columns: &[&str]) -> PrivilegeName {
    PrivilegeName::One {
        name,
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn table(database: Option<&str>, table: &str) -> ObjectName {
    ObjectName::Relation(TableName {
        database: database.map(str::to_owned),
        table: table.to_owned(),
    })
}

#[test]
fn both_spellings_of_grants_are_read() {
    let expected = |privileges, object, principals| AccessStatement::Privileges {
        revoke: false,
        privileges,
        object,
        principals,
        grant_option: false,
    };
    let bob = || PrincipalName::Either("bob".to_owned());
    for (sql, privileges, object, principals) in [
        (
            "GRANT SELECT ON t TO bob",
            vec![one("SELECT", &[])],
            table(None, "t"),
            vec![bob()],
        ),
        (
            "grant select (A, b), insert on table d.t to user 'Bob@x.org', role r, public",
            vec![one("SELECT", &["a", "b"]), one("INSERT", &[])],
            table(Some("d"), "t"),
            vec![
                PrincipalName::User("bob@x.org".to_owned()),
                PrincipalName::Role("r".to_owned()),
                PrincipalName::Role("public".to_owned()),
            ],
        ),
        (
            "GRANT ALL PRIVILEGES ON SCHEMA d TO bob",
            vec![PrivilegeName::All],
            ObjectName::Database("d".to_owned()),
            vec![bob()],
        ),
        (
            "GRANT ALL ON VIEW v TO bob",
            vec![PrivilegeName::All],
            table(None, "v"),
            vec![bob()],
        ),
        (
            "GRANT SELECT ON LOCATION 's3://b/x' TO bob",
            vec![one("SELECT", &[])],
            ObjectName::Location("s3://b/x".to_owned()),
            vec![bob()],
        ),
        (
            "GRANT ALL ON ANY LOCATION TO bob",
            vec![PrivilegeName::All],
            ObjectName::AnyLocation,
            vec![bob()],
        ),
        (
            "GRANT CREATE ON CATALOG skep TO bob",
            vec![one("CREATE", &[])],
            ObjectName::Catalog,
            vec![bob()],
        ),
        (
            "GRANT MANAGE USERS, VIEW QUERIES TO bob",
            vec![one("MANAGE USERS", &[]), one("VIEW QUERIES", &[])],
            ObjectName::System,
            vec![bob()],
        ),
        (
            "GRANT KILL QUERIES ON SYSTEM TO bob",
            vec![one("KILL QUERIES", &[])],
            ObjectName::System,
            vec![bob()],
        ),
        // Tables that have the names of words.
        (
            "GRANT SELECT ON catalog.t TO bob",
            vec![one("SELECT", &[])],
            table(Some("catalog"), "t"),
            vec![bob()],
        ),
        (
            "GRANT SELECT ON location TO bob",
            vec![one("SELECT", &[])],
            table(None, "location"),
            vec![bob()],
        ),
    ] {
        assert_eq!(
            access(sql),
            expected(privileges, object, principals),
            "{sql}"
        );
    }
}

#[test]
fn options_and_revoking_are_read() {
    let AccessStatement::Privileges {
        revoke,
        grant_option,
        ..
    } = access("GRANT SELECT ON t TO bob WITH GRANT OPTION")
    else {
        panic!("no privileges");
    };
    assert_eq!((revoke, grant_option), (false, true));
    let AccessStatement::Privileges {
        revoke,
        grant_option,
        ..
    } = access("REVOKE GRANT OPTION FOR SELECT ON t FROM bob")
    else {
        panic!("no privileges");
    };
    assert_eq!((revoke, grant_option), (true, true));
    let roles = |revoke, admin_option| AccessStatement::Roles {
        revoke,
        roles: vec!["r".to_owned(), "select".to_owned()],
        principals: vec![PrincipalName::User("bob".to_owned())],
        admin_option,
    };
    for (sql, expected) in [
        ("GRANT r, select TO USER bob", roles(false, false)),
        (
            "GRANT ROLE r, select TO USER bob WITH ADMIN OPTION",
            roles(false, true),
        ),
        ("REVOKE r, select FROM USER bob", roles(true, false)),
        (
            "REVOKE ADMIN OPTION FOR r, select FROM USER bob",
            roles(true, true),
        ),
    ] {
        assert_eq!(access(sql), expected, "{sql}");
    }
}

#[test]
fn roles_are_set_and_shown() {
    for (sql, choice) in [
        ("SET ROLE ALL", RoleChoice::All),
        ("SET ROLE NONE", RoleChoice::None),
        ("SET ROLE Admin", RoleChoice::One("admin".to_owned())),
    ] {
        assert_eq!(access(sql), AccessStatement::SetRole(choice), "{sql}");
    }
    for (sql, expected) in [
        ("SHOW ROLES", ShowAccess::Roles),
        ("SHOW CURRENT ROLES", ShowAccess::CurrentRoles),
        (
            "SHOW ROLE GRANT USER bob",
            ShowAccess::RolesOf(PrincipalName::User("bob".to_owned())),
        ),
        ("SHOW PRINCIPALS r", ShowAccess::Members("r".to_owned())),
        (
            "SHOW GRANT",
            ShowAccess::Grants {
                principal: None,
                object: None,
            },
        ),
        (
            "SHOW GRANT ROLE r ON TABLE d.t",
            ShowAccess::Grants {
                principal: Some(PrincipalName::Role("r".to_owned())),
                object: Some(table(Some("d"), "t")),
            },
        ),
        (
            "SHOW GRANT USER bob ON ALL",
            ShowAccess::Grants {
                principal: Some(PrincipalName::User("bob".to_owned())),
                object: None,
            },
        ),
    ] {
        assert_eq!(shown(sql), expected, "{sql}");
    }
}

#[test]
fn what_is_none_is_refused() {
    let options = ParseOptions {
        bytes_max: 1_000,
        dialect: Dialect::Standard,
    };
    for sql in [
        "GRANT",
        "GRANT SELECT ON t",
        "GRANT SELCT ON t TO bob",
        "GRANT SELECT ON t FROM bob",
        "REVOKE SELECT ON t TO bob",
        "REVOKE GRANT OPTION FOR r FROM bob",
        "GRANT SELECT ON t TO bob WITH",
        "CREATE ROLE",
        "SET ROLE",
    ] {
        assert!(parse(sql, options).is_err(), "{sql}");
    }
}
