//! The catalog in a PostgreSQL database, which several coordinators may share.
//!
//! Every commit begins with the catalog's one row of state, so that commits take turns and each sees
//! what the one before it has made. The server ends transactions whose process has gone silent, so that
//! none can hold that row for long.

use super::CatalogStore;
use super::database::{Database, failed};
use super::location::DatabaseUrl;
use super::sql_store::SqlStore;
use crate::error::CatalogError;
use sqlx::postgres::PgPoolOptions;
use std::sync::Arc;
use std::time::Duration;

/// Connections of one process.
const CONNECTIONS_MAX: u32 = 8;

/// How long a statement waits for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After how much silence in the middle of a transaction the server ends it.
const SILENCE_MS_MAX: &str = "30000";

/// How long a statement waits for somebody else's transaction; longer than one can be silent.
const LOCK_TIMEOUT_MS: &str = "60000";

/// Connects to the database and brings its schema up to date.
pub async fn open(url: &DatabaseUrl) -> Result<Arc<dyn CatalogStore>, CatalogError> {
    Ok(Arc::new(connect(url).await?))
}

async fn connect(url: &DatabaseUrl) -> Result<SqlStore, CatalogError> {
    let options = url.options()?.application_name("skep").options([
        ("idle_in_transaction_session_timeout", SILENCE_MS_MAX),
        ("lock_timeout", LOCK_TIMEOUT_MS),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(failed("connect"))?;
    SqlStore::open(Database::Postgres(pool)).await
}

#[cfg(test)]
mod tests;
