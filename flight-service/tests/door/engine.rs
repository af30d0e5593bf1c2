//! An engine that answers a handful of statements and remembers what was asked of it.

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use skep_coordinator::service::{
    Caller, CatalogMetadata, DatabaseMetadata, IngestRequest, IssuedToken, QueryOutcome,
    QueryService, QueryStatus, SessionId, StatementDescription, StatementKind, SubmitRequest,
    SubmittedQuery, TableMetadata,
};
use skep_coordinator::session::FlightOptions;
use skep_protocol::ids::QueryIdGenerator;
use skep_protocol::{ErrorCode, Position, QueryError, QueryId};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// See the file's comment.
#[derive(Default)]
pub struct FakeEngine {
    ids: QueryIdGenerator,
    opened: AtomicUsize,
    tokens: AtomicUsize,
    sessions: Mutex<HashSet<String>>,
    pub users: Mutex<Vec<String>>,
    /// The users who may not go on.
    pub gone: Mutex<HashSet<String>>,
    pub submitted: Mutex<Vec<(String, Vec<ScalarValue>)>>,
    pub cancelled: Mutex<Vec<(QueryId, String)>>,
    /// How many row streams are there.
    pub streams: Arc<AtomicUsize>,
}

type Rows = BoxStream<'static, Result<RecordBatch, QueryError>>;

/// Counts a row stream for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub fn table_not_found() -> QueryError {
    QueryError::new(ErrorCode::TableNotFound, "table 'nowhere' not found").at(Some(Position {
        line: 1,
        column: 15,
    }))
}

pub fn executor_lost() -> QueryError {
    QueryError::new(ErrorCode::ExecutorLost, "the executor died").on_node("http://10.0.0.7:8091")
}

fn int_batch(values: impl IntoIterator<Item = i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

fn view_batch() -> RecordBatch {
    let views = StringViewArray::from(vec![Some("a string that is not inlined"), None]);
    let dictionary: DictionaryArray<Int32Type> = vec!["x", "x"].into_iter().collect();
    RecordBatch::try_from_iter([
        ("v", Arc::new(views) as ArrayRef),
        ("d", Arc::new(dictionary) as ArrayRef),
    ])
    .unwrap()
}

fn fat_batch() -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["y".repeat(10_000); 2_000]));
    RecordBatch::try_from_iter([("fat", column)]).unwrap()
}

fn text_batch(rows: &[(&str, &str)]) -> RecordBatch {
    let column = |pick: fn(&(&str, &str)) -> String| -> ArrayRef {
        Arc::new(StringArray::from(rows.iter().map(pick).collect::<Vec<_>>()))
    };
    RecordBatch::try_from_iter([
        ("name", column(|row| row.0.to_owned())),
        ("value", column(|row| row.1.to_owned())),
    ])
    .unwrap()
}

/// The rows of a query, or nothing for a command.
fn answer(sql: &str, parameters: &[ScalarValue]) -> Option<(SchemaRef, Rows)> {
    let given = |batch: RecordBatch| {
        let schema = batch.schema();
        Some((schema, stream::iter([Ok(batch)]).boxed()))
    };
    match sql {
        "SELECT 1" => given(int_batch([1])),
        "SELECT views" | "SELECT native views" => given(view_batch()),
        "SELECT fat" => given(fat_batch()),
        "SELECT $1" => {
            let value = parameters.first().cloned().unwrap_or(ScalarValue::Null);
            let column = value.to_array().unwrap();
            given(RecordBatch::try_from_iter_with_nullable([("p", column, true)]).unwrap())
        }
        "SELECT forever" => {
            let schema = int_batch([]).schema();
            let rows = stream::repeat_with(|| Ok(int_batch(0..1_000)));
            Some((schema, rows.boxed()))
        }
        "SELECT slow" => {
            let rows = stream::once(async {
                tokio::time::sleep(Duration::from_millis(900)).await;
                Ok(int_batch([1]))
            });
            Some((int_batch([]).schema(), rows.boxed()))
        }
        "SELECT broken" => {
            let rows = [Ok(int_batch([1])), Err(executor_lost())];
            Some((int_batch([]).schema(), stream::iter(rows).boxed()))
        }
        "SHOW ALL" => given(text_batch(&[
            ("datafusion.catalog.default_catalog", "skep"),
            ("datafusion.catalog.default_schema", "sales"),
            ("skep.b", "two"),
        ])),
        _ => None,
    }
}

/// A token that says what it stands for.
fn token(user: &str, session: u64) -> IssuedToken {
    IssuedToken {
        text: format!("{user}/{session}"),
        caller: Caller {
            user: user.to_owned(),
            password_fingerprint: vec![],
        },
        session: session.to_be_bytes().to_vec(),
        expires_at_ms: u64::MAX,
    }
}

#[async_trait]
impl QueryService for FakeEngine {
    async fn log_in(
        &self,
        user: &str,
        password: &str,
        _source: Option<std::net::IpAddr>,
    ) -> Result<Caller, QueryError> {
        if password == "wrong" {
            return Err(QueryError::new(ErrorCode::Unauthenticated, "wrong"));
        }
        let user = if user.is_empty() { "anonymous" } else { user };
        Ok(Caller {
            user: user.to_owned(),
            password_fingerprint: vec![],
        })
    }

    fn check_caller(&self, caller: &Caller) -> Result<(), QueryError> {
        match self.gone.lock().contains(&caller.user) {
            true => Err(QueryError::new(ErrorCode::Unauthenticated, "gone")),
            false => Ok(()),
        }
    }

    fn issue_token(&self, caller: &Caller) -> IssuedToken {
        let session = self.tokens.fetch_add(1, Ordering::SeqCst) as u64;
        token(&caller.user, session)
    }

    fn read_token(&self, text: &str) -> Result<IssuedToken, QueryError> {
        let unknown = || QueryError::new(ErrorCode::Unauthenticated, "unknown token");
        let (user, session) = text.split_once('/').ok_or_else(unknown)?;
        let token = token(user, session.parse().map_err(|_| unknown())?);
        self.check_caller(&token.caller)?;
        Ok(token)
    }

    fn open_session(&self, user: &str) -> Result<SessionId, QueryError> {
        let number = self.opened.fetch_add(1, Ordering::SeqCst);
        let id = format!("session {number}");
        self.sessions.lock().insert(id.clone());
        self.users.lock().push(user.to_owned());
        Ok(SessionId(id))
    }

    fn has_session(&self, session: &SessionId) -> bool {
        self.sessions.lock().contains(&session.0)
    }

    fn close_session(&self, session: &SessionId) {
        self.sessions.lock().remove(&session.0);
    }

    async fn describe(
        &self,
        _session: &SessionId,
        sql: &str,
    ) -> Result<StatementDescription, QueryError> {
        if sql == "SELECT nowhere" {
            return Err(table_not_found());
        }
        let parameters = sql.matches('$').count();
        let fields: Vec<Field> = (1..=parameters)
            .map(|number| Field::new(format!("${number}"), DataType::Int64, true))
            .collect();
        let known = answer(sql, &[]);
        Ok(StatementDescription {
            kind: match known {
                Some(_) => StatementKind::Query,
                None => StatementKind::Command,
            },
            schema: known.map_or_else(|| Arc::new(Schema::empty()), |(schema, _)| schema),
            parameter_schema: Arc::new(Schema::new(fields)),
            takes_rows: false,
            flight: FlightOptions::default(),
            plan: Arc::default(),
        })
    }

    async fn submit(&self, request: SubmitRequest) -> Result<SubmittedQuery, QueryError> {
        let SubmitRequest {
            sql, parameters, ..
        } = request;
        self.submitted
            .lock()
            .push((sql.clone(), parameters.clone()));
        if sql == "SELECT nowhere" {
            return Err(table_not_found());
        }
        let id = self.ids.next(chrono::Utc::now());
        Ok(match answer(&sql, &parameters) {
            Some((schema, rows)) => {
                self.streams.fetch_add(1, Ordering::SeqCst);
                let counted = Counted(self.streams.clone());
                let rows = rows.map(move |row| {
                    let _alive = &counted;
                    row
                });
                SubmittedQuery {
                    id,
                    schema,
                    outcome: QueryOutcome::Rows(rows.boxed()),
                    flight: FlightOptions {
                        native_types: sql.contains("native"),
                        direct: false,
                    },
                }
            }
            None => SubmittedQuery {
                id,
                schema: Arc::new(Schema::empty()),
                outcome: QueryOutcome::Done {
                    affected_rows: sql.starts_with("INSERT").then_some(3),
                },
                flight: FlightOptions::default(),
            },
        })
    }

    async fn ingest(&self, mut request: IngestRequest) -> Result<u64, QueryError> {
        if request.target.table == "slow" {
            std::future::pending::<()>().await;
        }
        let mut rows = 0;
        while let Some(batch) = request.batches.next().await {
            let batch = batch?;
            assert_eq!(batch.schema(), request.schema);
            rows += batch.num_rows() as u64;
        }
        let shown = format!("{:?} {:?}", request.target, request.schema.fields());
        self.submitted.lock().push((shown, vec![]));
        Ok(rows)
    }

    fn status(&self, _query: &QueryId) -> Option<QueryStatus> {
        None
    }

    fn queries(&self) -> Vec<QueryStatus> {
        vec![]
    }

    fn live_queries(&self, _session: &SessionId) -> Vec<QueryStatus> {
        vec![]
    }

    fn cancel(&self, query: &QueryId, reason: &str) -> bool {
        self.cancelled
            .lock()
            .push((query.clone(), reason.to_owned()));
        true
    }

    async fn metadata(&self, _session: &SessionId) -> Result<Arc<CatalogMetadata>, QueryError> {
        let table = |name: &str, table_type: &str| TableMetadata {
            name: name.into(),
            table_type: table_type.into(),
            schema: Arc::new(Schema::new(vec![
                Field::new("id", DataType::Int64, false),
                Field::new("note", DataType::Utf8View, true),
            ])),
        };
        Ok(Arc::new(CatalogMetadata {
            catalog: "skep".into(),
            databases: vec![DatabaseMetadata {
                name: "sales".into(),
                tables: vec![table("orders", "TABLE"), table("big_orders", "VIEW")],
            }],
        }))
    }
}
