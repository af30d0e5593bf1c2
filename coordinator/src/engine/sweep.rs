//! The background job that removes files which no table needs: what VACUUM does, without anybody
//! having to think of it.
//!
//! Coordinators that share a catalog may all run it, even at the same time: each removes only what
//! no version of the catalog knows, and a file that somebody else has removed is gone either way. What
//! no coordinator can see is what another one is writing, which is why a statement that shares its
//! catalog is not committed when it has run for so long that its files may have been swept.

use super::{Coordinator, Engine};
use crate::query::QueryHandle;
use crate::session::Session;
use chrono::Utc;
use object_store::ObjectMeta;
use skep_catalog::catalog::WriteCommit;
use skep_catalog::{Catalog, CatalogLocation};
use skep_protocol::storage_url::StorageUrl;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// By which part of the interval two sweeps may lie closer together or further apart, so that several
/// coordinators do not always list the same directories at the same time.
const JITTER_SHARE: u32 = 5;

/// Of how many parts of the safe age a statement may take all but one: the rest is for clocks that
/// disagree, and for the commit itself.
const SAFE_AGE_PARTS: u32 = 10;

impl Engine {
    /// Sweeps every [`vacuum_interval`](crate::CoordinatorConfig::vacuum_interval), for as long as it is
    /// polled; it never returns.
    pub async fn sweep_forever(&self) {
        let interval = self.0.config.vacuum_interval;
        if interval.is_zero() {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(jittered(interval, Uuid::new_v4().as_u128() as u32)).await;
            let inner = Arc::clone(&self.0);
            let sweep = self
                .0
                .threads
                .planning
                .spawn(async move { inner.sweep().await });
            if let Err(error) = AbortOnDropHandle::new(sweep).await {
                tracing::warn!(%error, "a sweep failed");
            }
        }
    }
}

impl Coordinator {
    /// Removes what may go from every place where the catalog owns the files. A place that cannot be
    /// swept does not keep others from being so.
    async fn sweep(&self) {
        let (mut files, mut bytes) = (0_usize, 0_u64);
        for location in self.catalog.vacuum_locations() {
            match self.sweep_location(&location).await {
                Ok(removed) => {
                    files += removed.len();
                    bytes += removed.iter().map(|file| file.size).sum::<u64>();
                }
                Err(error) => tracing::warn!(%location, %error, "a sweep failed"),
            }
        }
        if files > 0 {
            tracing::info!(files, bytes, "removed files that no table needs");
        }
    }

    async fn sweep_location(&self, location: &StorageUrl) -> Result<Vec<ObjectMeta>, QueryError> {
        let safe_age = self.config.vacuum_safe_age;
        self.vacuum_location(&self.catalog, location, safe_age, false)
            .await
    }

    /// Makes visible what a statement has written. It runs to its end, even if the caller goes
    /// away.
    ///
    /// # Errors
    /// Those of the catalog; `DeadlineExceeded` where its files may have been taken for abandoned ones.
    pub(super) async fn commit(
        self: &Arc<Self>,
        session: &Session,
        catalog: &Catalog,
        handle: &QueryHandle,
        commit: WriteCommit,
    ) -> Result<(), QueryError> {
        let is_shared = matches!(self.config.catalog, CatalogLocation::Postgres(_));
        if is_shared {
            let age = handle.id().came_in_at().map(|time| Utc::now() - time);
            let age = age.and_then(|age| age.to_std().ok()).unwrap_or_default();
            check_age(age, self.config.vacuum_safe_age)?;
        }
        let is_temporary = !std::ptr::eq(catalog, &self.catalog);
        let (inner, session) = (Arc::clone(self), session.clone());
        self.uninterrupted(handle, async move {
            let temporary = session.temporary.catalog().filter(|_| is_temporary);
            let catalog = temporary.unwrap_or(&inner.catalog);
            catalog.commit_write(&commit).await?;
            Ok(())
        })
        .await
    }

    /// Makes a change that nothing ends once it has begun: a statement that is cancelled while its change is
    /// committed would be told that nothing has happened, and the catalog would not know of its own change.
    ///
    /// # Errors
    /// Those of the change; why the statement was ended before.
    pub(super) async fn uninterrupted<T: Send + 'static>(
        &self,
        handle: &QueryHandle,
        change: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let committing = handle.begin_commit()?;
        // The runtime owns the task, which is bounded by the time that the catalog takes.
        let task = self.threads.planning.spawn(async move {
            let result = change.await;
            committing.ended(&result.as_ref().map(|_| ()).map_err(QueryError::clone));
            result
        });
        task.await.unwrap_or_else(|error| {
            let text = format!("the change was interrupted: {error}");
            Err(QueryError::internal(text))
        })
    }
}

/// Somewhere around `interval`, as `random` has it.
fn jittered(interval: Duration, random: u32) -> Duration {
    let range = interval / JITTER_SHARE;
    interval - range / 2 + range.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Whether a statement that came in `age` ago can be sure that its files are still there.
fn check_age(age: Duration, safe_age: Duration) -> Result<(), QueryError> {
    if age < safe_age - safe_age / SAFE_AGE_PARTS {
        return Ok(());
    }
    let text = format!(
        "the statement has taken {} s, after which another coordinator may take its files for \
         abandoned ones: catalog.vacuum_safe_age, {} s, must be longer than any statement writes",
        age.as_secs(),
        safe_age.as_secs()
    );
    Err(QueryError::new(ErrorCode::DeadlineExceeded, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_are_spread_around_their_interval() {
        let hour = Duration::from_secs(3600);
        let minutes = |random| jittered(hour, random).as_secs() / 60;
        assert_eq!(
            (minutes(0), minutes(u32::MAX / 2), minutes(u32::MAX)),
            (54, 59, 66)
        );
    }

    #[test]
    fn a_statement_is_not_committed_when_its_files_may_have_been_swept() {
        let day = Duration::from_secs(86_400);
        let hours = |hours| Duration::from_secs(hours * 3600);
        assert!(check_age(hours(21), day).is_ok());
        for late in [22_u64, 24, 1000] {
            let error = check_age(hours(late), day).unwrap_err();
            assert!(error.message.contains("vacuum_safe_age"), "{error}");
        }
    }
}
