//! Roles, who has them, and what somebody may do with what.

use super::TableId;
use chrono::{DateTime, Utc};
use skep_protocol::storage_url::StorageUrl;
use std::fmt;

/// The role that everybody has. It is no row of the catalog and cannot be dropped.
pub const PUBLIC: &str = "public";

/// Somebody to whom something is granted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// A user.
    User(String),
    /// A role, [`PUBLIC`] among them.
    Role(String),
}

impl Principal {
    /// Its name, in lower case.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Role(name) => name,
        }
    }

    /// `USER` or `ROLE`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "USER",
            Self::Role(_) => "ROLE",
        }
    }

    /// What [`Principal::kind`] and [`Principal::name`] tell of.
    pub fn from_parts(kind: &str, name: String) -> Option<Self> {
        match kind {
            "USER" => Some(Self::User(name)),
            "ROLE" => Some(Self::Role(name)),
            _ => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(name) if name == PUBLIC => f.write_str("PUBLIC"),
            Self::User(name) => write!(f, "user '{name}'"),
            Self::Role(name) => write!(f, "role '{name}'"),
        }
    }
}

/// One thing that somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Privilege {
    /// Read rows; of a location, read files.
    Select,
    /// Add rows; of a location, write files.
    Insert,
    /// Change rows.
    Update,
    /// Remove rows; of a location, remove files.
    Delete,
    /// Make something in it: tables in a database, databases in the catalog, tables at a location.
    Create,
    /// Change what it is.
    Alter,
    /// Drop it.
    Drop,
    /// Create, change and drop users and roles.
    ManageUsers,
    /// See the queries of others.
    ViewQueries,
    /// End the queries of others.
    KillQueries,
    /// Look after the cluster as a whole: remove what nobody needs.
    ManageCluster,
}

impl Privilege {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Create,
        Self::Alter,
        Self::Drop,
        Self::ManageUsers,
        Self::ViewQueries,
        Self::KillQueries,
        Self::ManageCluster,
    ];

    /// As SQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Create => "CREATE",
            Self::Alter => "ALTER",
            Self::Drop => "DROP",
            Self::ManageUsers => "MANAGE USERS",
            Self::ViewQueries => "VIEW QUERIES",
            Self::KillQueries => "KILL QUERIES",
            Self::ManageCluster => "MANAGE CLUSTER",
        }
    }

    /// What is written so, in upper case.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|privilege| privilege.as_str() == name)
    }
}

/// Privileges, without an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivilegeSet(u16);

impl PrivilegeSet {
    /// Whether it has `privilege`.
    pub fn has(self, privilege: Privilege) -> bool {
        self.0 & Self::bit(privilege) != 0
    }

    /// Whether it has one of `privileges`.
    pub fn has_any(self, privileges: &[Privilege]) -> bool {
        privileges.iter().any(|privilege| self.has(*privilege))
    }

    /// Adds one.
    pub fn add(&mut self, privilege: Privilege) {
        self.0 |= Self::bit(privilege);
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(privilege: Privilege) -> u16 {
        1 << privilege as u16
    }
}

/// What a privilege is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Securable {
    /// The whole catalog: what is granted on it holds for every database.
    Catalog,
    /// A database: what is granted on it holds for what is in it.
    Database(String),
    /// A table or a view, whatever it is called.
    Relation(TableId),
    /// All files at and below a place.
    Location(StorageUrl),
    /// All files wherever statements may name some.
    AnyLocation,
    /// The server.
    System,
}

/// What can be granted on the catalog, a database, a table or a view.
const OF_OBJECTS: &[Privilege] = &[
    Privilege::Select,
    Privilege::Insert,
    Privilege::Update,
    Privilege::Delete,
    Privilege::Create,
    Privilege::Alter,
    Privilege::Drop,
];

/// Nothing is created in a table.
const OF_RELATIONS: &[Privilege] = &[
    Privilege::Select,
    Privilege::Insert,
    Privilege::Update,
    Privilege::Delete,
    Privilege::Alter,
    Privilege::Drop,
];

const OF_LOCATIONS: &[Privilege] = &[
    Privilege::Select,
    Privilege::Insert,
    Privilege::Delete,
    Privilege::Create,
];

const OF_SYSTEM: &[Privilege] = &[
    Privilege::ManageUsers,
    Privilege::ViewQueries,
    Privilege::KillQueries,
    Privilege::ManageCluster,
];

impl Securable {
    /// What can be granted on it, which is what ALL stands for.
    pub fn privileges(&self) -> &'static [Privilege] {
        match self {
            Self::Catalog | Self::Database(_) => OF_OBJECTS,
            Self::Relation(_) => OF_RELATIONS,
            Self::Location(_) | Self::AnyLocation => OF_LOCATIONS,
            Self::System => OF_SYSTEM,
        }
    }

    /// Its kind and which one of it, as stores keep them.
    pub fn to_parts(&self) -> (&'static str, String) {
        match self {
            Self::Catalog => ("CATALOG", String::new()),
            Self::Database(name) => ("DATABASE", name.clone()),
            Self::Relation(id) => ("RELATION", id.0.to_string()),
            Self::Location(location) => ("LOCATION", location.to_string()),
            Self::AnyLocation => ("ANY LOCATION", String::new()),
            Self::System => ("SYSTEM", String::new()),
        }
    }

    /// What [`Securable::to_parts`] tells of.
    pub fn from_parts(kind: &str, key: &str) -> Option<Self> {
        match kind {
            "CATALOG" => Some(Self::Catalog),
            "DATABASE" => Some(Self::Database(key.to_owned())),
            "RELATION" => key.parse().ok().map(TableId).map(Self::Relation),
            "LOCATION" => StorageUrl::parse(key).ok().map(Self::Location),
            "ANY LOCATION" => Some(Self::AnyLocation),
            "SYSTEM" => Some(Self::System),
            _ => None,
        }
    }
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Role {
    /// In lower case. No user has it.
    pub name: String,
    /// Who created it, and may grant it.
    pub owner: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Somebody has a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Membership {
    /// Which role.
    pub role: String,
    /// Who has it.
    pub member: Principal,
    /// Whether they may grant it.
    pub admin_option: bool,
    /// Who granted it.
    pub grantor: String,
}

/// What is granted, without how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantKey {
    /// To whom.
    pub grantee: Principal,
    /// On what.
    pub object: Securable,
    /// What.
    pub privilege: Privilege,
    /// Only this column of a table or a view, in lower case. SELECT has columns.
    pub column: Option<String>,
}

/// Somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// To whom, on what, and what.
    pub key: GrantKey,
    /// Whether they may grant it to others.
    pub grant_option: bool,
    /// Who granted it.
    pub grantor: String,
}

/// Who may do what, in the order of its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// By name.
    pub roles: Vec<Role>,
    /// By role and member.
    pub memberships: Vec<Membership>,
    /// By grantee, object, privilege and column.
    pub grants: Vec<Grant>,
}

impl AccessRules {
    /// Databases disagree about the order of letters.
    pub(crate) fn sort(&mut self) {
        self.roles.sort();
        self.memberships.sort();
        self.grants.sort();
    }

    /// The role of that name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// Who has `role` directly, if `member` does.
    pub fn membership(&self, role: &str, member: &Principal) -> Option<&Membership> {
        let mut all = self.memberships.iter();
        all.find(|found| found.role == role && found.member == *member)
    }

    /// The grant of that key.
    pub fn grant(&self, key: &GrantKey) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_parts_come_back() {
        for privilege in Privilege::ALL {
            assert_eq!(Privilege::from_name(privilege.as_str()), Some(privilege));
            let mut set = PrivilegeSet::default();
            set.add(privilege);
            let found: Vec<_> = Privilege::ALL.into_iter().filter(|p| set.has(*p)).collect();
            assert_eq!(found, [privilege]);
        }
        for object in [
            Securable::Catalog,
            Securable::Database("a b".to_owned()),
            Securable::Relation(TableId(7)),
            Securable::Location(StorageUrl::parse("s3://bucket/a b/").unwrap()),
            Securable::AnyLocation,
            Securable::System,
        ] {
            let (kind, key) = object.to_parts();
            assert_eq!(Securable::from_parts(kind, &key), Some(object));
        }
        for principal in [
            Principal::User("a".to_owned()),
            Principal::Role("a".to_owned()),
        ] {
            let parts = (principal.kind(), principal.name().to_owned());
            assert_eq!(Principal::from_parts(parts.0, parts.1), Some(principal));
        }
    }
}
