//! CREATE, ALTER and DROP USER. Whether they may be carried out is decided within the change, so that two at the
//! same time cannot leave nobody who may.

use super::denied;
use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::UserStatement;
use skep_catalog::model::Privilege;
use skep_catalog::{CatalogError, CatalogSnapshot, NewUser, Rights};
use skep_protocol::QueryError;

impl Coordinator {
    /// Carries out a statement about users.
    pub(crate) async fn user_command(
        &self,
        session: &Session,
        statement: UserStatement,
    ) -> Result<(), QueryError> {
        match statement {
            UserStatement::Create {
                name,
                password,
                admin,
                if_not_exists,
            } => {
                let permit = |snapshot: &CatalogSnapshot| {
                    let rights = self.rights_in(snapshot, session);
                    match admin {
                        true => only_administrators(&rights, "create administrators"),
                        false => check_manages_users(&rights, "create users"),
                    }
                };
                // A password takes long to hash: not for those who may not.
                permit(&self.catalog.snapshot())?;
                let password_hash = self.identity.hash(password.0).await?;
                let new = NewUser {
                    name,
                    password_hash,
                    admin,
                    if_not_exists,
                };
                self.catalog.create_user(new, &permit).await?;
            }
            UserStatement::Alter { name, password } => {
                let permit = |snapshot: &CatalogSnapshot| match is_self(session, &name) {
                    true => Ok(()),
                    false => {
                        let rights = self.rights_in(snapshot, session);
                        check_manages(&rights, snapshot, &name, "change the passwords of others")
                    }
                };
                permit(&self.catalog.snapshot())?;
                let password_hash = self.identity.hash(password.0).await?;
                self.catalog
                    .alter_user(&name, &password_hash, &permit)
                    .await?;
            }
            UserStatement::Drop { name, if_exists } => {
                let permit = |snapshot: &CatalogSnapshot| {
                    let rights = self.rights_in(snapshot, session);
                    check_manages(&rights, snapshot, &name, "drop users")
                };
                self.catalog.drop_user(&name, if_exists, &permit).await?;
                for session in self.sessions.close_all_of(&name.to_lowercase()) {
                    self.queries
                        .cancel_session(&session.0, "its user was dropped");
                }
            }
        }
        Ok(())
    }
}

fn is_self(session: &Session, name: &str) -> bool {
    name.eq_ignore_ascii_case(&session.user)
}

/// That somebody may not do something, from within a change.
pub(super) fn not_permitted(rights: &Rights, what: &str) -> CatalogError {
    CatalogError::NotPermitted(denied(rights.user(), what).message)
}

fn only_administrators(rights: &Rights, what: &str) -> Result<(), CatalogError> {
    match rights.are_everything() {
        true => Ok(()),
        false => Err(not_permitted(
            rights,
            &format!("{what}: only administrators may"),
        )),
    }
}

pub(super) fn check_manages_users(rights: &Rights, what: &str) -> Result<(), CatalogError> {
    match rights.may_with_system(Privilege::ManageUsers) {
        true => Ok(()),
        false => Err(not_permitted(
            rights,
            &format!("{what}: only administrators and those with MANAGE USERS may"),
        )),
    }
}

/// A user who could change an administrator's password would be one.
fn check_manages(
    rights: &Rights,
    snapshot: &CatalogSnapshot,
    name: &str,
    what: &str,
) -> Result<(), CatalogError> {
    check_manages_users(rights, what)?;
    match snapshot.user(name).is_ok_and(|user| user.admin) {
        true => only_administrators(rights, "change administrators"),
        false => Ok(()),
    }
}
