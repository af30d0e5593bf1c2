//! What the catalog says that somebody may do: the grants to a user, to PUBLIC and to the roles that are enabled,
//! and what they own.
//!
//! A privilege on the catalog holds for every database, and one on a database for what is in it. Who owns a
//! database or a relation may do everything with it. What belongs to no user of whom the catalog knows is from
//! before there were users, and an administrator's.

use crate::model::{
    AccessRules, Database, Grant, GrantKey, PUBLIC, Principal, Privilege, PrivilegeSet, Securable,
};
use crate::snapshot::{CatalogSnapshot, Relation};
use skep_protocol::storage_url::{AllowedRoots, StorageUrl};
use std::collections::{BTreeSet, HashMap};

/// A table or a view is shown as a whole to a user who has one of these on it.
const SHOWING: &[Privilege] = &[
    Privilege::Select,
    Privilege::Insert,
    Privilege::Update,
    Privilege::Delete,
    Privilege::Alter,
    Privilege::Drop,
];

/// Which of their roles somebody has enabled: `SET ROLE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum EnabledRoles {
    /// All of them.
    #[default]
    All,
    /// None but PUBLIC.
    None,
    /// One, with those that it has.
    One(String),
}

/// Which columns of a table or a view somebody may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable<'a> {
    /// All.
    All,
    /// Some; perhaps none.
    Only(&'a BTreeSet<String>),
}

impl Readable<'_> {
    /// Whether the column of that name, in lower case, is one of them.
    pub fn has(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(columns) => columns.contains(column),
        }
    }

    /// Whether there is none.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Only(columns) if columns.is_empty())
    }
}

/// What somebody may do with one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    privileges: PrivilegeSet,
    /// What they may grant to others.
    grantable: PrivilegeSet,
    /// The columns that they may read.
    columns: BTreeSet<String>,
    grantable_columns: BTreeSet<String>,
}

/// What somebody may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    user: String,
    /// Whether they may do everything.
    everything: bool,
    /// Whether nobody is asked who they are: whatever runs, runs unchecked.
    unchecked: bool,
    roles: BTreeSet<String>,
    held: HashMap<Securable, Held>,
    locations: Vec<(StorageUrl, Held)>,
}

const NO_COLUMNS: &BTreeSet<String> = &BTreeSet::new();

impl Rights {
    /// Those of `user` where nobody is asked who they are.
    pub fn unchecked(user: &str) -> Self {
        Self {
            unchecked: true,
            ..Self::everything(user)
        }
    }

    /// Those of somebody who may do everything.
    fn everything(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            everything: true,
            unchecked: false,
            roles: BTreeSet::from([PUBLIC.to_owned()]),
            held: HashMap::new(),
            locations: Vec::new(),
        }
    }

    /// Those of `user` with some of their roles. A user that is not there has what PUBLIC has.
    pub fn of(snapshot: &CatalogSnapshot, user: &str, enabled: &EnabledRoles) -> Self {
        let rules = snapshot.access();
        let roles = enabled_roles(rules, user, enabled);
        let is_own = |grantee: &Principal| match grantee {
            Principal::User(name) => name == user,
            Principal::Role(name) => roles.contains(name),
        };
        let mut held: HashMap<Securable, Held> = HashMap::new();
        for grant in rules
            .grants
            .iter()
            .filter(|grant| is_own(&grant.key.grantee))
        {
            held.entry(grant.key.object.clone()).or_default().add(grant);
        }
        let locations = held.iter().filter_map(|(object, held)| match object {
            Securable::Location(location) => Some((location.clone(), held.clone())),
            _ => None,
        });
        Self {
            everything: snapshot.user(user).is_ok_and(|user| user.admin),
            unchecked: false,
            user: user.to_owned(),
            locations: locations.collect(),
            roles,
            held,
        }
    }

    /// Those by which a view runs whose owner is `owner`, for somebody with these.
    pub fn of_owner(&self, snapshot: &CatalogSnapshot, owner: &str) -> Self {
        match snapshot.user(owner) {
            _ if self.unchecked => self.clone(),
            Ok(user) => Self::of(snapshot, &user.name, &EnabledRoles::All),
            Err(_) => Self::everything(owner),
        }
    }

    /// Whether nobody is asked who they are.
    pub fn are_unchecked(&self) -> bool {
        self.unchecked
    }

    /// Whose they are.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether there is nothing that they leave out.
    pub fn are_everything(&self) -> bool {
        self.everything
    }

    /// The roles that count, PUBLIC among them.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// Whether a role counts.
    pub fn have_role(&self, role: &str) -> bool {
        self.roles.contains(role)
    }

    /// Whether two are somebody's with the same roles. What these may do follows from the catalog.
    pub fn are_of_same(&self, other: &Self) -> bool {
        let parts = |rights: &Self| (rights.user.clone(), rights.everything, rights.roles.clone());
        parts(self) == parts(other)
    }

    fn privileges(&self, object: &Securable) -> PrivilegeSet {
        self.held
            .get(object)
            .map_or_else(PrivilegeSet::default, |held| held.privileges)
    }

    fn own(&self, owner: &str) -> bool {
        self.everything || owner == self.user
    }

    /// Whether a database is theirs.
    pub fn own_database(&self, database: &Database) -> bool {
        self.own(&database.owner)
    }

    /// Whether a table or a view is theirs, or the database that it is in.
    pub fn own_relation(&self, snapshot: &CatalogSnapshot, relation: &Relation) -> bool {
        let (database, _) = relation.names();
        let database = || snapshot.database(database);
        self.own(relation.owner()) || database().is_ok_and(|database| self.own(&database.owner))
    }

    /// Whether a view is their own, and nobody's else: who changes a view's query reads what its owner may.
    pub fn are_owners(&self, relation: &Relation) -> bool {
        self.own(relation.owner())
    }

    /// Whether they may do one of `privileges` with a database as a whole.
    pub fn may_in(&self, database: &Database, privileges: &[Privilege]) -> bool {
        let on = Securable::Database(database.name.clone());
        self.own_database(database)
            || self.privileges(&Securable::Catalog).has_any(privileges)
            || self.privileges(&on).has_any(privileges)
    }

    /// Whether they may do one of `privileges` with a table or a view as a whole.
    pub fn may(
        &self,
        snapshot: &CatalogSnapshot,
        relation: &Relation,
        privileges: &[Privilege],
    ) -> bool {
        let (database, _) = relation.names();
        let on = Securable::Relation(relation.id());
        self.everything
            || self.own(relation.owner())
            || self.privileges(&on).has_any(privileges)
            || snapshot
                .database(database)
                .is_ok_and(|database| self.may_in(database, privileges))
    }

    /// Whether they may do one of `privileges` with the catalog as a whole.
    pub fn may_everywhere(&self, privilege: Privilege) -> bool {
        self.everything || self.privileges(&Securable::Catalog).has(privilege)
    }

    /// Whether they may do that with the server.
    pub fn may_with_system(&self, privilege: Privilege) -> bool {
        self.everything || self.privileges(&Securable::System).has(privilege)
    }

    /// Where they may do all of `privileges`, of what the server opens to anybody.
    pub fn narrow(&self, roots: &AllowedRoots, privileges: &[Privilege]) -> AllowedRoots {
        let anywhere = self.privileges(&Securable::AnyLocation);
        let has_all = |held: PrivilegeSet| {
            let mut all = privileges.iter();
            all.all(|privilege| held.has(*privilege) || anywhere.has(*privilege))
        };
        if self.everything || has_all(anywhere) {
            return roots.clone();
        }
        let granted = self.locations.iter();
        let granted = granted.filter(|(_, held)| has_all(held.privileges));
        roots.within(granted.map(|(location, _)| location.clone()).collect())
    }

    /// The columns of a table or a view that they may read.
    pub fn readable(&self, snapshot: &CatalogSnapshot, relation: &Relation) -> Readable<'_> {
        if self.may(snapshot, relation, &[Privilege::Select]) {
            return Readable::All;
        }
        let held = self.held.get(&Securable::Relation(relation.id()));
        Readable::Only(held.map_or(NO_COLUMNS, |held| &held.columns))
    }

    /// The columns of a table or a view of which they may know.
    pub fn shown(&self, snapshot: &CatalogSnapshot, relation: &Relation) -> Readable<'_> {
        match self.may(snapshot, relation, SHOWING) {
            true => Readable::All,
            false => self.readable(snapshot, relation),
        }
    }

    /// Whether they may know that a table or a view is there.
    pub fn see(&self, snapshot: &CatalogSnapshot, relation: &Relation) -> bool {
        self.everything || !self.shown(snapshot, relation).is_nothing()
    }

    /// Whether they may know that a database is there: it is the one that every session begins in, or they may do
    /// something with it or with something in it.
    pub fn see_database(&self, snapshot: &CatalogSnapshot, database: &Database) -> bool {
        let own = Securable::Database(database.name.clone());
        if database.name == crate::catalog::DEFAULT_DATABASE
            || self.own_database(database)
            || !self.privileges(&Securable::Catalog).is_empty()
            || !self.privileges(&own).is_empty()
        {
            return true;
        }
        let relations = snapshot.relations(&database.name);
        relations.is_ok_and(|mut all| all.any(|relation| self.see(snapshot, relation)))
    }

    /// Whether they may grant and revoke what `key` says: they own it, or have it with the grant option.
    pub fn may_grant(&self, snapshot: &CatalogSnapshot, key: &GrantKey) -> bool {
        let grantable = |object: &Securable| {
            let held = self.held.get(object);
            held.is_some_and(|held| held.may_grant(key))
        };
        if self.everything || grantable(&key.object) {
            return true;
        }
        let of_database = |name: &str| {
            let database = snapshot.database(name);
            grantable(&Securable::Catalog)
                || grantable(&Securable::Database(name.to_owned()))
                || database.is_ok_and(|database| self.own_database(database))
        };
        match &key.object {
            Securable::Database(name) => of_database(name),
            Securable::Relation(id) => snapshot.relation_by_id(*id).is_some_and(|relation| {
                self.own_relation(snapshot, relation) || of_database(relation.names().0)
            }),
            Securable::Location(location) => {
                grantable(&Securable::AnyLocation)
                    || self
                        .locations
                        .iter()
                        .any(|(granted, held)| granted.contains(location) && held.may_grant(key))
            }
            Securable::Catalog | Securable::AnyLocation | Securable::System => false,
        }
    }

    /// All roles that they have, whichever are enabled, PUBLIC among them.
    pub fn own_roles(&self, snapshot: &CatalogSnapshot) -> BTreeSet<String> {
        let rules = snapshot.access();
        let mut own = all_roles(rules, &Principal::User(self.user.clone()));
        own.extend(all_roles(rules, &Principal::Role(PUBLIC.to_owned())));
        own.insert(PUBLIC.to_owned());
        own
    }

    /// The grants of which they may know: those to them and to their roles, those that they could revoke, and all
    /// for those who manage users.
    pub fn shown_grants<'a>(&self, snapshot: &'a CatalogSnapshot) -> Vec<&'a Grant> {
        let own = self.own_roles(snapshot);
        let all = self.may_with_system(Privilege::ManageUsers);
        let is_shown = |grant: &&Grant| {
            let is_own = match &grant.key.grantee {
                Principal::User(name) => *name == self.user,
                Principal::Role(name) => own.contains(name),
            };
            all || is_own || self.may_grant(snapshot, &grant.key)
        };
        snapshot.access().grants.iter().filter(is_shown).collect()
    }

    /// Whether they may grant and revoke a role.
    pub fn may_grant_role(&self, snapshot: &CatalogSnapshot, role: &str) -> bool {
        let rules = snapshot.access();
        let is_own = |member: &Principal| match member {
            Principal::User(name) => *name == self.user,
            Principal::Role(name) => self.roles.contains(name),
        };
        self.everything
            || rules.role(role).is_some_and(|role| role.owner == self.user)
            || rules.memberships.iter().any(|membership| {
                membership.role == role && membership.admin_option && is_own(&membership.member)
            })
    }
}

impl Held {
    fn add(&mut self, grant: &Grant) {
        let key = &grant.key;
        match &key.column {
            None => {
                self.privileges.add(key.privilege);
                if grant.grant_option {
                    self.grantable.add(key.privilege);
                }
            }
            Some(column) => {
                self.columns.insert(column.clone());
                if grant.grant_option {
                    self.grantable_columns.insert(column.clone());
                }
            }
        }
    }

    fn may_grant(&self, key: &GrantKey) -> bool {
        let column = key.column.as_ref();
        self.grantable.has(key.privilege)
            || column.is_some_and(|column| self.grantable_columns.contains(column))
    }
}

/// PUBLIC, the roles that a user has and has enabled, and those that these have.
fn enabled_roles(rules: &AccessRules, user: &str, enabled: &EnabledRoles) -> BTreeSet<String> {
    let mut roles = BTreeSet::from([PUBLIC.to_owned()]);
    let own = all_roles(rules, &Principal::User(user.to_owned()));
    match enabled {
        EnabledRoles::All => roles.extend(own),
        EnabledRoles::None => {}
        // One that was revoked meanwhile counts no more.
        EnabledRoles::One(role) if own.contains(role) => {
            roles.extend(all_roles(rules, &Principal::Role(role.clone())));
            roles.insert(role.clone());
        }
        EnabledRoles::One(_) => {}
    }
    let of_public = all_roles(rules, &Principal::Role(PUBLIC.to_owned()));
    roles.extend(of_public);
    roles
}

/// The roles that somebody has, directly and by others.
pub fn all_roles(rules: &AccessRules, principal: &Principal) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![principal.clone()];
    while let Some(member) = next.pop() {
        let direct = rules.memberships.iter();
        for membership in direct.filter(|membership| membership.member == member) {
            if found.insert(membership.role.clone()) {
                next.push(Principal::Role(membership.role.clone()));
            }
        }
    }
    found
}
