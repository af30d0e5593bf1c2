//! Statements that change something and return no rows.

mod columns;
mod database;
mod storage;
mod table;
mod upkeep;
mod view;

pub(crate) use storage::{
    HEADER_PROPERTY, SORT_PROPERTY, file_bytes_target, file_options, storage_of,
};
pub(crate) use table::{complete, new_managed_table};

use super::{Statement, TableName};
use crate::access::denied;
use crate::engine::Coordinator;
use crate::session::Session;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use skep_catalog::model::Privilege;
use skep_protocol::storage_url::StorageUrl;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use skep_runtime::error::from_datafusion;
use std::sync::Arc;
use url::Url;

impl Coordinator {
    /// Runs a command; returns how many rows it changed, where that has a meaning.
    pub(crate) async fn command(
        &self,
        session: &Session,
        command: Statement,
    ) -> Result<Option<u64>, QueryError> {
        match command {
            Statement::Use(name) => {
                let name = self.session_catalog(session).database(&name)?.name.clone();
                self.sessions.update(&session.id, |session| {
                    session.database = name;
                    Ok(())
                })?;
            }
            Statement::CreateTable(create) => self.create_table(session, *create).await?,
            Statement::AlterTable { name, change } => {
                self.alter_table(session, &name, change).await?;
            }
            Statement::DropTable { name, if_exists } => {
                self.drop_table(session, &name, if_exists).await?;
            }
            Statement::CreateDatabase(_)
            | Statement::AlterDatabase { .. }
            | Statement::DropDatabase { .. } => self.database_command(session, command).await?,
            Statement::Truncate { name, partition } => {
                self.truncate(session, &name, partition).await?;
            }
            Statement::AlterView { name, change } => {
                self.alter_view(session, &name, change).await?
            }
            Statement::DropView { name, if_exists } => {
                let database = self.database_of(session, &name);
                self.catalog_of(session, &database, &name.table)
                    .drop_view(&database, &name.table, if_exists)
                    .await?;
            }
            Statement::RefreshTable(name) => self.refresh_table(session, &name, None).await?,
            Statement::RepairTable { name, repair } => {
                self.refresh_table(session, &name, Some(repair)).await?;
            }
            Statement::Set { name, value } => {
                self.sessions
                    .update(&session.id, |session| session.settings.set(&name, &value))?;
            }
            Statement::Reset(name) => {
                self.sessions.update(&session.id, |session| {
                    session.settings.reset(name.as_deref())
                })?;
            }
            Statement::KillQuery(id) => self.kill(session, &id)?,
            Statement::DrainExecutor(id) => self.drain_executor(&id)?,
            Statement::User(statement) => self.user_command(session, statement).await?,
            Statement::Access(statement) => self.access_command(session, statement).await?,
            Statement::Analyze(_)
            | Statement::CopyFrom(_)
            | Statement::CopyTo(_)
            | Statement::CreateView(_)
            | Statement::Explain(_)
            | Statement::Insert(_)
            | Statement::InsertDirectory(_)
            | Statement::LoadData(_)
            | Statement::Query(_)
            | Statement::Show(_)
            | Statement::Vacuum { .. } => {
                return Err(QueryError::internal("the statement is not a command"));
            }
        }
        Ok(None)
    }

    /// The database that a name refers to.
    pub(crate) fn database_of(&self, session: &Session, name: &TableName) -> String {
        name.database
            .clone()
            .unwrap_or_else(|| session.database.clone())
    }

    fn kill(&self, session: &Session, id: &str) -> Result<(), QueryError> {
        let not_found = || {
            let text = format!("there is no running query '{id}'; see SHOW QUERIES");
            QueryError::new(ErrorCode::QueryNotFound, text)
        };
        let query: QueryId = id.parse().map_err(|_| not_found())?;
        let owner = self.queries.status(&query).map(|status| status.user);
        if owner.is_some_and(|owner| owner != session.user) {
            let rights = self.rights(session);
            match rights.may_with_system(Privilege::KillQueries) {
                true => {}
                false if rights.may_with_system(Privilege::ViewQueries) => {
                    return Err(denied(&session.user, "end the queries of others"));
                }
                // Who may not see it is not told that it is there.
                false => return Err(not_found()),
            }
        }
        match self
            .queries
            .cancel(&query, &format!("killed by {}", session.user))
        {
            true => Ok(()),
            false => Err(not_found()),
        }
    }

    /// Has an executor take no new tasks and leave once it has none.
    fn drain_executor(&self, id: &str) -> Result<(), QueryError> {
        match self.members.drain(id) {
            true => Ok(()),
            false => {
                let text = format!("executor '{id}' not found; see SHOW EXECUTORS");
                Err(QueryError::new(ErrorCode::InvalidArgument, text))
            }
        }
    }

    /// The store of a location.
    pub(crate) fn object_store(
        &self,
        location: &StorageUrl,
    ) -> Result<Arc<dyn ObjectStore>, QueryError> {
        let url = Url::parse(&location.store_url()).map_err(|error| {
            QueryError::internal(format!("'{}' is not a URL: {error}", location.store_url()))
        })?;
        let registry: &Arc<dyn ObjectStoreRegistry> = &self.planner.runtime.object_store_registry;
        registry
            .get_store(&url)
            .map_err(|error| from_datafusion(&error))
    }
}

/// A location as a statement writes it.
pub(crate) fn parse_location(text: &str) -> Result<StorageUrl, QueryError> {
    StorageUrl::parse(text).map_err(QueryError::from)
}
