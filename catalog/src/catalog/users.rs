//! CREATE, ALTER and DROP USER.

use super::{Catalog, Permit};
use crate::error::CatalogError;
use crate::model::{PUBLIC, User, name};
use crate::snapshot::{CatalogSnapshot, Relation};
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
    /// Creates a user; false where there was one of that name already and that is no error. The first one has to be
    /// an administrator: with it everybody has to log in.
    pub async fn create_user(
        &self,
        new: NewUser,
        permit: Permit<'_>,
    ) -> Result<bool, CatalogError> {
        let now = Utc::now();
        self.change(|snapshot| {
            permit(snapshot)?;
            create(snapshot, &new, now)
        })
        .await
    }

    /// Gives a user another password.
    pub async fn alter_user(
        &self,
        name: &str,
        password_hash: &str,
        permit: Permit<'_>,
    ) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            permit(snapshot)?;
            let user = User {
                password_hash: password_hash.to_owned(),
                ..(**snapshot.user(name)?).clone()
            };
            Ok(vec![Change::AlterUser(user)])
        })
        .await
        .map(|_| ())
    }

    /// Drops a user, who owns nothing; false where there was none and that is no error. The last administrator
    /// stays.
    pub async fn drop_user(
        &self,
        name: &str,
        if_exists: bool,
        permit: Permit<'_>,
    ) -> Result<bool, CatalogError> {
        self.change(|snapshot| {
            permit(snapshot)?;
            match snapshot.user(name) {
                Ok(user) => drop(snapshot, user),
                Err(_) if if_exists => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

fn drop(snapshot: &CatalogSnapshot, user: &User) -> Result<Vec<Change>, CatalogError> {
    let others = snapshot.users().filter(|other| other.name != user.name);
    if user.admin && !others.into_iter().any(|other| other.admin) {
        return Err(CatalogError::LastAdministrator(user.name.clone()));
    }
    // What has no owner of whom the catalog knows is an administrator's, and a view of it reads what it likes.
    if let Some(what) = owned(snapshot, &user.name) {
        return Err(CatalogError::UserOwns {
            user: user.name.clone(),
            what,
        });
    }
    Ok(vec![Change::DropUser {
        name: user.name.clone(),
    }])
}

/// Something that `user` owns.
fn owned(snapshot: &CatalogSnapshot, user: &str) -> Option<String> {
    let mut databases = snapshot.databases();
    if let Some(database) = databases.find(|database| database.owner == user) {
        return Some(format!("database '{}'", database.name));
    }
    let databases = snapshot.databases();
    let relations = databases.filter_map(|database| snapshot.relations(&database.name).ok());
    let relation = relations
        .flatten()
        .find(|relation| relation.owner() == user)?;
    let (database, name) = relation.names();
    let kind = match relation {
        Relation::Table(_) => "table",
        Relation::View(_) => "view",
    };
    Some(format!("{kind} '{database}.{name}'"))
}

fn create(
    snapshot: &CatalogSnapshot,
    new: &NewUser,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, CatalogError> {
    let name = name::validate_user(&new.name)?;
    if snapshot.access().role(&name).is_some() || name == PUBLIC {
        return Err(CatalogError::PrincipalExists { name, kind: "role" });
    }
    if !new.admin && snapshot.users().next().is_none() {
        return Err(CatalogError::FirstUserIsNoAdministrator);
    }
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
