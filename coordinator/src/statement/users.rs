//! The statements about users.

use super::UserStatement;
use crate::engine::Coordinator;
use crate::session::Session;
use skep_catalog::NewUser;
use skep_protocol::{ErrorCode, QueryError};

impl Coordinator {
    /// Carries out a statement about users.
    pub(super) async fn user_command(
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
                self.check_admin(session, "create users")?;
                self.check_first_user(admin)?;
                let password_hash = self.identity.hash(password.0).await?;
                let new = NewUser {
                    name,
                    password_hash,
                    admin,
                    if_not_exists,
                };
                self.catalog.create_user(new).await?;
            }
            UserStatement::Alter { name, password } => {
                if !name.eq_ignore_ascii_case(&session.user) {
                    self.check_admin(session, "change the passwords of others")?;
                }
                let password_hash = self.identity.hash(password.0).await?;
                self.catalog.alter_user(&name, &password_hash).await?;
            }
            UserStatement::Drop { name, if_exists } => {
                self.check_admin(session, "drop users")?;
                self.check_last_admin(&name)?;
                self.catalog.drop_user(&name, if_exists).await?;
                for session in self.sessions.close_all_of(&name.to_lowercase()) {
                    self.queries
                        .cancel_session(&session.0, "its user was dropped");
                }
            }
        }
        Ok(())
    }

    /// Refuses what only administrators may do.
    pub(super) fn check_admin(&self, session: &Session, what: &str) -> Result<(), QueryError> {
        match self
            .identity
            .is_admin(&self.catalog.snapshot(), &session.user)
        {
            true => Ok(()),
            false => {
                let text = format!(
                    "user '{}' may not {what}: only administrators may",
                    session.user
                );
                Err(QueryError::new(ErrorCode::PermissionDenied, text))
            }
        }
    }

    /// With the first user everybody has to log in, so somebody has to be left who can create others.
    fn check_first_user(&self, admin: bool) -> Result<(), QueryError> {
        let is_first = self.catalog.snapshot().users().next().is_none();
        match is_first && !admin {
            false => Ok(()),
            true => Err(QueryError::new(
                ErrorCode::InvalidState,
                "the first user has to be an administrator: write ADMIN after the password",
            )),
        }
    }

    fn check_last_admin(&self, name: &str) -> Result<(), QueryError> {
        let snapshot = self.catalog.snapshot();
        let admins: Vec<_> = snapshot.users().filter(|user| user.admin).collect();
        match admins.as_slice() {
            [last] if last.name.eq_ignore_ascii_case(name) => {
                let text = format!("'{}' is the last administrator", last.name);
                Err(QueryError::new(ErrorCode::InvalidState, text))
            }
            _ => Ok(()),
        }
    }
}
