//! Rows that a client sends need what INSERT, CREATE TABLE and DROP TABLE need.

use super::denied;
use crate::engine::Coordinator;
use crate::service::{IfExists, IfMissing, IngestTarget};
use crate::session::Session;
use skep_catalog::model::Privilege;
use skep_catalog::{CatalogError, Relation};
use skep_protocol::QueryError;

impl Coordinator {
    /// Whether `session` may send rows into `target`.
    ///
    /// # Errors
    /// `PermissionDenied`; where its user may not know of a table, that of one that is not there.
    pub(crate) fn authorise_ingest(
        &self,
        session: &Session,
        target: &IngestTarget,
        (if_missing, if_exists): (IfMissing, IfExists),
    ) -> Result<(), QueryError> {
        let mut catalog = self.session_catalog(session);
        // Only rows that are appended go into what SQL finds by that name: what is temporary hides nothing else.
        if (if_missing, if_exists) != (IfMissing::Fail, IfExists::Append) {
            catalog = catalog.without_temporary();
        }
        // What is temporary is the session's own.
        if target.temporary || catalog.rights().are_everything() {
            return Ok(());
        }
        let database = target.database.as_ref().unwrap_or(&session.database);
        let check_creates = || {
            let database = catalog.database(database)?;
            match catalog.rights().may_in(database, &[Privilege::Create]) {
                true => Ok(()),
                false => {
                    let what = format!("CREATE in database '{}'", database.name);
                    Err(denied(&session.user, &what))
                }
            }
        };
        let check =
            |relation: &Relation, privilege: Privilege| match catalog.may(relation, &[privilege]) {
                true => Ok(()),
                false => {
                    let (database, name) = relation.names();
                    let what = format!("{} '{database}.{name}'", privilege.as_str());
                    Err(denied(&session.user, &what))
                }
            };
        match (catalog.relation(database, &target.table), if_exists) {
            (Ok(found), IfExists::Append) => check(found, Privilege::Insert),
            (Ok(found), IfExists::Replace) => {
                check(found, Privilege::Drop)?;
                check_creates()
            }
            (Ok(_), IfExists::Fail) => check_creates(),
            (Err(CatalogError::TableNotFound { .. }), _) if if_missing == IfMissing::Create => {
                check_creates()?;
                // One that is there and not seen is in the way as if it were seen.
                let permanent = catalog.permanent();
                match permanent.find_relation(database, &target.table) {
                    None => Ok(()),
                    Some(found) => {
                        let (database, name) = found.names();
                        Err(CatalogError::TableExists {
                            database: database.to_owned(),
                            name: name.to_owned(),
                        }
                        .into())
                    }
                }
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}
