//! The one way into the engine: every door (Flight SQL today) calls a [`QueryService`].

use crate::session::FlightOptions;
pub use crate::session::SessionId;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use futures::stream::BoxStream;
pub use skep_exchange::direct::{ClientAddress, DirectEndpoint, DirectReaders};
pub use skep_planner::PreparedPlan;
use skep_protocol::{QueryError, QueryId};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Somebody who has said who they are, as far as anybody has to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The user's name.
    pub user: String,
    /// A mark of the password that was right; empty where none was asked for.
    pub password_fingerprint: Vec<u8>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({})", self.user)
    }
}

/// What a caller shows with later calls, for one session.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// As it travels.
    pub text: String,
    /// Whose it is.
    pub caller: Caller,
    /// The session's own part of it.
    pub session: Vec<u8>,
    /// Until when it holds, in Unix milliseconds.
    pub expires_at_ms: u64,
}

/// What the doors may ask of the engine.
#[async_trait]
pub trait QueryService: Send + Sync + 'static {
    /// Finds out who gives this name and this password; both are empty where a client gives none. `source` is
    /// the address that the client calls from, where it is known.
    /// `Unauthenticated`, with the same text and after the same time, where name or password is wrong.
    async fn log_in(
        &self,
        user: &str,
        password: &str,
        source: Option<IpAddr>,
    ) -> Result<Caller, QueryError>;

    /// `Unauthenticated` where somebody who logged in earlier may not go on: the user was dropped or
    /// has another password.
    fn check_caller(&self, caller: &Caller) -> Result<(), QueryError>;

    /// A token for a new session of `caller`, good at every node of the cluster until it expires.
    fn issue_token(&self, caller: &Caller) -> IssuedToken;

    /// What a token says. `Unauthenticated` where it is not of this cluster, was altered, has expired,
    /// or its user may not go on.
    fn read_token(&self, text: &str) -> Result<IssuedToken, QueryError>;

    /// Opens a session for `user` with the default settings and database.
    fn open_session(&self, user: &str) -> Result<SessionId, QueryError>;

    /// Whether the session is open. Asking counts as a use of it.
    fn has_session(&self, session: &SessionId) -> bool;

    /// Ends a session and cancels its queries. Unknown sessions are ignored.
    fn close_session(&self, session: &SessionId);

    /// Says what a statement would return and which parameters it has, without running it.
    async fn describe(
        &self,
        session: &SessionId,
        sql: &str,
    ) -> Result<StatementDescription, QueryError>;

    /// Registers, admits, plans and starts a statement. Statements that return no rows have run to
    /// their end when this returns.
    async fn submit(&self, request: SubmitRequest) -> Result<SubmittedQuery, QueryError>;

    /// Writes rows that a client sends into a table; returns how many there were. Everything is visible
    /// when this returns, and nothing before it, or where it fails or is dropped.
    async fn ingest(&self, request: IngestRequest) -> Result<u64, QueryError>;

    /// What is known of a query, for as long as its history is kept.
    fn status(&self, query: &QueryId) -> Option<QueryStatus>;

    /// Every query that is known, newest first.
    fn queries(&self) -> Vec<QueryStatus>;

    /// The queries of a session that have not ended, oldest first.
    fn live_queries(&self, session: &SessionId) -> Vec<QueryStatus>;

    /// Ends a query; false where it is unknown or has ended already.
    fn cancel(&self, query: &QueryId, reason: &str) -> bool;

    /// The databases, tables and columns that `session` can see, for metadata calls.
    async fn metadata(&self, session: &SessionId) -> Result<Arc<CatalogMetadata>, QueryError>;
}

/// A statement to run.
#[derive(Clone, Debug)]
pub struct SubmitRequest {
    /// On whose behalf and with which settings.
    pub session: SessionId,
    /// One statement; a trailing semicolon is allowed.
    pub sql: String,
    /// Values of `$1`, `$2`, … in order; empty where there are none.
    pub parameters: Vec<ScalarValue>,
    /// The plan that is kept for it, where the statement is prepared.
    pub prepared: Option<Arc<PreparedPlan>>,
    /// How the client may read the rows from executors itself, where it may and its session asks for it.
    pub direct: Option<DirectRequest>,
}

/// What a door lets its clients do with the results of executors.
#[derive(Clone, Copy, Debug)]
pub struct DirectRequest {
    /// The schema that a client is told for rows of that schema.
    pub wire_schema: fn(&Schema, &FlightOptions) -> SchemaRef,
    /// Whether the rows may travel with TLS alone. They come through the coordinator where not all
    /// executors have a certificate.
    pub needs_tls: bool,
    /// How long a share may wait until it is read.
    pub wait_max: Duration,
}

/// Rows as a client sends them.
pub type ClientBatches = BoxStream<'static, Result<RecordBatch, QueryError>>;

/// Rows to write into a table.
pub struct IngestRequest {
    /// On whose behalf and with which settings.
    pub session: SessionId,
    /// Which table.
    pub target: IngestTarget,
    /// What happens where there is no such table.
    pub if_missing: IfMissing,
    /// What happens where there is.
    pub if_exists: IfExists,
    /// What every batch has. Columns go into those of the same name; what the table has besides is NULL.
    pub schema: SchemaRef,
    /// The rows. They are read as fast as they are written.
    pub batches: ClientBatches,
}

/// A table's name, in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestTarget {
    /// The current one where it is absent.
    pub database: Option<String>,
    /// The table's own name.
    pub table: String,
    /// Whether it is one that only this session sees.
    pub temporary: bool,
}

/// What happens to rows for a table that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// The table is created with the columns of the rows.
    Create,
    /// That is an error.
    Fail,
}

/// What happens to rows for a table that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// That is an error.
    Fail,
    /// They are added to it.
    Append,
    /// It gives way to a new one with the columns of the rows, in the moment in which they become visible.
    Replace,
}

/// What a statement is, before it runs.
#[derive(Clone, Debug)]
pub struct StatementDescription {
    /// Whether it returns rows.
    pub kind: StatementKind,
    /// The schema of its rows, as the rows will have it; empty for [`StatementKind::Command`].
    pub schema: SchemaRef,
    /// One field per parameter, named `$1`, `$2`, …
    pub parameter_schema: SchemaRef,
    /// Whether one run of the command takes any number of rows of parameters, whose values stand one
    /// behind the other: `INSERT … VALUES`.
    pub takes_rows: bool,
    /// How the session wants its results sent.
    pub flight: FlightOptions,
    /// The plan that was made to find that out, for the runs of a prepared statement.
    pub plan: Arc<PreparedPlan>,
}

/// Whether a statement returns rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// It does: SELECT, SHOW, EXPLAIN, …
    Query,
    /// It does not: CREATE, SET, INSERT, KILL, …
    Command,
}

/// A statement that has been accepted.
pub struct SubmittedQuery {
    /// Its name.
    pub id: QueryId,
    /// The schema of every batch of its rows; without fields for commands.
    pub schema: SchemaRef,
    /// Its result.
    pub outcome: QueryOutcome,
    /// How the session wants its results sent.
    pub flight: FlightOptions,
}

/// What came of a statement.
pub enum QueryOutcome {
    /// Rows, streamed with back-pressure. Dropping the stream cancels the query.
    Rows(ClientBatches),
    /// The client reads from executors.
    Direct {
        /// Where, in no order; at least one.
        endpoints: Vec<DirectEndpoint>,
        /// How far the client is; lets a share wait for longer.
        readers: Arc<DirectReaders>,
        /// The running query. It has no rows, and ends when the client has read all of them. Dropping it
        /// cancels the query.
        running: ClientBatches,
    },
    /// The command has run.
    Done {
        /// How many rows it changed, where that has a meaning.
        affected_rows: Option<u64>,
    },
}

/// Where a query stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryState {
    /// It waits for a place or for memory.
    Queued,
    /// Names are being resolved and the plan is made.
    Planning,
    /// Its tasks run.
    Running,
    /// All that it writes is written and is being committed: it cannot be ended any more.
    Finishing,
    /// It ended well.
    Finished,
    /// It ended with an error.
    Failed,
    /// Somebody ended it, or its client went away.
    Canceled,
}

impl QueryState {
    /// The state's name in tables, e.g. `RUNNING`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Planning => "PLANNING",
            Self::Running => "RUNNING",
            Self::Finishing => "FINISHING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }

    /// Whether nothing follows it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Canceled)
    }
}

/// What is known of a query.
#[derive(Clone, Debug)]
pub struct QueryStatus {
    /// Its name.
    pub id: QueryId,
    /// Whose it is.
    pub user: String,
    /// Its text, with secrets removed.
    pub sql: String,
    /// Where it stands.
    pub state: QueryState,
    /// When it came in.
    pub submitted_at: SystemTime,
    /// How long it has been in each state that it has been in, in order.
    pub time_in_state: Vec<(QueryState, Duration)>,
    /// Rows sent to the client.
    pub rows: u64,
    /// Bytes that went through the exchange between nodes.
    pub exchange_bytes: u64,
    /// Bytes written to disk for want of memory.
    pub spilled_bytes: u64,
    /// The highest sum of its memory over all nodes, as far as it was reported.
    pub peak_memory_bytes: u64,
    /// Rows and bytes that its scans have read.
    pub read_rows: u64,
    /// See [`QueryStatus::read_rows`].
    pub read_bytes: u64,
    /// How many rows its scans will read at most; 0 where that is not known.
    pub input_rows: u64,
    /// How many stages on executors it was planned with, and how many have ended.
    pub stages: (u32, u32),
    /// How many tasks it was planned with, and how many have ended.
    pub tasks: (u32, u32),
    /// Its attempts, oldest first; none where it has not been planned.
    pub attempts: Vec<AttemptStatus>,
    /// Why it failed or was cancelled.
    pub error: Option<QueryError>,
}

/// What is known of one attempt of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptStatus {
    /// Counted from 1.
    pub number: u32,
    /// How long it has run.
    pub elapsed: Duration,
    /// How it ended, in a few words; `None` while it runs.
    pub ended: Option<String>,
    /// Why another attempt followed, in a sentence.
    pub remark: Option<String>,
}

/// What a client may know of the catalog.
#[derive(Clone, Debug, Default)]
pub struct CatalogMetadata {
    /// The one catalog's name.
    pub catalog: String,
    /// Its databases, by name.
    pub databases: Vec<DatabaseMetadata>,
}

/// A database and its tables.
#[derive(Clone, Debug)]
pub struct DatabaseMetadata {
    /// Its name.
    pub name: String,
    /// Its tables and views, by name.
    pub tables: Vec<TableMetadata>,
}

/// Where the fields of [`TableMetadata`] have a column's comment.
pub const COLUMN_COMMENT: &str = "comment";

/// Where they have the type that the table was made with, where the field's own says less: `varchar(10)`.
pub const COLUMN_SQL_TYPE: &str = "sql_type";

/// A table or view.
#[derive(Clone, Debug)]
pub struct TableMetadata {
    /// Its name.
    pub name: String,
    /// `TABLE`, `VIEW`, `LOCAL TEMPORARY` or `SYSTEM TABLE`.
    pub table_type: String,
    /// Its columns, partition columns last, as results have them.
    pub schema: SchemaRef,
}
