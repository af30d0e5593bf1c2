//! The lines of roles, memberships and grants, and what users of exports from before there were any get.

use crate::error::CatalogError;
use crate::model::{
    AccessRules, Grant, GrantKey, Membership, Principal, Privilege, Role, Securable, TableId,
};
use crate::store::{Change, encoding};
use serde::{Deserialize, Serialize};

/// The role of the users that could do everything.
const UPGRADED_ROLE: &str = "upgraded_users";

#[derive(Serialize, Deserialize)]
pub(super) struct RoleLine {
    name: String,
    owner: String,
    created_at_us: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MembershipLine {
    role: String,
    member_kind: String,
    member: String,
    admin_option: bool,
    grantor: String,
}

/// One on a table or a view follows that, and has no key: it has another id where it arrives.
#[derive(Serialize, Deserialize)]
pub(super) struct GrantLine {
    grantee_kind: String,
    grantee: String,
    object_kind: String,
    object: String,
    privilege: String,
    column: Option<String>,
    grant_option: bool,
    grantor: String,
}

impl From<&Role> for RoleLine {
    fn from(role: &Role) -> Self {
        Self {
            name: role.name.clone(),
            owner: role.owner.clone(),
            created_at_us: role.created_at.timestamp_micros(),
        }
    }
}

impl From<&Membership> for MembershipLine {
    fn from(membership: &Membership) -> Self {
        Self {
            role: membership.role.clone(),
            member_kind: membership.member.kind().to_owned(),
            member: membership.member.name().to_owned(),
            admin_option: membership.admin_option,
            grantor: membership.grantor.clone(),
        }
    }
}

impl From<&Grant> for GrantLine {
    fn from(grant: &Grant) -> Self {
        let key = &grant.key;
        let (object_kind, object) = key.object.to_parts();
        let object = match key.object {
            Securable::Relation(_) => String::new(),
            _ => object,
        };
        Self {
            grantee_kind: key.grantee.kind().to_owned(),
            grantee: key.grantee.name().to_owned(),
            object_kind: object_kind.to_owned(),
            object,
            privilege: key.privilege.as_str().to_owned(),
            column: key.column.clone(),
            grant_option: grant.grant_option,
            grantor: grant.grantor.clone(),
        }
    }
}

fn principal(kind: &str, name: String) -> Result<Principal, CatalogError> {
    Principal::from_parts(kind, name)
        .ok_or_else(|| CatalogError::Damaged(format!("'{kind}' is granted something")))
}

impl RoleLine {
    pub(super) fn decode(self) -> Result<Change, CatalogError> {
        Ok(Change::CreateRole(Role {
            name: self.name,
            owner: self.owner,
            created_at: encoding::decode_time(self.created_at_us)?,
        }))
    }
}

impl MembershipLine {
    pub(super) fn decode(self) -> Result<Change, CatalogError> {
        Ok(Change::SetMembership(Membership {
            role: self.role,
            member: principal(&self.member_kind, self.member)?,
            admin_option: self.admin_option,
            grantor: self.grantor,
        }))
    }
}

impl GrantLine {
    pub(super) fn decode(self) -> Result<Change, CatalogError> {
        let damaged = |what: &str| CatalogError::Damaged(format!("a grant is of '{what}'"));
        let of_created = Securable::Relation(TableId(0));
        let is_of_created = self.object_kind == of_created.to_parts().0;
        let object = match is_of_created {
            true => of_created,
            false => Securable::from_parts(&self.object_kind, &self.object)
                .ok_or_else(|| damaged(&self.object_kind))?,
        };
        let grant = Grant {
            key: GrantKey {
                grantee: principal(&self.grantee_kind, self.grantee)?,
                object,
                privilege: Privilege::from_name(&self.privilege)
                    .ok_or_else(|| damaged(&self.privilege))?,
                column: self.column,
            },
            grant_option: self.grant_option,
            grantor: self.grantor,
        };
        Ok(match is_of_created {
            true => Change::GrantOnCreated(grant),
            false => Change::SetGrant(grant),
        })
    }
}

/// The grants on what is neither a table nor a view.
pub(super) fn grants_besides_relations(rules: &AccessRules) -> impl Iterator<Item = &Grant> {
    let grants = rules.grants.iter();
    grants.filter(|grant| !matches!(grant.key.object, Securable::Relation(_)))
}

/// What makes the role of those who could do everything.
pub(crate) fn upgraded_role() -> Vec<Change> {
    let on = |object: Securable, privileges: &'static [Privilege]| {
        privileges.iter().map(move |privilege| {
            Change::SetGrant(Grant {
                key: GrantKey {
                    grantee: Principal::Role(UPGRADED_ROLE.to_owned()),
                    object: object.clone(),
                    privilege: *privilege,
                    column: None,
                },
                grant_option: false,
                grantor: String::new(),
            })
        })
    };
    let role = Change::CreateRole(Role {
        name: UPGRADED_ROLE.to_owned(),
        owner: String::new(),
        created_at: chrono::DateTime::UNIX_EPOCH,
    });
    let system = &[Privilege::ViewQueries, Privilege::ManageCluster];
    let catalog = on(Securable::Catalog, Securable::Catalog.privileges());
    let locations = on(Securable::AnyLocation, Securable::AnyLocation.privileges());
    std::iter::once(role)
        .chain(catalog)
        .chain(locations)
        .chain(on(Securable::System, system))
        .collect()
}

/// That `user` has it.
pub(super) fn upgraded_user(user: &str) -> Change {
    Change::SetMembership(Membership {
        role: UPGRADED_ROLE.to_owned(),
        member: Principal::User(user.to_owned()),
        admin_option: false,
        grantor: String::new(),
    })
}
