//! Results that clients read from executors themselves, without a way through the coordinator.
//!
//! The coordinator runs such a query like any other: its tasks are started, watched and ended as always.
//! Only where it would read the output of the last stage, it hands out a ticket for each task instead, and
//! waits until the executor reports that a client has read everything, or why it has not. So the query's
//! states, its deadline and its cancellation are those of every query.

use crate::error::to_datafusion;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow_flight::{IpcMessage, SchemaAsIpc};
use arrow_ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use datafusion::error::Result;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use skep_protocol::proto::{self, DirectReading, DirectTicket};
use skep_protocol::ticket::{ClusterKey, unix_time_ms};
use skep_protocol::{ErrorCode, QueryError, TaskKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use url::Url;

/// Where a client reads a share of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectEndpoint {
    /// The executor's address for clients, `HOST:PORT`.
    pub address: String,
    /// What to show there.
    pub ticket: Bytes,
}

/// Who reads a result, and as what.
#[derive(Clone, Debug)]
pub struct DirectAudience {
    /// Whose result it is.
    pub user: String,
    /// Whether the reader has to show a token of that user.
    pub needs_token: bool,
    /// What the client was told, as an IPC message.
    pub schema: Bytes,
    /// How long a share may wait for its reader.
    pub wait_max: Duration,
    /// Where clients reach executors, by the addresses that nodes use.
    pub addresses: HashMap<Url, String>,
}

/// A schema as tickets hold it.
///
/// # Errors
/// `Internal`; every schema has such a form.
pub fn schema_bytes(schema: &Schema) -> Result<Bytes, QueryError> {
    let options = IpcWriteOptions::default();
    let message: Result<IpcMessage, _> = SchemaAsIpc::new(schema, &options).try_into();
    let failed = |error| QueryError::internal(format!("cannot send a schema: {error}"));
    message.map(|IpcMessage(bytes)| bytes).map_err(failed)
}

/// The readers of one result, as the transport finds them in the session of their query.
#[derive(Debug)]
pub struct DirectReaders {
    /// The stage whose output they read.
    stage: usize,
    tasks: usize,
    audience: DirectAudience,
    shares: Mutex<BTreeMap<u32, Share>>,
    changed: watch::Sender<()>,
}

/// The output of one task.
#[derive(Debug)]
struct Share {
    endpoint: DirectEndpoint,
    reading: Option<DirectReading>,
}

impl DirectReaders {
    /// Readers of the output of `stage`, which has so many tasks.
    pub fn new(stage: usize, tasks: usize, audience: DirectAudience) -> Self {
        Self {
            stage,
            tasks,
            audience,
            shares: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Whether clients read the output of that stage.
    pub(crate) fn covers(&self, stage: usize) -> bool {
        self.stage == stage
    }

    /// Hands a task's output to the client; what takes its place here ends when the client has read it.
    pub(crate) fn hand_out(
        self: Arc<Self>,
        key: &ClusterKey,
        url: &Url,
        task: &TaskKey,
        partitions: usize,
    ) -> Vec<BoxStream<'static, Result<RecordBatch>>> {
        let audience = &self.audience;
        let wait_max = audience.wait_max;
        let ticket = DirectTicket {
            task: Some(proto::TaskId::from(task)),
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            schema: audience.schema.clone(),
            user: audience.user.clone(),
            needs_token: audience.needs_token,
            expires_at_ms: unix_time_ms() + wait_max.as_millis() as u64,
        };
        let address = audience.addresses.get(url).cloned();
        let endpoint = DirectEndpoint {
            address: address.unwrap_or_else(|| crate::channel::node_name(url)),
            ticket: key.sign_direct(&ticket),
        };
        let share = Share {
            endpoint,
            reading: None,
        };
        let number = task.task;
        self.shares.lock().insert(number, share);
        self.changed.send_replace(());
        let read = async move { self.read(number).await.map_err(to_datafusion) };
        let end = read.into_stream().filter_map(|read| {
            let failed = read.err().map(Err);
            std::future::ready(failed)
        });
        let others = (1..partitions).map(|_| stream::empty().boxed());
        std::iter::once(end.boxed()).chain(others).collect()
    }

    /// An executor says how far the reader of a task's output is.
    pub(crate) fn report(&self, (stage, task): (u32, u32), reading: &DirectReading) {
        if stage as usize != self.stage {
            return;
        }
        if let Some(share) = self.shares.lock().get_mut(&task) {
            share.reading = Some(reading.clone());
        }
        self.changed.send_replace(());
    }

    /// Where the client reads; known as soon as all tasks have been handed out.
    pub async fn endpoints(&self) -> Vec<DirectEndpoint> {
        self.wait(|shares| {
            let all = shares.values().map(|share| share.endpoint.clone());
            (shares.len() >= self.tasks).then(|| all.collect())
        })
        .await
    }

    /// How many rows clients have read.
    pub fn rows(&self) -> u64 {
        let shares = self.shares.lock();
        let readings = shares.values().filter_map(|share| share.reading.as_ref());
        readings.map(|reading| reading.rows).sum()
    }

    /// Waits until a task's output has been read.
    async fn read(&self, task: u32) -> Result<(), QueryError> {
        let begun = self.wait(|shares| shares.get(&task)?.reading.as_ref().map(|_| ()));
        let wait_max = self.audience.wait_max;
        if tokio::time::timeout(wait_max, begun).await.is_err() {
            let text = format!(
                "nobody read a share of the result within {} s",
                wait_max.as_secs()
            );
            return Err(QueryError::new(ErrorCode::Canceled, text));
        }
        let reading = self.wait(|shares| {
            let reading = shares.get(&task)?.reading.as_ref();
            reading.filter(|reading| reading.ended).cloned()
        });
        match reading.await.failed {
            None => Ok(()),
            Some(error) => Err(QueryError::from_detail(error)),
        }
    }

    async fn wait<T>(&self, found: impl Fn(&BTreeMap<u32, Share>) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(found) = found(&self.shares.lock()) {
                return found;
            }
            // The sender is this one's own, and lives as long.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::from_datafusion;
    use futures::TryStreamExt;
    use skep_protocol::AttemptId;

    fn readers(wait_max: Duration) -> Arc<DirectReaders> {
        let audience = DirectAudience {
            user: "ada".into(),
            needs_token: true,
            schema: schema_bytes(&Schema::empty()).unwrap(),
            wait_max,
            addresses: [(url(), "public:1".to_owned())].into(),
        };
        Arc::new(DirectReaders::new(3, 2, audience))
    }

    fn url() -> Url {
        "http://inner:1".parse().unwrap()
    }

    fn task(task: u32) -> TaskKey {
        TaskKey {
            query: "20261123_230512_00001_k3f9q".parse().unwrap(),
            attempt: AttemptId(uuid::Uuid::nil()),
            stage: 3,
            task,
        }
    }

    async fn end(
        streams: Vec<BoxStream<'static, Result<RecordBatch>>>,
    ) -> Result<usize, QueryError> {
        let all = stream::iter(streams).flatten();
        let batches = all.try_collect::<Vec<_>>().await;
        batches
            .map(|batches| batches.len())
            .map_err(|error| from_datafusion(&error))
    }

    #[tokio::test]
    async fn a_query_ends_when_its_clients_have_read_everything() {
        let readers = readers(Duration::from_secs(60));
        let key = ClusterKey::random();
        let streams =
            [0, 1].map(|number| Arc::clone(&readers).hand_out(&key, &url(), &task(number), 2));
        let endpoints = readers.endpoints().await;
        assert_eq!(endpoints.len(), 2);
        assert_eq!(endpoints[0].address, "public:1");
        let ticket = key.verify_direct(&endpoints[0].ticket, 0).unwrap().unwrap();
        assert_eq!((ticket.user.as_str(), ticket.partitions), ("ada", 2));
        let ends = streams.map(end).map(Box::pin);
        let [first, second] = ends;
        let done = DirectReading {
            ended: true,
            rows: 5,
            failed: None,
        };
        readers.report((3, 0), &done);
        readers.report((2, 1), &done);
        assert_eq!(first.await, Ok(0));
        assert!(second.now_or_never().is_none(), "another stage's report");
        assert_eq!(readers.rows(), 5);
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_or_never_comes_ends_the_query() {
        let readers = readers(Duration::from_millis(20));
        let key = ClusterKey::random();
        let mut streams =
            [0, 1].map(|number| Arc::clone(&readers).hand_out(&key, &url(), &task(number), 1));
        let gone = QueryError::new(ErrorCode::Canceled, "the client went away");
        let reading = DirectReading {
            ended: true,
            rows: 1,
            failed: Some(gone.to_detail()),
        };
        readers.report((3, 0), &reading);
        let failed = end(std::mem::take(&mut streams[0])).await.unwrap_err();
        assert_eq!(failed.message, gone.message);
        let late = end(std::mem::take(&mut streams[1])).await.unwrap_err();
        assert_eq!(late.code, ErrorCode::Canceled);
        assert!(late.message.contains("nobody read"), "{late}");
    }
}
