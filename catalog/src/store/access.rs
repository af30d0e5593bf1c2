//! How roles, memberships and grants are kept.

use super::database::{Row, Transaction, Value};
use super::{Change, encoding};
use crate::error::CatalogError;
use crate::model::{
    AccessRules, Grant, GrantKey, Membership, Principal, Privilege, Role, Securable,
};

const SELECT_ROLES: &str = "SELECT name, owner, created_at FROM roles";

const SELECT_MEMBERSHIPS: &str =
    "SELECT role_name, member_kind, member_name, admin_option, grantor FROM role_members";

const SELECT_GRANTS: &str = "SELECT grantee_kind, grantee_name, object_kind, object_key, privilege, \
     column_name, grant_option, grantor FROM grants";

const INSERT_ROLE: &str = "INSERT INTO roles (name, owner, created_at) VALUES ($1, $2, $3)";

const DELETE_ROLE: &str = "DELETE FROM roles WHERE name = $1";

const SET_MEMBERSHIP: &str = "INSERT INTO role_members \
     (role_name, member_kind, member_name, admin_option, grantor) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (role_name, member_kind, member_name) \
     DO UPDATE SET admin_option = excluded.admin_option, grantor = excluded.grantor";

const DELETE_MEMBERSHIP: &str = "DELETE FROM role_members \
     WHERE role_name = $1 AND member_kind = $2 AND member_name = $3";

const SET_GRANT: &str = "INSERT INTO grants (grantee_kind, grantee_name, object_kind, object_key, \
     privilege, column_name, grant_option, grantor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (grantee_kind, grantee_name, object_kind, object_key, privilege, column_name) \
     DO UPDATE SET grant_option = excluded.grant_option, grantor = excluded.grantor";

const DELETE_GRANT: &str = "DELETE FROM grants WHERE grantee_kind = $1 AND grantee_name = $2 \
     AND object_kind = $3 AND object_key = $4 AND privilege = $5 AND column_name = $6";

/// All that is kept.
pub(super) async fn read(transaction: &mut Transaction) -> Result<AccessRules, CatalogError> {
    Ok(AccessRules {
        roles: read_all(transaction, SELECT_ROLES, read_role).await?,
        memberships: read_all(transaction, SELECT_MEMBERSHIPS, read_membership).await?,
        grants: read_all(transaction, SELECT_GRANTS, read_grant).await?,
    })
}

async fn read_all<T>(
    transaction: &mut Transaction,
    statement: &str,
    read: fn(&Row) -> Result<T, CatalogError>,
) -> Result<Vec<T>, CatalogError> {
    let failed = |source| CatalogError::Store {
        action: "read roles and grants",
        source,
    };
    transaction.query(statement, Vec::new(), read, failed).await
}

async fn write(
    transaction: &mut Transaction,
    statement: &str,
    values: Vec<Value>,
) -> Result<u64, CatalogError> {
    let written = transaction.execute(statement, values).await;
    written.map_err(|source| CatalogError::Store {
        action: "write a change of access",
        source,
    })
}

/// Runs a statement that must change one row: anything else was decided from another state.
async fn write_one(
    transaction: &mut Transaction,
    statement: &str,
    values: Vec<Value>,
) -> Result<(), CatalogError> {
    match write(transaction, statement, values).await? {
        1 => Ok(()),
        rows => Err(CatalogError::Damaged(format!("{rows} rows: {statement}"))),
    }
}

fn read_role(row: &Row) -> Result<Role, CatalogError> {
    Ok(Role {
        name: row.get("name")?,
        owner: row.get("owner")?,
        created_at: encoding::decode_time(row.get("created_at")?)?,
    })
}

fn principal(kind: &str, name: String) -> Result<Principal, CatalogError> {
    Principal::from_parts(kind, name)
        .ok_or_else(|| CatalogError::Damaged(format!("'{kind}' is granted something")))
}

fn read_membership(row: &Row) -> Result<Membership, CatalogError> {
    Ok(Membership {
        role: row.get("role_name")?,
        member: principal(row.get("member_kind")?, row.get("member_name")?)?,
        admin_option: row.get("admin_option")?,
        grantor: row.get("grantor")?,
    })
}

fn read_grant(row: &Row) -> Result<Grant, CatalogError> {
    let (kind, key): (&str, &str) = (row.get("object_kind")?, row.get("object_key")?);
    let object = Securable::from_parts(kind, key)
        .ok_or_else(|| CatalogError::Damaged(format!("a grant is on {kind} '{key}'")))?;
    let privilege: &str = row.get("privilege")?;
    let column: String = row.get("column_name")?;
    Ok(Grant {
        key: GrantKey {
            grantee: principal(row.get("grantee_kind")?, row.get("grantee_name")?)?,
            object,
            privilege: Privilege::from_name(privilege)
                .ok_or_else(|| CatalogError::Damaged(format!("privilege '{privilege}'")))?,
            column: (!column.is_empty()).then_some(column),
        },
        grant_option: row.get("grant_option")?,
        grantor: row.get("grantor")?,
    })
}

/// Carries out a change of roles, memberships or grants.
pub(super) async fn apply(
    transaction: &mut Transaction,
    change: &Change,
) -> Result<(), CatalogError> {
    match change {
        Change::CreateRole(role) => {
            let values = vec![
                role.name.as_str().into(),
                role.owner.as_str().into(),
                role.created_at.timestamp_micros().into(),
            ];
            write_one(transaction, INSERT_ROLE, values).await
        }
        Change::DropRole { name } => {
            write_one(transaction, DELETE_ROLE, vec![name.as_str().into()]).await
        }
        Change::SetMembership(membership) => {
            let mut values = membership_key(&membership.role, &membership.member);
            values.push(membership.admin_option.into());
            values.push(membership.grantor.as_str().into());
            write(transaction, SET_MEMBERSHIP, values).await.map(drop)
        }
        Change::RemoveMembership { role, member } => {
            let values = membership_key(role, member);
            write_one(transaction, DELETE_MEMBERSHIP, values).await
        }
        Change::SetGrant(grant) => {
            let mut values = grant_key(&grant.key);
            values.push(grant.grant_option.into());
            values.push(grant.grantor.as_str().into());
            write(transaction, SET_GRANT, values).await.map(drop)
        }
        Change::RemoveGrant(key) => write_one(transaction, DELETE_GRANT, grant_key(key)).await,
        _ => Err(CatalogError::Damaged(
            "a change of another kind came where one of access was expected".to_owned(),
        )),
    }
}

fn membership_key(role: &str, member: &Principal) -> Vec<Value> {
    vec![role.into(), member.kind().into(), member.name().into()]
}

fn grant_key(key: &GrantKey) -> Vec<Value> {
    let (kind, object) = key.object.to_parts();
    vec![
        key.grantee.kind().into(),
        key.grantee.name().into(),
        kind.into(),
        object.into(),
        key.privilege.as_str().into(),
        key.column.as_deref().unwrap_or_default().into(),
    ]
}
