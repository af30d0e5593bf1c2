//! `CREATE ROLE`, `DROP ROLE`, `GRANT`, `REVOKE` and `SET ROLE`.

use super::users::{check_manages_users, not_permitted};
use crate::engine::Coordinator;
use crate::session::{Session, SessionCatalog};
use crate::statement::{
    AccessStatement, ObjectName, PrincipalName, PrivilegeName, RoleChoice, parse_location,
};
use skep_catalog::catalog::{Granting, RoleGranting};
use skep_catalog::model::{GrantKey, PUBLIC, Principal, Privilege, Securable};
use skep_catalog::rights::all_roles;
use skep_catalog::{CatalogError, CatalogSnapshot, EnabledRoles, Relation};
use skep_protocol::{ErrorCode, QueryError};

impl Coordinator {
    /// Carries out a statement about roles and grants.
    pub(crate) async fn access_command(
        &self,
        session: &Session,
        statement: AccessStatement,
    ) -> Result<(), QueryError> {
        match statement {
            AccessStatement::CreateRole {
                name,
                if_not_exists,
            } => {
                let permit = |snapshot: &CatalogSnapshot| {
                    check_manages_users(&self.rights_in(snapshot, session), "create roles")
                };
                self.catalog
                    .create_role(&name, &session.user, if_not_exists, &permit)
                    .await?;
                Ok(())
            }
            AccessStatement::DropRole { name, if_exists } => {
                let permit = |snapshot: &CatalogSnapshot| {
                    let rights = self.rights_in(snapshot, session);
                    match rights.may_grant_role(snapshot, &name) {
                        true => Ok(()),
                        false => check_manages_users(&rights, "drop roles"),
                    }
                };
                self.catalog.drop_role(&name, if_exists, &permit).await?;
                Ok(())
            }
            AccessStatement::Roles {
                revoke,
                roles,
                principals,
                admin_option,
            } => {
                let snapshot = self.catalog.snapshot();
                let members = principals.iter();
                let members = members.map(|name| find_principal(&snapshot, name));
                let granting = RoleGranting {
                    members: members.collect::<Result<_, _>>()?,
                    roles,
                    admin_option,
                    grantor: session.user.clone(),
                };
                self.grant_roles(session, revoke, &granting).await
            }
            AccessStatement::Privileges {
                revoke,
                privileges,
                object,
                principals,
                grant_option,
            } => {
                let catalog = self.session_catalog(session);
                let object = find_object(&catalog, session, &object)?;
                let granting = Granting {
                    keys: keys(&catalog, &privileges, &object, &principals)?,
                    grant_option,
                    grantor: session.user.clone(),
                };
                self.grant_privileges(session, revoke, &granting).await
            }
            AccessStatement::SetRole(choice) => self.set_role(session, choice),
        }
    }

    async fn grant_roles(
        &self,
        session: &Session,
        revoke: bool,
        granting: &RoleGranting,
    ) -> Result<(), QueryError> {
        let permit = |snapshot: &CatalogSnapshot| {
            let rights = self.rights_in(snapshot, session);
            let mut roles = granting.roles.iter();
            match roles.find(|role| !rights.may_grant_role(snapshot, role)) {
                None => Ok(()),
                Some(role) => {
                    let what = match revoke {
                        true => format!("revoke role '{role}'"),
                        false => format!("grant role '{role}'"),
                    };
                    Err(not_permitted(&rights, &what))
                }
            }
        };
        match revoke {
            true => self.catalog.revoke_roles(granting, &permit).await?,
            false => self.catalog.grant_roles(granting, &permit).await?,
        }
        Ok(())
    }

    async fn grant_privileges(
        &self,
        session: &Session,
        revoke: bool,
        granting: &Granting,
    ) -> Result<(), QueryError> {
        let permit = |snapshot: &CatalogSnapshot| {
            let rights = self.rights_in(snapshot, session);
            let mut keys = granting.keys.iter();
            match keys.find(|key| !rights.may_grant(snapshot, key)) {
                None => Ok(()),
                Some(key) => {
                    let verb = if revoke { "revoke" } else { "grant" };
                    let what = format!("{verb} {} on it", key.privilege.as_str());
                    Err(not_permitted(&rights, &what))
                }
            }
        };
        match revoke {
            true => self.catalog.revoke(granting, &permit).await?,
            false => self.catalog.grant(granting, &permit).await?,
        }
        Ok(())
    }

    fn set_role(&self, session: &Session, choice: RoleChoice) -> Result<(), QueryError> {
        let roles = match choice {
            RoleChoice::All => EnabledRoles::All,
            RoleChoice::None => EnabledRoles::None,
            RoleChoice::One(role) => {
                let snapshot = self.catalog.snapshot();
                let user = Principal::User(session.user.clone());
                // Only its members learn whether there is such a role.
                if !all_roles(snapshot.access(), &user).contains(&role) {
                    let text = format!("user '{}' does not have role '{role}'", session.user);
                    return Err(QueryError::new(ErrorCode::PermissionDenied, text));
                }
                EnabledRoles::One(role)
            }
        };
        self.sessions.update(&session.id, |session| {
            session.roles = roles;
            Ok(())
        })
    }
}

/// Who is meant.
pub(super) fn find_principal(
    snapshot: &CatalogSnapshot,
    name: &PrincipalName,
) -> Result<Principal, QueryError> {
    let has_role = |name: &str| name == PUBLIC || snapshot.access().role(name).is_some();
    Ok(match name {
        PrincipalName::User(name) => Principal::User(snapshot.user(name)?.name.clone()),
        PrincipalName::Either(name) if !has_role(name) => match snapshot.user(name) {
            Ok(user) => Principal::User(user.name.clone()),
            Err(_) => {
                let text = format!("there is no user or role '{name}'");
                return Err(QueryError::new(ErrorCode::UserNotFound, text));
            }
        },
        PrincipalName::Role(name) | PrincipalName::Either(name) => match has_role(name) {
            true => Principal::Role(name.clone()),
            false => return Err(CatalogError::RoleNotFound(name.clone()).into()),
        },
    })
}

/// What is meant, of what the user sees. Nobody else can see what is temporary.
pub(super) fn find_object(
    catalog: &SessionCatalog,
    session: &Session,
    name: &ObjectName,
) -> Result<Securable, QueryError> {
    Ok(match name {
        ObjectName::Catalog => Securable::Catalog,
        ObjectName::System => Securable::System,
        ObjectName::AnyLocation => Securable::AnyLocation,
        ObjectName::Location(location) => {
            Securable::Location(parse_location(location)?.as_directory())
        }
        ObjectName::Database(name) => Securable::Database(catalog.database(name)?.name.clone()),
        ObjectName::Relation(name) => {
            let database = name.database.as_ref().unwrap_or(&session.database);
            let found = catalog.relation(database, &name.table)?;
            if catalog.is_temporary(database, &name.table) {
                let text = format!("'{}' is temporary: nobody else sees it", name.table);
                return Err(QueryError::new(ErrorCode::Semantic, text));
            }
            Securable::Relation(found.id())
        }
    })
}

/// Each combination of a principal, a privilege and a column.
fn keys(
    catalog: &SessionCatalog,
    privileges: &[PrivilegeName],
    object: &Securable,
    principals: &[PrincipalName],
) -> Result<Vec<GrantKey>, QueryError> {
    let snapshot = catalog.permanent();
    let mut keys = Vec::new();
    for principal in principals {
        let grantee = find_principal(snapshot, principal)?;
        let mut add = |privilege: Privilege, column: Option<String>| {
            keys.push(GrantKey {
                grantee: grantee.clone(),
                object: object.clone(),
                privilege,
                column,
            });
        };
        for name in privileges {
            match name {
                PrivilegeName::All => {
                    let all = object.privileges().iter();
                    all.for_each(|privilege| add(*privilege, None));
                }
                PrivilegeName::One { name, columns } => {
                    let privilege = Privilege::from_name(name)
                        .ok_or_else(|| QueryError::internal(format!("no privilege {name}")))?;
                    if !columns.is_empty() {
                        check_has_columns(snapshot, object)?;
                    }
                    match columns.as_slice() {
                        [] => add(privilege, None),
                        columns => {
                            let columns = columns.iter().cloned();
                            columns.for_each(|column| add(privilege, Some(column)));
                        }
                    }
                }
            }
        }
    }
    Ok(keys)
}

fn check_has_columns(snapshot: &CatalogSnapshot, object: &Securable) -> Result<(), QueryError> {
    let found = match object {
        Securable::Relation(id) => snapshot.relation_by_id(*id),
        _ => None,
    };
    match found {
        Some(Relation::Table(_) | Relation::View(_)) => Ok(()),
        None => {
            let text = "columns are of tables and views";
            Err(QueryError::new(ErrorCode::Semantic, text))
        }
    }
}
