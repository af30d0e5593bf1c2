//! Roles and grants: what GRANT, REVOKE, CREATE ROLE and DROP ROLE do, and what becomes of grants when what they
//! are about changes.
//!
//! Whether somebody may grant is asked of the caller, by a `permit`, within the change: what holds when it is
//! decided holds when it is committed.

use super::Catalog;
use crate::error::CatalogError;
use crate::model::{
    AccessRules, Grant, GrantKey, Membership, PUBLIC, Principal, Privilege, Role, Securable,
    TableDefinition, TableId, name,
};
use crate::snapshot::{CatalogSnapshot, Relation};
use crate::store::Change;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// Says whether a change may be made in a state, and how it would be named where it may not.
pub type Permit<'a> = &'a (dyn Fn(&CatalogSnapshot) -> Result<(), CatalogError> + Send + Sync);

/// Whatever is asked may be done: the caller has decided, or there is nobody to ask.
pub fn permitted(_: &CatalogSnapshot) -> Result<(), CatalogError> {
    Ok(())
}

/// Names that roles cannot have: `SET ROLE` means something else by them.
const RESERVED_ROLES: &[&str] = &[PUBLIC, "all", "none", "default"];

/// `GRANT role, … TO …` and `REVOKE role, … FROM …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleGranting {
    /// The roles, in lower case.
    pub roles: Vec<String>,
    /// To whom or from whom.
    pub members: Vec<Principal>,
    /// WITH ADMIN OPTION, ADMIN OPTION FOR.
    pub admin_option: bool,
    /// Who does it.
    pub grantor: String,
}

/// `GRANT privilege, … ON … TO …` and `REVOKE privilege, … ON … FROM …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granting {
    /// Each combination of a principal, a privilege and a column.
    pub keys: Vec<GrantKey>,
    /// WITH GRANT OPTION, GRANT OPTION FOR.
    pub grant_option: bool,
    /// Who does it.
    pub grantor: String,
}

impl Catalog {
    /// Creates a role.
    pub async fn create_role(
        &self,
        name: &str,
        owner: &str,
        if_not_exists: bool,
        permit: Permit<'_>,
    ) -> Result<bool, CatalogError> {
        let now = Utc::now();
        self.change(|snapshot| {
            permit(snapshot)?;
            create_role(snapshot, name, owner, if_not_exists, now)
        })
        .await
    }

    /// Drops a role, and takes it from every user and role that has it; false where there was none and that is no error.
    pub async fn drop_role(
        &self,
        name: &str,
        if_exists: bool,
        permit: Permit<'_>,
    ) -> Result<bool, CatalogError> {
        let name = name::normalise(name);
        self.change(|snapshot| {
            permit(snapshot)?;
            match (snapshot.access().role(&name), if_exists) {
                (Some(role), _) => Ok(vec![Change::DropRole {
                    name: role.name.clone(),
                }]),
                (None, true) => Ok(Vec::new()),
                (None, false) => Err(CatalogError::RoleNotFound(name.clone())),
            }
        })
        .await
    }

    /// Gives roles to users and roles.
    pub async fn grant_roles(
        &self,
        granting: &RoleGranting,
        permit: Permit<'_>,
    ) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            permit(snapshot)?;
            grant_roles(snapshot, granting)
        })
        .await
        .map(|_| ())
    }

    /// Takes roles from users and roles, or only the right to grant them.
    pub async fn revoke_roles(
        &self,
        revoking: &RoleGranting,
        permit: Permit<'_>,
    ) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            permit(snapshot)?;
            revoke_roles(snapshot, revoking)
        })
        .await
        .map(|_| ())
    }

    /// Grants privileges.
    pub async fn grant(&self, granting: &Granting, permit: Permit<'_>) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            permit(snapshot)?;
            grant(snapshot, granting)
        })
        .await
        .map(|_| ())
    }

    /// Revokes privileges, or only the right to grant them.
    pub async fn revoke(
        &self,
        revoking: &Granting,
        permit: Permit<'_>,
    ) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            permit(snapshot)?;
            revoke(snapshot, revoking)
        })
        .await
        .map(|_| ())
    }
}

fn create_role(
    snapshot: &CatalogSnapshot,
    name: &str,
    owner: &str,
    if_not_exists: bool,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, CatalogError> {
    let name = name::validate("role", name)?;
    if RESERVED_ROLES.contains(&name.as_str()) {
        return Err(CatalogError::InvalidName {
            what: "role",
            name,
            reason: "it means something else",
        });
    }
    if snapshot.user(&name).is_ok() {
        return Err(CatalogError::PrincipalExists { name, kind: "user" });
    }
    match (snapshot.access().role(&name), if_not_exists) {
        (Some(_), true) => Ok(Vec::new()),
        (Some(_), false) => Err(CatalogError::RoleExists(name)),
        (None, _) => Ok(vec![Change::CreateRole(Role {
            name,
            owner: owner.to_owned(),
            created_at: now,
        })]),
    }
}

/// That there is such a user or role.
fn check_principal(snapshot: &CatalogSnapshot, principal: &Principal) -> Result<(), CatalogError> {
    match principal {
        Principal::User(name) => snapshot.user(name).map(|_| ()),
        Principal::Role(name) if name == PUBLIC => Ok(()),
        Principal::Role(name) => check_role(snapshot.access(), name),
    }
}

fn check_role(rules: &AccessRules, name: &str) -> Result<(), CatalogError> {
    match rules.role(name) {
        Some(_) => Ok(()),
        None => Err(CatalogError::RoleNotFound(name.to_owned())),
    }
}

/// Whether a member of `role` is a member of `wanted` through it.
fn has_by(rules: &AccessRules, role: &str, wanted: &str) -> bool {
    let mut seen = BTreeSet::from([role]);
    let mut next = vec![role];
    while let Some(role) = next.pop() {
        if role == wanted {
            return true;
        }
        for membership in &rules.memberships {
            let is_member = matches!(&membership.member, Principal::Role(name) if name == role);
            if is_member && seen.insert(&membership.role) {
                next.push(&membership.role);
            }
        }
    }
    false
}

fn grant_roles(
    snapshot: &CatalogSnapshot,
    granting: &RoleGranting,
) -> Result<Vec<Change>, CatalogError> {
    let rules = snapshot.access();
    let mut changes = Vec::new();
    for role in &granting.roles {
        check_role(rules, role)?;
        for member in &granting.members {
            check_principal(snapshot, member)?;
            if let Principal::Role(name) = member
                && has_by(rules, role, name)
            {
                return Err(CatalogError::RoleCircle {
                    role: role.clone(),
                    member: name.clone(),
                });
            }
            let known = rules.membership(role, member);
            if known.is_some_and(|known| known.admin_option || !granting.admin_option) {
                continue;
            }
            changes.push(Change::SetMembership(Membership {
                role: role.clone(),
                member: member.clone(),
                admin_option: granting.admin_option,
                grantor: granting.grantor.clone(),
            }));
        }
    }
    Ok(changes)
}

fn revoke_roles(
    snapshot: &CatalogSnapshot,
    revoking: &RoleGranting,
) -> Result<Vec<Change>, CatalogError> {
    let rules = snapshot.access();
    let mut changes = Vec::new();
    for role in &revoking.roles {
        check_role(rules, role)?;
        for member in &revoking.members {
            check_principal(snapshot, member)?;
            let Some(known) = rules.membership(role, member) else {
                let text = format!("{member} does not have role '{role}' by a grant of its own");
                return Err(CatalogError::NotGranted(text));
            };
            match revoking.admin_option {
                true if !known.admin_option => {}
                true => changes.push(Change::SetMembership(Membership {
                    admin_option: false,
                    ..known.clone()
                })),
                false => changes.push(Change::RemoveMembership {
                    role: role.clone(),
                    member: member.clone(),
                }),
            }
        }
    }
    Ok(changes)
}

/// That what is granted fits to what it is granted on, which is there.
fn check_key(snapshot: &CatalogSnapshot, key: &GrantKey) -> Result<(), CatalogError> {
    check_principal(snapshot, &key.grantee)?;
    if !key.object.privileges().contains(&key.privilege) {
        let (kind, _) = key.object.to_parts();
        let text = format!(
            "{} is no privilege of a {}",
            key.privilege.as_str(),
            kind.to_lowercase()
        );
        return Err(CatalogError::NotGranted(text));
    }
    let column = key.column.as_deref();
    if column.is_some() && key.privilege != Privilege::Select {
        let text = format!("{} has no columns: SELECT has", key.privilege.as_str());
        return Err(CatalogError::NotGranted(text));
    }
    match &key.object {
        Securable::Database(name) => snapshot.database(name).map(|_| ()),
        Securable::Relation(id) => match (snapshot.relation_by_id(*id), column) {
            (Some(Relation::Table(table)), Some(column)) => check_column(&table.definition, column),
            (Some(_), _) => Ok(()),
            (None, _) => Err(CatalogError::Conflict),
        },
        _ => Ok(()),
    }
}

fn check_column(definition: &TableDefinition, name: &str) -> Result<(), CatalogError> {
    let stored = definition.columns.iter().map(|column| column.name.as_str());
    let partitioning = definition.partition_columns.iter();
    let partitioning = partitioning.map(|column| column.name.as_str());
    let names: Vec<&str> = stored.chain(partitioning).collect();
    match names.contains(&name) {
        true => Ok(()),
        false => Err(CatalogError::ColumnNotFound {
            table: definition.name.clone(),
            column: name.to_owned(),
            suggestion: name::nearest(name, names.into_iter()),
        }),
    }
}

fn grant(snapshot: &CatalogSnapshot, granting: &Granting) -> Result<Vec<Change>, CatalogError> {
    let rules = snapshot.access();
    let mut changes = Vec::new();
    for key in &granting.keys {
        check_key(snapshot, key)?;
        let known = rules.grant(key);
        if known.is_some_and(|known| known.grant_option || !granting.grant_option) {
            continue;
        }
        changes.push(Change::SetGrant(Grant {
            key: key.clone(),
            grant_option: granting.grant_option,
            grantor: granting.grantor.clone(),
        }));
    }
    Ok(changes)
}

fn revoke(snapshot: &CatalogSnapshot, revoking: &Granting) -> Result<Vec<Change>, CatalogError> {
    let rules = snapshot.access();
    let mut changes = Vec::new();
    for key in &revoking.keys {
        check_principal(snapshot, &key.grantee)?;
        // SELECT without columns takes those of columns, too.
        let meant = |grant: &&Grant| {
            let is_same = grant.key.column == key.column || key.column.is_none();
            is_same
                && grant.key.grantee == key.grantee
                && grant.key.object == key.object
                && grant.key.privilege == key.privilege
        };
        for grant in rules.grants.iter().filter(meant) {
            match revoking.grant_option {
                true if !grant.grant_option => {}
                true => changes.push(Change::SetGrant(Grant {
                    grant_option: false,
                    ..grant.clone()
                })),
                false => changes.push(Change::RemoveGrant(grant.key.clone())),
            }
        }
    }
    Ok(changes)
}

/// What changes follow from others: grants go with what they are about, and follow columns to their new names.
pub(super) fn consequences(snapshot: &CatalogSnapshot, changes: &[Change]) -> Vec<Change> {
    let rules = snapshot.access();
    if rules.grants.is_empty() && rules.memberships.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for change in changes {
        match change {
            Change::DropTable { id } | Change::DropView { id } => {
                let object = Securable::Relation(*id);
                remove_grants(rules, |key| key.object == object, &mut found);
            }
            Change::DropDatabase { name } => {
                let object = Securable::Database(name.clone());
                remove_grants(rules, |key| key.object == object, &mut found);
            }
            Change::DropUser { name } => {
                remove_principal(rules, &Principal::User(name.clone()), &mut found);
            }
            Change::DropRole { name } => {
                let role = Principal::Role(name.clone());
                remove_principal(rules, &role, &mut found);
                let of_role = |membership: &&Membership| {
                    membership.role == *name && membership.member != role
                };
                found.extend(rules.memberships.iter().filter(of_role).map(removal));
            }
            Change::UpdateTable { id, definition, .. } => {
                follow_columns(snapshot, *id, definition, &mut found);
            }
            _ => {}
        }
    }
    found
}

fn remove_grants(
    rules: &AccessRules,
    is_meant: impl Fn(&GrantKey) -> bool,
    found: &mut Vec<Change>,
) {
    let keys = rules.grants.iter().map(|grant| &grant.key);
    let meant = keys.filter(|key| is_meant(key));
    found.extend(meant.cloned().map(Change::RemoveGrant));
}

fn remove_principal(rules: &AccessRules, principal: &Principal, found: &mut Vec<Change>) {
    remove_grants(rules, |key| key.grantee == *principal, found);
    let memberships = rules.memberships.iter();
    let own = memberships.filter(|membership| membership.member == *principal);
    found.extend(own.map(removal));
}

fn removal(membership: &Membership) -> Change {
    Change::RemoveMembership {
        role: membership.role.clone(),
        member: membership.member.clone(),
    }
}

/// A grant on a column is one on that column, not on whichever has its name.
fn follow_columns(
    snapshot: &CatalogSnapshot,
    id: TableId,
    definition: &TableDefinition,
    found: &mut Vec<Change>,
) {
    let object = Securable::Relation(id);
    let of_columns = |grant: &&Grant| grant.key.object == object && grant.key.column.is_some();
    let grants: Vec<&Grant> = snapshot.access().grants.iter().filter(of_columns).collect();
    if grants.is_empty() {
        return;
    }
    let Some(Relation::Table(table)) = snapshot.relation_by_id(id) else {
        return;
    };
    let now_called = |name: &str| {
        if definition.partition_column_index(name).is_some() {
            return Some(name.to_owned());
        }
        let columns = &table.definition.columns;
        let old = columns.iter().find(|column| column.name == name)?;
        let mut new = definition.columns.iter();
        let new = new.find(|column| column.id == old.id)?;
        Some(new.name.clone())
    };
    let mut renamed = Vec::new();
    for grant in grants {
        let Some(column) = &grant.key.column else {
            continue;
        };
        let name = now_called(column);
        if name.as_ref() == Some(column) {
            continue;
        }
        found.push(Change::RemoveGrant(grant.key.clone()));
        if let Some(name) = name {
            let mut grant = grant.clone();
            grant.key.column = Some(name);
            renamed.push(Change::SetGrant(grant));
        }
    }
    // What goes goes first: two columns may change their names.
    found.extend(renamed);
}

#[cfg(test)]
mod tests;
