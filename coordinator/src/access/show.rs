//! `SHOW ROLES`, `SHOW GRANT` and their like: to administrators and those who manage users, all of it; to others,
//! what is about them and what they may grant.

use super::commands::{find_object, find_principal};
use super::denied;
use crate::engine::Coordinator;
use crate::session::{Session, SessionCatalog};
use crate::statement::{PrincipalName, ShowAccess};
use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use skep_catalog::model::{Grant, Principal, Privilege, Securable};
use skep_protocol::QueryError;
use std::sync::Arc;

/// The columns of what is shown. All are text.
fn columns(what: &ShowAccess) -> &'static [&'static str] {
    match what {
        ShowAccess::Roles | ShowAccess::CurrentRoles => &["role"],
        ShowAccess::RolesOf(_) => &["role", "admin_option", "grantor"],
        ShowAccess::Members(_) => &["principal", "principal_type", "admin_option", "grantor"],
        ShowAccess::Grants { .. } => &[
            "object_type",
            "database",
            "object",
            "column",
            "principal",
            "principal_type",
            "privilege",
            "grant_option",
            "grantor",
        ],
    }
}

/// The schema of what is shown.
pub(crate) fn schema(what: &ShowAccess) -> SchemaRef {
    let fields = columns(what).iter();
    let fields = fields.map(|name| Field::new(*name, DataType::Utf8, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

type Row = Vec<Option<String>>;

/// What is shown.
///
/// # Errors
/// Where somebody or something is not there or is not shown to the user.
pub(crate) fn rows(
    engine: &Coordinator,
    session: &Session,
    what: &ShowAccess,
) -> Result<Vec<ArrayRef>, QueryError> {
    let catalog = engine.session_catalog(session);
    let rows = match what {
        ShowAccess::Roles => roles(&catalog),
        ShowAccess::CurrentRoles => one_column(catalog.rights().roles()),
        ShowAccess::RolesOf(name) => roles_of(&catalog, session, name)?,
        ShowAccess::Members(role) => members(&catalog, role)?,
        ShowAccess::Grants { principal, object } => {
            let snapshot = catalog.permanent();
            let object = object.as_ref();
            let object = object.map(|name| find_object(&catalog, session, name));
            let object = object.transpose()?;
            let is_meant = |grant: &&Grant| {
                let key = &grant.key;
                principal
                    .as_ref()
                    .is_none_or(|of| is_named(of, &key.grantee))
                    && object.as_ref().is_none_or(|on| *on == key.object)
            };
            let grants = catalog.rights().shown_grants(snapshot);
            grants
                .into_iter()
                .filter(is_meant)
                .filter_map(|grant| grant_row(&catalog, grant))
                .collect()
        }
    };
    let column = |index: usize| -> ArrayRef {
        let values = rows
            .iter()
            .map(|row: &Row| row.get(index).cloned().flatten());
        Arc::new(values.collect::<StringArray>())
    };
    Ok((0..columns(what).len()).map(column).collect())
}

/// Whether a statement means somebody. Whether there is somebody else of that name is not told.
fn is_named(name: &PrincipalName, principal: &Principal) -> bool {
    match name {
        PrincipalName::User(name) => *principal == Principal::User(name.clone()),
        PrincipalName::Role(name) => *principal == Principal::Role(name.clone()),
        PrincipalName::Either(name) => principal.name() == name,
    }
}

fn one_column<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Row> {
    values.map(|value| vec![Some(value.to_owned())]).collect()
}

fn yes_no(yes: bool) -> Option<String> {
    Some(if yes { "YES" } else { "NO" }.to_owned())
}

fn sees_all(catalog: &SessionCatalog) -> bool {
    catalog.rights().may_with_system(Privilege::ManageUsers)
}

fn roles(catalog: &SessionCatalog) -> Vec<Row> {
    let snapshot = catalog.permanent();
    let mut names = catalog.rights().own_roles(snapshot);
    for role in &snapshot.access().roles {
        if sees_all(catalog) || catalog.rights().may_grant_role(snapshot, &role.name) {
            names.insert(role.name.clone());
        }
    }
    one_column(names.iter().map(String::as_str))
}

fn roles_of(
    catalog: &SessionCatalog,
    session: &Session,
    name: &PrincipalName,
) -> Result<Vec<Row>, QueryError> {
    let snapshot = catalog.permanent();
    let own = catalog.rights().own_roles(snapshot);
    let is_own = match name {
        PrincipalName::User(name) => *name == session.user,
        PrincipalName::Role(name) => own.contains(name),
        PrincipalName::Either(name) => *name == session.user || own.contains(name),
    };
    if !is_own && !sees_all(catalog) {
        return Err(denied(&session.user, "see the roles of others"));
    }
    let member = find_principal(snapshot, name)?;
    let memberships = snapshot.access().memberships.iter();
    let own = memberships.filter(|membership| membership.member == member);
    Ok(own
        .map(|membership| {
            vec![
                Some(membership.role.clone()),
                yes_no(membership.admin_option),
                Some(membership.grantor.clone()),
            ]
        })
        .collect())
}

fn members(catalog: &SessionCatalog, role: &str) -> Result<Vec<Row>, QueryError> {
    let snapshot = catalog.permanent();
    let rights = catalog.rights();
    if !sees_all(catalog) && !rights.may_grant_role(snapshot, role) {
        return Err(denied(rights.user(), &format!("see who has role '{role}'")));
    }
    if snapshot.access().role(role).is_none() {
        return Err(skep_catalog::CatalogError::RoleNotFound(role.to_owned()).into());
    }
    let memberships = snapshot.access().memberships.iter();
    let own = memberships.filter(|membership| membership.role == role);
    Ok(own
        .map(|membership| {
            vec![
                Some(membership.member.name().to_owned()),
                Some(membership.member.kind().to_owned()),
                yes_no(membership.admin_option),
                Some(membership.grantor.clone()),
            ]
        })
        .collect())
}

fn grant_row(catalog: &SessionCatalog, grant: &Grant) -> Option<Row> {
    let key = &grant.key;
    let (kind, name) = key.object.to_parts();
    let (kind, database, object) = match &key.object {
        Securable::Relation(id) => {
            let relation = catalog.permanent().relation_by_id(*id)?;
            let (database, name) = relation.names();
            let kind = match relation {
                skep_catalog::Relation::Table(_) => "TABLE",
                skep_catalog::Relation::View(_) => "VIEW",
            };
            (kind, Some(database.to_owned()), Some(name.to_owned()))
        }
        Securable::Database(name) => (kind, Some(name.clone()), None),
        Securable::Location(_) => (kind, None, Some(name)),
        Securable::Catalog | Securable::AnyLocation | Securable::System => (kind, None, None),
    };
    Some(vec![
        Some(kind.to_owned()),
        database,
        object,
        key.column.clone(),
        Some(key.grantee.name().to_owned()),
        Some(key.grantee.kind().to_owned()),
        Some(key.privilege.as_str().to_owned()),
        yes_no(grant.grant_option),
        Some(grant.grantor.clone()),
    ])
}
