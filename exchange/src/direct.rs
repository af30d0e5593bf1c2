//! Results that clients read from executors themselves, without a way through the coordinator.
//!
//! The coordinator runs such a query like any other: its tasks are started, watched and ended as always.
//! Only where it would read the output of the last stage, it hands out a ticket for each task instead, and
//! waits until the executor reports that a client has read everything, or why it has not. So the query's
//! states, its deadline and its cancellation are those of every query.

use crate::node_name::node_name;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow_flight::{IpcMessage, SchemaAsIpc};
use arrow_ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use datafusion::error::Result;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use skep_protocol::ClusterKey;
use skep_protocol::proto::{self, DirectReading, DirectTicket};
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{ErrorCode, QueryError, TaskKey};
use skep_runtime::error::to_datafusion;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

/// Where a client reads a share of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectEndpoint {
    /// The executor's address for clients.
    pub address: ClientAddress,
    /// What to show there.
    pub ticket: Bytes,
}

/// How clients reach an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// `HOST:PORT`.
    pub authority: String,
    /// Whether they use TLS there.
    pub uses_tls: bool,
}

/// Who reads a result, and as what.
#[derive(Clone, Debug)]
pub struct DirectAudience {
    /// What the tickets are signed with.
    pub key: ClusterKey,
    /// Whose result it is.
    pub user: String,
    /// Whether the reader has to show a token of that user.
    pub needs_token: bool,
    /// What the client was told, as an IPC message.
    pub schema: Bytes,
    /// Whether the rows may travel with TLS alone.
    pub needs_tls: bool,
    /// How long a share may wait for its reader.
    pub wait_max: Duration,
    /// How long a reader may stand still.
    pub client_wait: Duration,
    /// Where clients reach executors, by the addresses that nodes use.
    pub addresses: HashMap<Url, ClientAddress>,
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
    ticket: DirectTicket,
    /// Until when a reader may come.
    deadline: Instant,
    reading: Option<DirectReading>,
    /// Since when the query waits for its reader, who has not come or stands still.
    waiting_since: Option<Instant>,
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

    /// What the client was told, as an IPC message.
    pub(crate) fn schema(&self) -> Bytes {
        self.audience.schema.clone()
    }

    /// Hands a task's output to the client; what takes its place here ends when the client has read it.
    pub(crate) fn hand_out(
        self: Arc<Self>,
        url: &Url,
        task: &TaskKey,
        partitions: usize,
    ) -> Vec<BoxStream<'static, Result<RecordBatch>>> {
        let audience = &self.audience;
        let ticket = DirectTicket {
            task: Some(proto::TaskId::from(task)),
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            user: audience.user.clone(),
            needs_token: audience.needs_token,
            expires_at_ms: expiry_ms(audience.wait_max),
        };
        let address = audience.addresses.get(url).cloned();
        let endpoint = DirectEndpoint {
            address: address.unwrap_or_else(|| ClientAddress {
                authority: node_name(url),
                uses_tls: audience.needs_tls,
            }),
            ticket: audience.key.sign_direct(&ticket),
        };
        let share = Share {
            endpoint,
            ticket,
            deadline: Instant::now() + audience.wait_max,
            reading: None,
            waiting_since: Some(Instant::now()),
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
            let last = share.reading.as_ref();
            let has_moved = last.is_none_or(|last| last.fetches != reading.fetches);
            share.waiting_since = match reading.stands_still {
                true if has_moved => Some(Instant::now()),
                true => share.waiting_since.or_else(|| Some(Instant::now())),
                false => None,
            };
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

    /// Lets the share that a ticket stands for wait once more as long as from the beginning, and returns
    /// the ticket that is good until then. `None` where the ticket is none of this result's, or somebody
    /// reads the share already. A ticket that has expired since it was renewed will do.
    pub fn renew(&self, ticket: &[u8]) -> Option<Bytes> {
        let audience = &self.audience;
        let told = audience.key.verify_direct(ticket, 0).ok()??;
        let mut shares = self.shares.lock();
        let share = shares.get_mut(&told.task.as_ref()?.task)?;
        if share.ticket.task != told.task || share.reading.is_some() {
            return None;
        }
        share.ticket.expires_at_ms = expiry_ms(audience.wait_max);
        share.deadline = Instant::now() + audience.wait_max;
        share.endpoint.ticket = audience.key.sign_direct(&share.ticket);
        Some(share.endpoint.ticket.clone())
    }

    /// How many rows clients have read.
    pub fn rows(&self) -> u64 {
        let shares = self.shares.lock();
        let readings = shares.values().filter_map(|share| share.reading.as_ref());
        readings.map(|reading| reading.rows).sum()
    }

    /// Waits until a task's output has been read.
    async fn read(&self, task: u32) -> Result<(), QueryError> {
        self.wait_for_reader(task).await?;
        let ended = self.wait(|shares| {
            let reading = shares.get(&task)?.reading.as_ref();
            reading.filter(|reading| reading.ended).cloned()
        });
        let is_of_task = |number: u32| number == task;
        let stopped = self.stand_still(self.audience.client_wait, is_of_task);
        let failed = tokio::select! {
            reading = ended => reading.failed.map(QueryError::from_detail),
            () = stopped => {
                let seconds = self.audience.client_wait.as_secs_f32();
                let text = format!("the client read nothing for {seconds} s (query.client_wait)");
                Some(QueryError::new(ErrorCode::Canceled, text))
            }
        };
        failed.map_or(Ok(()), Err)
    }

    /// Resolves when the whole query has waited for its clients for `time`: of every share that has not
    /// been read, the reader has not come, or stands still.
    pub async fn wait_for_clients(&self, time: Duration) {
        self.stand_still(time, |_| true).await;
    }

    /// Resolves when nothing has moved for `time` in those shares that are asked for.
    async fn stand_still(&self, time: Duration, is_asked: impl Fn(u32) -> bool) {
        let since = || {
            let shares = self.shares.lock();
            let is_open = |share: &Share| share.reading.as_ref().is_none_or(|last| !last.ended);
            let open = shares
                .iter()
                .filter(|(number, share)| is_asked(**number) && is_open(share));
            let mut waits = open.map(|(_, share)| share.waiting_since).peekable();
            waits.peek()?;
            // One that moves is as good as all of them.
            let latest = waits.try_fold(None, |latest, since| Some(latest.max(Some(since?))));
            latest.flatten().filter(|_| shares.len() >= self.tasks)
        };
        let mut changes = self.changed.subscribe();
        loop {
            let wait = async {
                match since() {
                    Some(since) => tokio::time::sleep_until(since + time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => return,
                _ = changes.changed() => {}
            }
        }
    }

    /// Waits until somebody reads a task's output, for as long as that may take.
    async fn wait_for_reader(&self, task: u32) -> Result<(), QueryError> {
        let deadline = || self.shares.lock().get(&task).map(|share| share.deadline);
        while let Some(until) = deadline() {
            let begun = self.wait(|shares| shares.get(&task)?.reading.as_ref().map(|_| ()));
            if tokio::time::timeout_at(until, begun).await.is_ok() {
                return Ok(());
            }
            if deadline() == Some(until) {
                break;
            }
        }
        let text = format!(
            "nobody read a share of the result within {} s",
            self.audience.wait_max.as_secs_f32()
        );
        Err(QueryError::new(ErrorCode::Canceled, text))
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

/// When what begins to wait now has waited for too long, in Unix milliseconds.
fn expiry_ms(wait_max: Duration) -> u64 {
    let wait_ms = u64::try_from(wait_max.as_millis()).unwrap_or(u64::MAX);
    unix_time_ms().saturating_add(wait_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use skep_protocol::AttemptId;
    use skep_runtime::error::from_datafusion;
    use tokio::task::JoinSet;

    fn readers(wait_max: Duration) -> Arc<DirectReaders> {
        let audience = DirectAudience {
            key: ClusterKey::random(),
            user: "ada".into(),
            needs_token: true,
            needs_tls: false,
            schema: schema_bytes(&Schema::empty()).unwrap(),
            wait_max,
            client_wait: wait_max,
            addresses: [(url(), public())].into(),
        };
        Arc::new(DirectReaders::new(3, 2, audience))
    }

    fn public() -> ClientAddress {
        ClientAddress {
            authority: "public:1".to_owned(),
            uses_tls: true,
        }
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
        let key = readers.audience.key.clone();
        let streams = [0, 1].map(|number| Arc::clone(&readers).hand_out(&url(), &task(number), 2));
        let endpoints = readers.endpoints().await;
        assert_eq!(endpoints.len(), 2);
        assert_eq!(endpoints[0].address, public());
        let ticket = key.verify_direct(&endpoints[0].ticket, 0).unwrap().unwrap();
        assert_eq!((ticket.user.as_str(), ticket.partitions), ("ada", 2));
        let ends = streams.map(end).map(Box::pin);
        let [first, second] = ends;
        let done = DirectReading {
            ended: true,
            rows: 5,
            ..DirectReading::default()
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
        let mut streams =
            [0, 1].map(|number| Arc::clone(&readers).hand_out(&url(), &task(number), 1));
        let gone = QueryError::new(ErrorCode::Canceled, "the client went away");
        let reading = DirectReading {
            ended: true,
            rows: 1,
            failed: Some(gone.to_detail()),
            ..DirectReading::default()
        };
        readers.report((3, 0), &reading);
        let failed = end(std::mem::take(&mut streams[0])).await.unwrap_err();
        assert_eq!(failed.message, gone.message);
        let late = end(std::mem::take(&mut streams[1])).await.unwrap_err();
        assert_eq!(late.code, ErrorCode::Canceled);
        assert!(late.message.contains("nobody read"), "{late}");
    }

    #[tokio::test]
    async fn a_reader_that_stands_still_is_noticed() {
        let readers = readers(Duration::from_millis(300));
        let streams = [0, 1].map(|number| Arc::clone(&readers).hand_out(&url(), &task(number), 1));
        let reading = |ended, stands_still| DirectReading {
            ended,
            stands_still,
            ..DirectReading::default()
        };
        let short = Duration::from_millis(20);
        let is_waiting = || async {
            let wait = readers.wait_for_clients(short);
            tokio::time::timeout(short * 5, wait).await.is_ok()
        };
        assert!(is_waiting().await, "nobody has come");
        readers.report((3, 0), &reading(false, false));
        assert!(!is_waiting().await, "one reads");
        readers.report((3, 1), &reading(false, true));
        assert!(!is_waiting().await, "one still reads");
        readers.report((3, 0), &reading(true, false));
        assert!(is_waiting().await, "only the one that stands still is left");
        let [_, still] = streams;
        let ended = end(still).await.unwrap_err();
        assert!(ended.message.contains("read nothing for 0.3 s"), "{ended}");
    }

    #[tokio::test]
    async fn a_share_that_is_renewed_waits_on() {
        let wait_max = Duration::from_millis(400);
        let readers = readers(wait_max);
        let streams = [0, 1].map(|number| Arc::clone(&readers).hand_out(&url(), &task(number), 1));
        let tickets = readers.endpoints().await.into_iter().map(|end| end.ticket);
        let tickets: Vec<_> = tickets.collect();
        assert!(readers.renew(b"nonsense").is_none());
        let foreign = ClusterKey::random().sign_direct(&DirectTicket::default());
        assert!(readers.renew(&foreign).is_none());
        let reading = DirectReading {
            ended: true,
            rows: 1,
            ..DirectReading::default()
        };
        readers.report((3, 1), &reading);
        assert!(readers.renew(&tickets[1]).is_none(), "it has been read");
        let renewed = readers.renew(&tickets[0]).unwrap();
        let key = &readers.audience.key;
        assert!(key.verify_direct(&renewed, 0).unwrap().is_some());
        assert!(readers.renew(&renewed).is_some(), "once more");
        let [first, _second] = streams;
        let mut waiting = JoinSet::new();
        waiting.spawn(end(first));
        tokio::time::sleep(wait_max / 2).await;
        assert!(readers.renew(&renewed).is_some(), "before the deadline");
        tokio::time::sleep(wait_max * 3 / 4).await;
        assert!(waiting.try_join_next().is_none(), "it waits on");
        let late = waiting.join_next().await.unwrap().unwrap().unwrap_err();
        assert!(late.message.contains("within 0.4 s"), "{late}");
    }
}
