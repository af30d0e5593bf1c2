//! The question, and how it is answered.

use super::denied;
use super::needs::{Need, needs};
use crate::engine::Coordinator;
use crate::session::{Session, SessionCatalog};
use crate::statement::{Statement, TableName, parse_location};
use skep_catalog::model::Privilege;
use skep_catalog::rights::Readable;
use skep_catalog::{CatalogError, Relation};
use skep_protocol::QueryError;
use skep_protocol::storage_url::StorageUrl;

/// What becomes of a statement that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may run.
    MayRun,
    /// It has nothing to do: IF EXISTS names what is not there for its user.
    NothingThere,
}

impl Coordinator {
    /// Whether `session` may run `statement`, as far as that is not asked where its names are looked up.
    ///
    /// # Errors
    /// `PermissionDenied`; where its user may not know of something, that of what is not there.
    pub(crate) async fn authorise(
        &self,
        session: &Session,
        statement: &Statement,
    ) -> Result<Verdict, QueryError> {
        let catalog = self.session_catalog(session);
        if catalog.rights().are_everything() {
            if let Some(owner) = new_owner(statement) {
                self.check_owner(&catalog, owner)?;
            }
            return Ok(Verdict::MayRun);
        }
        let question = Question {
            catalog: &catalog,
            session,
        };
        for need in needs(statement) {
            if let Need::AtLocation { location, all_of } = &need {
                self.check_location(&catalog, location, all_of).await?;
                continue;
            }
            if let Need::IsUser(name) = &need {
                self.check_owner(&catalog, name)?;
                continue;
            }
            if question.answer(&need)? == Verdict::NothingThere {
                return Ok(Verdict::NothingThere);
            }
        }
        Ok(Verdict::MayRun)
    }

    /// Whether the user of `catalog` may do that at a place. Links are followed.
    ///
    /// # Errors
    /// Those of places that are not open, whatever is there.
    pub(crate) async fn check_location(
        &self,
        catalog: &SessionCatalog,
        location: &str,
        all_of: &[Privilege],
    ) -> Result<(), QueryError> {
        let location: StorageUrl = parse_location(location)?;
        let roots = &self.config.allowed_roots;
        let roots = catalog.rights().narrow(roots, all_of);
        let checked = tokio::task::spawn_blocking(move || roots.check(&location)).await;
        let checked =
            checked.map_err(|error| QueryError::internal(format!("a check failed: {error}")))?;
        checked.map_err(QueryError::from)
    }

    /// What belongs to somebody belongs to a user, once there are users: what belongs to nobody is an
    /// administrator's.
    fn check_owner(&self, catalog: &SessionCatalog, name: &str) -> Result<(), QueryError> {
        if catalog.rights().are_unchecked() {
            return Ok(());
        }
        catalog.permanent().user(name)?;
        Ok(())
    }
}

/// Who is to own something.
fn new_owner(statement: &Statement) -> Option<&str> {
    use crate::statement::{DatabaseChange, TableChange, ViewChange};
    match statement {
        Statement::AlterDatabase {
            change: DatabaseChange::SetOwner(owner),
            ..
        }
        | Statement::AlterTable {
            change: TableChange::SetOwner(owner),
            ..
        }
        | Statement::AlterView {
            change: ViewChange::SetOwner(owner),
            ..
        } => Some(owner),
        _ => None,
    }
}

struct Question<'a> {
    catalog: &'a SessionCatalog,
    session: &'a Session,
}

impl Question<'_> {
    fn user(&self) -> &str {
        &self.session.user
    }

    fn database_of<'b>(&'b self, name: &'b TableName) -> &'b str {
        name.database.as_deref().unwrap_or(&self.session.database)
    }

    fn relation(&self, name: &TableName) -> Result<&Relation, QueryError> {
        let found = self.catalog.relation(self.database_of(name), &name.table);
        found.map_err(QueryError::from)
    }

    fn is_temporary(&self, name: &TableName) -> bool {
        self.catalog
            .is_temporary(self.database_of(name), &name.table)
    }

    fn answer(&self, need: &Need) -> Result<Verdict, QueryError> {
        let rights = self.catalog.rights();
        let is_met = match need {
            Need::OnRelation {
                name,
                any_of,
                if_exists,
            } => return self.on_relation(name, any_of, *if_exists),
            Need::InDatabase {
                name,
                privilege,
                if_exists,
            } => return self.in_database(name.as_deref(), *privilege, *if_exists),
            Need::KnowsRelation(name) => {
                let relation = self.relation(name)?;
                // A view's query names what its owner may know of.
                let is_view = matches!(relation, Relation::View(_));
                let shown = self.catalog.shown(relation) == Readable::All;
                shown && (!is_view || self.catalog.may(relation, &[Privilege::Alter]))
            }
            Need::ReadsRelation(name) => {
                self.catalog.readable(self.relation(name)?) == Readable::All
            }
            Need::OwnsRelation(name) => {
                let relation = self.relation(name)?;
                self.is_temporary(name) || rights.own_relation(self.catalog.permanent(), relation)
            }
            Need::RedefinesView(name) => {
                self.is_temporary(name) || rights.are_owners(self.relation(name)?)
            }
            Need::ReplacesView(name) => return self.replaces_view(name),
            Need::OwnsDatabase(name) => rights.own_database(self.catalog.database(name)?),
            Need::OnCatalog(privilege) => rights.may_everywhere(*privilege),
            Need::OnSystem(privilege) => rights.may_with_system(*privilege),
            // Asked where the store and the users are at hand.
            Need::AtLocation { .. } | Need::IsUser(_) => true,
        };
        match is_met {
            true => Ok(Verdict::MayRun),
            false => Err(denied(self.user(), &self.describe(need))),
        }
    }

    fn on_relation(
        &self,
        name: &TableName,
        any_of: &[Privilege],
        if_exists: bool,
    ) -> Result<Verdict, QueryError> {
        let relation = match self.catalog.relation(self.database_of(name), &name.table) {
            Ok(relation) => relation,
            Err(CatalogError::TableNotFound { .. } | CatalogError::DatabaseNotFound { .. })
                if if_exists =>
            {
                return Ok(Verdict::NothingThere);
            }
            Err(error) => return Err(error.into()),
        };
        match self.catalog.may(relation, any_of) {
            true => Ok(Verdict::MayRun),
            false => {
                let (database, name) = relation.names();
                let what = format!("{} '{database}.{name}'", words(any_of));
                Err(denied(self.user(), &what))
            }
        }
    }

    fn in_database(
        &self,
        name: Option<&str>,
        privilege: Privilege,
        if_exists: bool,
    ) -> Result<Verdict, QueryError> {
        let database = match self
            .catalog
            .database(name.unwrap_or(&self.session.database))
        {
            Ok(database) => database,
            Err(CatalogError::DatabaseNotFound { .. }) if if_exists => {
                return Ok(Verdict::NothingThere);
            }
            Err(error) => return Err(error.into()),
        };
        match self.catalog.rights().may_in(database, &[privilege]) {
            true => Ok(Verdict::MayRun),
            false => {
                let what = match privilege {
                    Privilege::Create => "CREATE in database".to_owned(),
                    other => format!("{} database", other.as_str()),
                };
                Err(denied(self.user(), &format!("{what} '{}'", database.name)))
            }
        }
    }

    /// What is there and not seen is in the way as what is seen is.
    fn replaces_view(&self, name: &TableName) -> Result<Verdict, QueryError> {
        let (database, table) = (self.database_of(name), &name.table);
        let permanent = self.catalog.permanent();
        let Some(found) = permanent.find_relation(database, table) else {
            return Ok(Verdict::MayRun);
        };
        let rights = self.catalog.rights();
        if rights.are_owners(found) {
            return Ok(Verdict::MayRun);
        }
        match rights.see(permanent, found) {
            true => {
                let (database, name) = found.names();
                let what = format!("replace '{database}.{name}': only its owner may");
                Err(denied(self.user(), &what))
            }
            false => Err(CatalogError::TableExists {
                database: database.to_owned(),
                name: table.clone(),
            }
            .into()),
        }
    }

    fn describe(&self, need: &Need) -> String {
        let quoted = |name: &TableName| format!("'{}.{}'", self.database_of(name), name.table);
        match need {
            Need::KnowsRelation(name) => format!("see what {} is", quoted(name)),
            Need::ReadsRelation(name) => format!("SELECT all columns of {}", quoted(name)),
            Need::OwnsRelation(name) => {
                format!("give {} to somebody: only its owner may", quoted(name))
            }
            Need::RedefinesView(name) => {
                format!("change what view {} is: only its owner may", quoted(name))
            }
            Need::OwnsDatabase(name) => {
                format!("give database '{name}' to somebody: only its owner may")
            }
            Need::OnCatalog(privilege) => format!("{} databases", privilege.as_str()),
            Need::OnSystem(privilege) => format!("do that: it needs {}", privilege.as_str()),
            Need::OnRelation { .. }
            | Need::InDatabase { .. }
            | Need::ReplacesView(_)
            | Need::AtLocation { .. }
            | Need::IsUser(_) => "do that".to_owned(),
        }
    }
}

fn words(privileges: &[Privilege]) -> String {
    let words: Vec<&str> = privileges
        .iter()
        .map(|privilege| privilege.as_str())
        .collect();
    let preposition = match privileges {
        [Privilege::Insert] => " into",
        [Privilege::Delete] => " from",
        _ => "",
    };
    format!("{}{preposition}", words.join(" or "))
}
