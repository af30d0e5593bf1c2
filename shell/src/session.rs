//! The seam between the shell and the server: what the shell needs of a connection, and the real one.
//! Tests put a fake in its place.

use async_trait::async_trait;
use skep_client::{Client, ClientError, ClientOptions, StatementResult};

/// An open session.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs a statement. Dropping the future cancels it.
    async fn execute(&mut self, sql: &str) -> Result<StatementResult, ClientError>;

    /// Ends a query; false where it has ended already.
    async fn cancel(&mut self, query_id: &str) -> Result<bool, ClientError>;

    /// Ends the session.
    async fn close(self: Box<Self>) -> Result<(), ClientError>;
}

/// Opens sessions: the first one, and another when a connection was lost.
#[async_trait]
pub(crate) trait Connector: Send {
    /// Opens a session.
    async fn connect(&self) -> Result<Box<dyn Session>, ClientError>;

    /// What the sessions are with, for people.
    fn address(&self) -> &str;
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
}

#[async_trait]
impl Session for Client {
    async fn execute(&mut self, sql: &str) -> Result<StatementResult, ClientError> {
        Client::execute(self, sql).await
    }

    async fn cancel(&mut self, query_id: &str) -> Result<bool, ClientError> {
        Client::cancel(self, query_id).await
    }

    async fn close(self: Box<Self>) -> Result<(), ClientError> {
        Client::close(*self).await
    }
}
