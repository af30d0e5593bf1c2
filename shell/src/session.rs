//! The seam between the shell and the server: what the shell needs of a connection, and the real one.
//! Tests put a fake in its place.

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use skep_client::{
    Client, ClientError, ClientOptions, Column, QueryProgress, StatementResult, Table,
};

/// An open session.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs a statement with values for its parameters. Dropping the future cancels it.
    async fn execute(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
    ) -> Result<StatementResult, ClientError>;

    /// Ends a query; false where it has ended already.
    async fn cancel(&mut self, query_id: &str) -> Result<bool, ClientError>;

    /// A second line to the same session, for questions while a statement runs.
    fn aside(&self) -> Option<Box<dyn Aside>>;

    /// Ends the session.
    async fn close(self: Box<Self>) -> Result<(), ClientError>;
}

/// Questions to a session beside its statements.
#[async_trait]
pub(crate) trait Aside: Send {
    /// How far the statements of the session are that have not ended.
    async fn progress(&mut self) -> Result<Vec<QueryProgress>, ClientError>;

    /// Why a query was started again, in a sentence for each time.
    async fn remarks(&mut self, query_id: &str) -> Result<Vec<String>, ClientError>;

    /// The names of all databases.
    async fn databases(&mut self) -> Result<Vec<String>, ClientError>;

    /// All tables and views.
    async fn tables(&mut self) -> Result<Vec<Table>, ClientError>;

    /// The columns of a table.
    async fn columns(&mut self, database: &str, table: &str) -> Result<Vec<Column>, ClientError>;

    /// All rows of a short result.
    async fn rows(&mut self, sql: &str) -> Result<Vec<RecordBatch>, ClientError>;
}

/// Opens sessions: the first one, and another when a connection was lost.
#[async_trait]
pub(crate) trait Connector: Send + Sync {
    /// Opens a session.
    async fn connect(&self) -> Result<Box<dyn Session>, ClientError>;

    /// What the sessions are with, for people.
    fn address(&self) -> &str;

    /// Who opens them.
    fn user(&self) -> &str;
}

/// Sessions over Flight SQL.
pub(crate) struct FlightConnector {
    url: String,
    options: ClientOptions,
}

impl FlightConnector {
    pub(crate) fn new(url: String, options: ClientOptions) -> Self {
        Self { url, options }
    }
}

#[async_trait]
impl Connector for FlightConnector {
    async fn connect(&self) -> Result<Box<dyn Session>, ClientError> {
        Ok(Box::new(
            Client::connect(&self.url, self.options.clone()).await?,
        ))
    }

    fn address(&self) -> &str {
        &self.url
    }

    fn user(&self) -> &str {
        &self.options.user
    }
}

#[async_trait]
impl Session for Client {
    async fn execute(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
    ) -> Result<StatementResult, ClientError> {
        match parameters {
            [] => Client::execute(self, sql).await,
            values => self.execute_with(sql, values).await,
        }
    }

    async fn cancel(&mut self, query_id: &str) -> Result<bool, ClientError> {
        Client::cancel(self, query_id).await
    }

    fn aside(&self) -> Option<Box<dyn Aside>> {
        Some(Box::new(self.clone()))
    }

    async fn close(self: Box<Self>) -> Result<(), ClientError> {
        Client::close(*self).await
    }
}

#[async_trait]
impl Aside for Client {
    async fn progress(&mut self) -> Result<Vec<QueryProgress>, ClientError> {
        Client::progress(self).await
    }

    async fn remarks(&mut self, query_id: &str) -> Result<Vec<String>, ClientError> {
        Client::remarks(self, query_id).await
    }

    async fn databases(&mut self) -> Result<Vec<String>, ClientError> {
        Client::databases(self).await
    }

    async fn tables(&mut self) -> Result<Vec<Table>, ClientError> {
        Client::tables(self, None).await
    }

    async fn columns(&mut self, database: &str, table: &str) -> Result<Vec<Column>, ClientError> {
        Client::columns(self, database, table).await
    }

    async fn rows(&mut self, sql: &str) -> Result<Vec<RecordBatch>, ClientError> {
        Client::execute(self, sql).await?.collect().await
    }
}
