//! Databases.

use super::parse_location;
use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::{CreateDatabase, DatabaseChange, Statement};
use skep_catalog::NewDatabase;
use skep_catalog::catalog::DatabaseChange as CatalogChange;
use skep_protocol::QueryError;

impl Coordinator {
    /// Runs a statement about a database.
    pub(super) async fn database_command(
        &self,
        session: &Session,
        statement: Statement,
    ) -> Result<(), QueryError> {
        match statement {
            Statement::CreateDatabase(create) => self.create_database(session, create).await,
            Statement::AlterDatabase { name, change } => self.alter_database(&name, change).await,
            Statement::DropDatabase {
                name,
                if_exists,
                cascade,
            } => {
                self.catalog
                    .drop_database(&name, if_exists, cascade)
                    .await?;
                Ok(())
            }
            _ => Err(QueryError::internal("the statement is about no database")),
        }
    }

    async fn create_database(
        &self,
        session: &Session,
        create: CreateDatabase,
    ) -> Result<(), QueryError> {
        let location = create.location.as_deref().map(parse_location).transpose()?;
        let new = NewDatabase {
            name: create.name,
            if_not_exists: create.if_not_exists,
            comment: create.comment,
            location,
            properties: create.properties,
            owner: session.user.clone(),
        };
        self.catalog.create_database(new).await?;
        Ok(())
    }

    async fn alter_database(&self, name: &str, change: DatabaseChange) -> Result<(), QueryError> {
        let change = match change {
            DatabaseChange::SetProperties(properties) => CatalogChange::SetProperties(properties),
            DatabaseChange::SetOwner(owner) => CatalogChange::SetOwner(owner),
            DatabaseChange::SetLocation(location) => {
                CatalogChange::SetLocation(parse_location(&location)?)
            }
        };
        self.catalog.alter_database(name, change).await?;
        Ok(())
    }
}
