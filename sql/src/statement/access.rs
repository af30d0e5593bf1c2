//! Statements about roles and grants, as they were written: nothing is looked up yet.

use super::TableName;

/// The property of a view that says with whose rights its query runs: its owner's, or, where it is
/// [`SECURITY_INVOKER`], the caller's.
pub const SECURITY_PROPERTY: &str = "skep.view.security";

/// See [`SECURITY_PROPERTY`].
pub const SECURITY_INVOKER: &str = "invoker";

/// A statement about roles and grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessStatement {
    /// `CREATE ROLE [IF NOT EXISTS] name`.
    CreateRole {
        /// Its name.
        name: String,
        /// Whether it is no error that it is there.
        if_not_exists: bool,
    },
    /// `DROP ROLE [IF EXISTS] name`.
    DropRole {
        /// Its name.
        name: String,
        /// Whether it is no error that it is not there.
        if_exists: bool,
    },
    /// `GRANT role, … TO …` and `REVOKE role, … FROM …`.
    Roles {
        /// Whether they are revoked.
        revoke: bool,
        /// The roles.
        roles: Vec<String>,
        /// To whom or from whom.
        principals: Vec<PrincipalName>,
        /// WITH ADMIN OPTION, ADMIN OPTION FOR.
        admin_option: bool,
    },
    /// `GRANT privilege, … ON … TO …` and `REVOKE privilege, … ON … FROM …`.
    Privileges {
        /// Whether they are revoked.
        revoke: bool,
        /// What may be done.
        privileges: Vec<PrivilegeName>,
        /// With what.
        object: ObjectName,
        /// To whom or from whom.
        principals: Vec<PrincipalName>,
        /// WITH GRANT OPTION, GRANT OPTION FOR.
        grant_option: bool,
    },
    /// `SET ROLE`.
    SetRole(RoleChoice),
}

/// Which of their roles somebody enables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleChoice {
    /// ALL.
    All,
    /// NONE.
    None,
    /// One.
    One(String),
}

/// Somebody as a statement names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalName {
    /// `USER name`.
    User(String),
    /// `ROLE name`, and PUBLIC.
    Role(String),
    /// A name alone: no user has the name of a role.
    Either(String),
}

/// A privilege as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivilegeName {
    /// ALL.
    All,
    /// One, in upper case, with the columns for which it is.
    One {
        /// Which.
        name: &'static str,
        /// Only these columns; all where there are none.
        columns: Vec<String>,
    },
}

/// What a privilege is about, as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectName {
    /// CATALOG.
    Catalog,
    /// DATABASE, SCHEMA.
    Database(String),
    /// TABLE, VIEW, or no word.
    Relation(TableName),
    /// LOCATION.
    Location(String),
    /// ANY LOCATION.
    AnyLocation,
    /// SYSTEM.
    System,
}

/// What `SHOW` shows of roles and grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShowAccess {
    /// `SHOW ROLES`.
    Roles,
    /// `SHOW CURRENT ROLES`.
    CurrentRoles,
    /// `SHOW ROLE GRANT USER name`.
    RolesOf(PrincipalName),
    /// `SHOW PRINCIPALS role`.
    Members(String),
    /// `SHOW GRANT [principal] [ON …]`.
    Grants {
        /// To whom.
        principal: Option<PrincipalName>,
        /// On what.
        object: Option<ObjectName>,
    },
}
