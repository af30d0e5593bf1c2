//! CREATE, ALTER and DROP USER.

use super::Catalog;
use crate::error::CatalogError;
use crate::model::{User, name};
use crate::snapshot::CatalogSnapshot;
use crate::store::Change;
use chrono::{DateTime, Utc};
use std::fmt;

/// CREATE USER.
#[derive(Clone)]
pub struct NewUser {
    /// In any case.
    pub name: String,
    /// The password, hashed.
    pub password_hash: String,
    /// Whether they may do everything.
    pub admin: bool,
    /// Whether they may be there already.
    pub if_not_exists: bool,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("name", &self.name)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

impl Catalog {
    /// Creates a user; false where there was one of that name already and that is no error.
    pub async fn create_user(&self, new: NewUser) -> Result<bool, CatalogError> {
        let now = Utc::now();
        self.change(|snapshot| create(snapshot, &new, now)).await
    }

    /// Gives a user another password.
    pub async fn alter_user(&self, name: &str, password_hash: &str) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            let user = User {
                password_hash: password_hash.to_owned(),
                ..(**snapshot.user(name)?).clone()
            };
            Ok(vec![Change::AlterUser(user)])
        })
        .await
        .map(|_| ())
    }

    /// Drops a user; false where there was none and that is no error.
    pub async fn drop_user(&self, name: &str, if_exists: bool) -> Result<bool, CatalogError> {
        self.change(|snapshot| match snapshot.user(name) {
            Ok(user) => Ok(vec![Change::DropUser {
                name: user.name.clone(),
            }]),
            Err(_) if if_exists => Ok(Vec::new()),
            Err(error) => Err(error),
        })
        .await
    }
}

fn create(
    snapshot: &CatalogSnapshot,
    new: &NewUser,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, CatalogError> {
    let name = name::validate_user(&new.name)?;
    match (snapshot.user(&name).is_ok(), new.if_not_exists) {
        (true, true) => Ok(Vec::new()),
        (true, false) => Err(CatalogError::UserExists(name)),
        (false, _) => Ok(vec![Change::CreateUser(User {
            name,
            password_hash: new.password_hash.clone(),
            admin: new.admin,
            created_at: now,
        })]),
    }
}
