//! The versions of the schema.

use super::database::{Database, failed};
use super::rows;
use crate::error::CatalogError;

/// Each takes the schema from the version that is its index to the next.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_users.sql"),
    include_str!("migrations/0003_hive.sql"),
    include_str!("migrations/0004_changes.sql"),
    include_str!("migrations/0005_access.sql"),
];

/// The version of the schema that has roles and grants.
const ACCESS_VERSION: i64 = 5;

/// Brings the schema up to date. A newer one is refused and left alone.
pub(super) async fn migrate(database: &Database) -> Result<(), CatalogError> {
    let failed = failed("update its schema");
    let mut transaction = database.begin_write().await.map_err(&failed)?;
    if let Database::Postgres(_) = database {
        // Several processes may start at the same time, and only one may create the tables.
        let lock = "SELECT pg_advisory_xact_lock(5389287)";
        transaction
            .execute(lock, Vec::new())
            .await
            .map_err(&failed)?;
    }
    let create = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
    transaction
        .execute(create, Vec::new())
        .await
        .map_err(&failed)?;
    let found = transaction
        .query(
            "SELECT COALESCE(MAX(version), 0) FROM schema_version",
            Vec::new(),
            rows::read_number,
            &failed,
        )
        .await?;
    let found = found.first().copied().unwrap_or(0);
    let supported = MIGRATIONS.len() as i64;
    if found > supported {
        return Err(CatalogError::NewerCatalog { found, supported });
    }
    for (version, migration) in (1_i64..)
        .zip(MIGRATIONS)
        .skip(found.unsigned_abs() as usize)
    {
        transaction
            .execute_script(&database.adapt(migration))
            .await
            .map_err(&failed)?;
        let insert = "INSERT INTO schema_version (version) VALUES ($1)";
        transaction
            .execute(insert, vec![version.into()])
            .await
            .map_err(&failed)?;
    }
    let is_upgraded = (1..ACCESS_VERSION).contains(&found);
    let kept = match is_upgraded {
        true => {
            let count = "SELECT COUNT(*) FROM role_members";
            let read = rows::read_number;
            transaction.query(count, Vec::new(), read, &failed).await?
        }
        false => Vec::new(),
    };
    transaction.commit().await.map_err(&failed)?;
    if let Some(users) = kept.first().filter(|users| **users > 0) {
        tracing::warn!(
            users,
            "the catalog has roles and grants now: the users that were there may do what they could, by the \
             role 'upgraded_users'; new users may do nothing until something is granted to them"
        );
    }
    Ok(())
}
