//! Writes in as many attempts as it takes. The names of files carry the attempt that wrote them, so that those
//! of a lost attempt are never taken for others, and are removed at once.

use super::Coordinator;
use crate::query::QueryHandle;
use crate::results;
use datafusion::execution::object_store::ObjectStoreRegistry;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use skep_planner::{PlanningContext, ResolvedQuery, WriteTarget};
use skep_protocol::QueryError;
use skep_runtime::error::from_datafusion;
use skep_scheduler::failure::Reason;
use skep_writer::{WriteSpec, WrittenFile};
use std::sync::Arc;
use url::Url;

/// What one attempt writes into.
pub(super) fn target_of_attempt(target: &WriteTarget, attempt: u32) -> WriteTarget {
    let mut of_attempt = target.clone();
    of_attempt.spec.file_prefix = format!("{}-{attempt}", target.spec.file_prefix);
    of_attempt
}

impl Coordinator {
    /// Writes the rows of `source` into files that nobody sees yet, and returns what was written.
    pub(super) async fn write_files(
        &self,
        context: &PlanningContext,
        source: ResolvedQuery,
        target: WriteTarget,
        handle: &QueryHandle,
    ) -> Result<Vec<WrittenFile>, QueryError> {
        let kept = source.kept();
        let deadline = self.deadline(&context.session.settings, handle);
        let mut attempts = self.attempts(context, handle, deadline);
        let (mut context, mut source) = (context.clone(), source);
        loop {
            let of_attempt = target_of_attempt(&target, attempts.number());
            let written = self
                .write_attempt(&context, source, of_attempt, handle)
                .await;
            let error = match written {
                Ok(files) => {
                    attempts.succeeded(handle);
                    self.remove_attempts(&target.spec, attempts.number()).await;
                    return Ok(files);
                }
                Err(error) => error,
            };
            let is_passing = Reason::of(&error).is_some();
            let next = attempts.next(error, handle).await;
            if is_passing {
                self.remove_attempts(&target.spec, attempts.number() + u32::from(next.is_err()))
                    .await;
            }
            context = next?;
            source = kept.resolved_in(&context)?;
        }
    }

    /// One attempt at writing the rows of `source`.
    pub(super) async fn write_attempt(
        &self,
        context: &PlanningContext,
        source: ResolvedQuery,
        target: WriteTarget,
        handle: &QueryHandle,
    ) -> Result<Vec<WrittenFile>, QueryError> {
        let write = context.write(source, target)?;
        let run = self.plan_run(context, write, handle).await?;
        let written = results::collect_written(&run, handle, &self.threads.compute).await;
        written.map_err(|error| results::first_cause(&run.monitor, handle, error))
    }

    /// Removes the files of the attempts before attempt `before`. What an executor that was cut off adds
    /// later is left to VACUUM, and so is what cannot be removed.
    pub(super) async fn remove_attempts(&self, spec: &WriteSpec, before: u32) {
        if before <= 1 {
            return;
        }
        if let Err(error) = self.try_remove_attempts(spec, before).await {
            let prefix = &spec.file_prefix;
            tracing::warn!(%prefix, %error, "files of a failed attempt were not removed");
        }
    }

    async fn try_remove_attempts(&self, spec: &WriteSpec, before: u32) -> Result<(), QueryError> {
        let internal = |text: String| QueryError::internal(text);
        let url = Url::parse(&spec.store_url).map_err(|error| internal(error.to_string()))?;
        let registry: &Arc<dyn ObjectStoreRegistry> = &self.planner.runtime.object_store_registry;
        let store = registry
            .get_store(&url)
            .map_err(|error| from_datafusion(&error))?;
        let directory =
            Path::parse(&spec.directory).map_err(|error| internal(error.to_string()))?;
        let prefixes = (1..before).map(|attempt| format!("{}-{attempt}-", spec.file_prefix));
        let prefixes: Vec<String> = prefixes.collect();
        let mut listed = store.list(Some(&directory));
        while let Some(file) = listed.next().await {
            let location = match file {
                Ok(file) => file.location,
                // A directory that nothing was written into.
                Err(object_store::Error::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(super::files::storage(error)),
            };
            let name = location.filename().unwrap_or_default();
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                remove(&store, &location).await?;
            }
        }
        Ok(())
    }
}

async fn remove(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<(), QueryError> {
    match store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(super::files::storage(error)),
    }
}
