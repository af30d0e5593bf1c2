//! Plain single-process DataFusion over the same files: the oracle and the yardstick.
//!
//! It has a runtime of its own with as many threads as it may use cores, so that its work and the
//! benchmark's client do not share threads.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use arrow::record_batch::RecordBatch;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::location::DataLocation;
use crate::tables::Table;

/// A result and how long it took, from sending the statement to having the last row.
#[derive(Debug)]
pub struct Timed {
    /// The time in seconds.
    pub seconds: f64,
    /// All rows.
    pub batches: Vec<RecordBatch>,
    /// The engine's name for the query, where it gives one.
    pub query_id: Option<String>,
}

/// DataFusion in this process, with the benchmark's tables.
pub struct Single {
    context: SessionContext,
    /// Present until it is dropped.
    runtime: Option<Runtime>,
    cores: usize,
}

impl Single {
    /// Starts with as many threads and partitions as `cores`, and registers the tables.
    pub async fn start(cores: usize, data: &DataLocation) -> anyhow::Result<Single> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("tpch-single")
            .enable_all()
            .build()
            .context("cannot start a runtime for plain DataFusion")?;
        // Statistics come from the files' footers here and from the catalog in the cluster.
        let config = SessionConfig::new()
            .with_target_partitions(cores)
            .with_collect_statistics(true);
        let context = SessionContext::new_with_config(config);
        context.register_object_store(data.url(), Arc::clone(data.store()));
        let single = Single {
            context,
            runtime: Some(runtime),
            cores,
        };
        for table in Table::ALL {
            let (context, url) = (single.context.clone(), data.table_url(table));
            let register = async move {
                context
                    .register_parquet(table.name(), url, ParquetReadOptions::default())
                    .await
            };
            let registered = single.on_runtime(register).await?;
            registered.with_context(|| format!("cannot read table {table} in {}", data.url()))?;
        }
        Ok(single)
    }

    /// Runs a query and collects all of its rows. The time includes planning.
    pub async fn query(&self, sql: &str) -> anyhow::Result<Timed> {
        let (context, sql) = (self.context.clone(), sql.to_string());
        let run = async move {
            let started = Instant::now();
            let batches = context.sql(&sql).await?.collect().await?;
            anyhow::Ok(Timed {
                seconds: started.elapsed().as_secs_f64(),
                batches,
                query_id: None,
            })
        };
        self.on_runtime(run).await?
    }

    /// The cores that it uses.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Runs on the own runtime's threads; dropping the future ends the task.
    async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let runtime = self
            .runtime
            .as_ref()
            .context("plain DataFusion has ended")?;
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, runtime.handle());
        let done = tasks
            .join_next()
            .await
            .context("plain DataFusion has ended")?;
        done.context("plain DataFusion has failed")
    }
}

impl Drop for Single {
    /// A runtime must not be dropped by waiting inside another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
