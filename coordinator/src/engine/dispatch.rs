//! One statement from its text to its outcome.

use super::Coordinator;
use super::views;
use crate::access::Verdict;
use crate::attempts::Deadline;
use crate::query::QueryHandle;
use crate::query::admission::AdmissionPermit;
use crate::results::{self, ReaderLimits, Reading, Replan, Run};
use crate::service::{
    ClientBatches, DirectRequest, QueryOutcome, StatementDescription, StatementKind, SubmitRequest,
    SubmittedQuery,
};
use crate::session::{Session, Settings};
use crate::statement::{CreateView, ParseOptions, Statement, explain, parse, show};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DataFusionStatement;
use futures::{FutureExt, StreamExt, stream};
use skep_exchange::direct::{DirectAudience, DirectReaders, schema_bytes};
use skep_planner::{KeptQuery, PlanningContext, PreparedPlan, ResolvedQuery, parameter_schema};
use skep_protocol::ids::QueryIdGenerator;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub(super) enum Dispatched {
    /// A query to run, whose rows the client reads.
    Run(Box<Reading>),
    /// Rows that are at hand.
    Rows(RecordBatch),
    /// Nothing to return.
    Done { affected_rows: Option<u64> },
}

/// Whether a statement may have parameters.
fn takes_parameters(statement: &Statement) -> bool {
    match statement {
        Statement::Query(_)
        | Statement::Explain(_)
        | Statement::CopyTo(_)
        | Statement::Insert(_)
        | Statement::InsertDirectory(_) => true,
        Statement::CreateTable(create) => create.source.is_some(),
        _ => false,
    }
}

/// Waits until it is known where the client reads from executors, or until the query has failed.
async fn hand_out(
    readers: Arc<DirectReaders>,
    mut running: ClientBatches,
) -> Result<QueryOutcome, QueryError> {
    let endpoints = tokio::select! {
        endpoints = readers.endpoints() => endpoints,
        first = running.next() => match first {
            Some(Err(error)) => return Err(error),
            _ => return Err(QueryError::internal("a query ended before it was read")),
        },
    };
    Ok(QueryOutcome::Direct {
        endpoints,
        readers,
        running,
    })
}

impl Coordinator {
    /// Runs a statement: to its end, or until its rows begin to flow.
    pub(super) async fn run(
        self: &Arc<Self>,
        session: Session,
        handle: QueryHandle,
        request: SubmitRequest,
    ) -> Result<SubmittedQuery, QueryError> {
        let dispatched = tokio::select! {
            dispatched = self.dispatch(&session, &handle, request) => dispatched,
            stopped = self.stopped(&session, &handle) => Err(stopped),
        };
        let dispatched = match dispatched {
            Ok(dispatched) => dispatched,
            Err(error) => return Err(handle.failed(error)),
        };
        let id = handle.id().clone();
        let flight = session.settings.own().flight;
        let (schema, outcome) = match dispatched {
            Dispatched::Run(reading) => {
                let schema = Arc::clone(reading.run.planned.schema());
                let direct = reading.run.planned.direct().cloned();
                let limits = ReaderLimits {
                    bytes_max: self.config.queries.result_buffer_bytes,
                    wait_max: self.config.queries.client_wait,
                };
                let rows = results::start(*reading, handle, limits, &self.threads.compute);
                let outcome = match direct {
                    Some(readers) => hand_out(readers, rows).await?,
                    None => QueryOutcome::Rows(rows),
                };
                (schema, outcome)
            }
            Dispatched::Rows(batch) => {
                handle.add_rows(batch.num_rows());
                handle.finished();
                let schema = batch.schema();
                let rows = stream::once(std::future::ready(Ok(batch))).boxed();
                (schema, QueryOutcome::Rows(rows))
            }
            Dispatched::Done { affected_rows } => {
                handle.finished();
                (
                    Arc::new(Schema::empty()),
                    QueryOutcome::Done { affected_rows },
                )
            }
        };
        Ok(SubmittedQuery {
            id,
            schema,
            outcome,
            flight,
        })
    }

    async fn dispatch(
        self: &Arc<Self>,
        session: &Session,
        handle: &QueryHandle,
        request: SubmitRequest,
    ) -> Result<Dispatched, QueryError> {
        let SubmitRequest {
            sql,
            parameters,
            prepared,
            direct,
            ..
        } = request;
        let mut place = None;
        if let Some(prepared) = prepared.as_ref().filter(|prepared| prepared.is_kept()) {
            let admitted = self.admission.admit().await?;
            handle.admitted();
            if let Some(query) = self.kept_query(session, handle, prepared)? {
                return self
                    .run_query(handle, admitted, query, parameters, direct)
                    .await;
            }
            place = Some(admitted);
        }
        let statement = parse(&sql, self.parse_options(session))?;
        if !takes_parameters(&statement) && !parameters.is_empty() {
            let text = "statements have parameters where they are queries, write a query's rows or explain one";
            return Err(QueryError::new(ErrorCode::InvalidArgument, text));
        }
        if self.authorise(session, &statement).await? == Verdict::NothingThere {
            handle.admitted();
            return Ok(Dispatched::Done {
                affected_rows: None,
            });
        }
        match statement {
            Statement::Query(statement) => {
                let place = match place {
                    Some(place) => place,
                    None => self.admission.admit().await?,
                };
                handle.admitted();
                let query = self.resolve(session, handle, &statement).await?;
                if let Some(prepared) = &prepared {
                    prepared.keep(&query.0, &query.1);
                }
                self.run_query(handle, place, query, parameters, direct)
                    .await
            }
            Statement::Explain(statement) => {
                self.explain(session, handle, &statement, parameters).await
            }
            Statement::Show(what) => {
                handle.admitted();
                let rows = show::rows(self, session, &what, handle.id()).await?;
                Ok(Dispatched::Rows(rows))
            }
            Statement::Vacuum { name, dry_run } => {
                handle.admitted();
                let files = self.vacuum(session, name.as_ref(), dry_run).await?;
                Ok(Dispatched::Rows(show::files(&files)?))
            }
            other => {
                let affected_rows = self.change(session, handle, other, parameters).await?;
                Ok(Dispatched::Done { affected_rows })
            }
        }
    }

    /// Runs a statement that changes something; returns how many rows it wrote, where it writes rows.
    async fn change(
        self: &Arc<Self>,
        session: &Session,
        handle: &QueryHandle,
        statement: Statement,
        parameters: Vec<ScalarValue>,
    ) -> Result<Option<u64>, QueryError> {
        match statement {
            Statement::Insert(inserts) => {
                let rows = self.insert(session, handle, inserts, &parameters).await?;
                Ok(Some(rows))
            }
            Statement::CreateTable(mut create) => match create.source.take() {
                Some(source) => self
                    .create_table_as(session, handle, *create, &source.statement, parameters)
                    .await
                    .map(Some),
                None => {
                    handle.admitted();
                    self.run_command(session, handle, Statement::CreateTable(create))
                        .await
                }
            },
            Statement::CreateView(create) => {
                handle.admitted();
                let context = self.planning_context(session, handle.id());
                self.check_view_stays(session, &context, &create)?;
                let resolved = context.resolve(&create.query.statement).await?;
                views::check_column_names(&create, &resolved)?;
                self.check_view_ends(session, &context, &create).await?;
                let (inner, session) = (Arc::clone(self), session.clone());
                let columns = resolved.column_count();
                let change = async move { inner.create_view(&session, *create, columns).await };
                self.uninterrupted(handle, change).await?;
                Ok(None)
            }
            Statement::InsertDirectory(insert) => {
                let rows = self
                    .insert_directory(session, handle, *insert, parameters)
                    .await?;
                Ok(Some(rows))
            }
            Statement::CopyTo(copy) => {
                let rows = self.copy_to(session, handle, *copy, parameters).await?;
                Ok(Some(rows))
            }
            Statement::CopyFrom(copy) => {
                let insert = self.insert_of_copy(session, &copy)?;
                let rows = self.insert(session, handle, vec![insert], &[]).await?;
                Ok(Some(rows))
            }
            Statement::LoadData(load) => self.load_data(session, handle, load).await,
            Statement::Analyze(analyze) => {
                self.analyze(session, handle, analyze).await?;
                Ok(None)
            }
            command => {
                handle.admitted();
                self.run_command(session, handle, command).await
            }
        }
    }

    /// Runs a command: to its end, once it has begun, unless it looks at the files of a table.
    async fn run_command(
        self: &Arc<Self>,
        session: &Session,
        handle: &QueryHandle,
        command: Statement,
    ) -> Result<Option<u64>, QueryError> {
        let may_take_long = match &command {
            Statement::RefreshTable(_) | Statement::RepairTable { .. } => true,
            Statement::CreateTable(create) => create.external,
            _ => false,
        };
        if may_take_long {
            return self.command(session, command).await;
        }
        let (inner, session) = (Arc::clone(self), session.clone());
        let change = async move { inner.command(&session, command).await };
        self.uninterrupted(handle, change).await
    }

    /// What is there for everybody must not need what one session has.
    fn check_view_stays(
        &self,
        session: &Session,
        context: &PlanningContext,
        create: &CreateView,
    ) -> Result<(), QueryError> {
        let database = self.database_of(session, &create.name);
        let view = &create.name.table;
        let is_temporary =
            create.temporary || create.must_exist && context.catalog.is_temporary(&database, view);
        match context.temporary_name(&create.query.statement)? {
            Some(name) if !is_temporary => {
                let text = format!(
                    "view '{view}' cannot use '{name}', which is temporary; CREATE TEMPORARY VIEW can"
                );
                Err(QueryError::new(ErrorCode::Semantic, text))
            }
            _ => Ok(()),
        }
    }

    /// How the statements of a session are read.
    fn parse_options(&self, session: &Session) -> ParseOptions {
        ParseOptions {
            bytes_max: self.config.queries.statement_bytes_max,
            dialect: session.settings.dialect(),
        }
    }

    /// What a prepared statement was resolved to before, where that still holds and can run at once.
    fn kept_query(
        &self,
        session: &Session,
        handle: &QueryHandle,
        prepared: &PreparedPlan,
    ) -> Result<Option<(PlanningContext, ResolvedQuery)>, QueryError> {
        let context = self.planning_context(session, handle.id());
        let has_executors = !context.executors.is_empty();
        let resolved = prepared.resolved_in(&context)?;
        let resolved = resolved.filter(|resolved| has_executors || !resolved.reads_files());
        Ok(resolved.map(|resolved| (context, resolved)))
    }

    /// Plans a query that has its place, with the values of its parameters.
    async fn run_query(
        self: &Arc<Self>,
        handle: &QueryHandle,
        place: AdmissionPermit,
        (context, resolved): (PlanningContext, ResolvedQuery),
        parameters: Vec<ScalarValue>,
        direct: Option<DirectRequest>,
    ) -> Result<Dispatched, QueryError> {
        let resolved = resolved.bind(parameters)?;
        let kept = resolved.kept();
        let audience = |schema: &SchemaRef| self.audience(&context, direct, schema);
        let run = self
            .plan_run_for(&context, resolved, handle, audience)
            .await?;
        let own = context.session.settings.own();
        // Rows that clients read from executors leave at once; and where no executor takes part, none is lost.
        let is_final = run.planned.direct().is_some() || !run.planned.needs_executors();
        let (attempts_max, holdback_bytes) = match is_final {
            true => (1, 0),
            false => (own.query_attempts_max, own.result_holdback),
        };
        let attempts = self.attempts_up_to(attempts_max, &context, handle, run.deadline);
        Ok(Dispatched::Run(Box::new(Reading {
            run: Run {
                place: Some(place),
                ..run
            },
            attempts,
            replan: self.replan(kept),
            holdback_bytes,
        })))
    }

    /// Plans a query again, where statements are planned.
    fn replan(self: &Arc<Self>, kept: KeptQuery) -> Replan {
        let planning = self.threads.planning.clone();
        Box::new(move |context| {
            let kept = kept.clone();
            let plan = async move { kept.resolved_in(&context)?.plan().await };
            let plan = AbortOnDropHandle::new(planning.spawn(plan));
            let plan = async {
                plan.await.unwrap_or_else(|error| {
                    let text = format!("planning the query again failed: {error}");
                    Err(QueryError::internal(text))
                })
            };
            plan.boxed()
        })
    }

    /// Who reads a result of `schema` from executors, where the client may and its session asks for it.
    fn audience(
        &self,
        context: &PlanningContext,
        request: Option<DirectRequest>,
        schema: &SchemaRef,
    ) -> Result<Option<DirectAudience>, QueryError> {
        let flight = context.session.settings.own().flight;
        let Some(request) = request.filter(|_| flight.direct) else {
            return Ok(None);
        };
        let executors = || context.executors.0.iter();
        if request.needs_tls && executors().any(|executor| !executor.client_address.uses_tls) {
            return Ok(None);
        }
        let addresses =
            executors().map(|executor| (executor.address.clone(), executor.client_address.clone()));
        Ok(Some(DirectAudience {
            key: self.key.clone(),
            user: context.session.user.clone(),
            needs_token: self.identity.is_login_required(context.catalog.permanent()),
            schema: schema_bytes(&(request.wire_schema)(schema, &flight))?,
            needs_tls: request.needs_tls,
            wait_max: request.wait_max,
            client_wait: self.config.queries.client_wait,
            addresses: addresses.collect(),
        }))
    }

    /// Resolves a statement, waiting for the first executor where the statement reads a table.
    pub(super) async fn resolve(
        &self,
        session: &Session,
        handle: &QueryHandle,
        statement: &DataFusionStatement,
    ) -> Result<(PlanningContext, ResolvedQuery), QueryError> {
        let context = self.planning_context(session, handle.id());
        self.resolve_in(context, statement).await
    }

    /// Resolves a statement in `context`, waiting for the first executor where the statement reads a table.
    pub(super) async fn resolve_in(
        &self,
        mut context: PlanningContext,
        statement: &DataFusionStatement,
    ) -> Result<(PlanningContext, ResolvedQuery), QueryError> {
        let resolved = context.resolve(statement).await?;
        if !context.executors.is_empty() || !resolved.reads_files() {
            return Ok((context, resolved));
        }
        let patience = self.config.executor_wait;
        let executors = self.members.wait_for_active(patience).await?;
        context.executors = executors.for_planning();
        let resolved = context.resolve(statement).await?;
        Ok((context, resolved))
    }

    pub(super) async fn plan(
        &self,
        context: &PlanningContext,
        resolved: ResolvedQuery,
        handle: &QueryHandle,
        place: AdmissionPermit,
    ) -> Result<Run, QueryError> {
        let run = self.plan_run(context, resolved, handle).await?;
        Ok(Run {
            place: Some(place),
            ..run
        })
    }

    /// Plans a run of a statement that has its place already.
    pub(super) async fn plan_run(
        &self,
        context: &PlanningContext,
        resolved: ResolvedQuery,
        handle: &QueryHandle,
    ) -> Result<Run, QueryError> {
        self.plan_run_for(context, resolved, handle, |_| Ok(None))
            .await
    }

    async fn plan_run_for(
        &self,
        context: &PlanningContext,
        resolved: ResolvedQuery,
        handle: &QueryHandle,
        audience: impl FnOnce(&SchemaRef) -> Result<Option<DirectAudience>, QueryError>,
    ) -> Result<Run, QueryError> {
        let deadline = self.deadline(&context.session.settings, handle);
        let planned = resolved.plan_for(audience).await?;
        let monitor = Arc::clone(&context.monitor);
        handle.planned(Arc::clone(&monitor), planned.shape());
        Ok(Run {
            planned,
            place: None,
            monitor,
            deadline,
        })
    }

    /// The sooner of what the server and the session allow, from the query's submission on.
    pub(super) fn deadline(&self, settings: &Settings, handle: &QueryHandle) -> Option<Deadline> {
        let seconds = settings.own().query_run_time_max_s;
        let session_max = (seconds > 0).then(|| Duration::from_secs(seconds as u64));
        let limit = match (self.config.queries.run_time_max, session_max) {
            (Some(server), Some(session)) => Some(server.min(session)),
            (server, session) => server.or(session),
        };
        limit.map(|limit| Deadline {
            at: Instant::from_std(handle.submitted_at()) + limit,
            limit,
        })
    }

    /// Resolves when a statement is not to go on: somebody has ended it, or its time is over. What is being
    /// committed goes on in any case.
    pub(super) async fn stopped(&self, session: &Session, handle: &QueryHandle) -> QueryError {
        if let Some(deadline) = self.deadline(&session.settings, handle) {
            tokio::select! {
                () = handle.cancellation().cancelled() => {}
                () = tokio::time::sleep_until(deadline.at) => {
                    handle.stop(deadline.error());
                }
            }
        }
        handle.cancellation().cancelled().await;
        handle.canceled_error()
    }

    /// Says what a statement would return.
    pub(crate) async fn describe(
        &self,
        session: &Session,
        sql: &str,
    ) -> Result<StatementDescription, QueryError> {
        let statement = parse(sql, self.parse_options(session))?;
        let kind = match statement.returns_rows() {
            true => StatementKind::Query,
            false => StatementKind::Command,
        };
        self.authorise(session, &statement).await?;
        let nothing: SchemaRef = Arc::new(Schema::empty());
        let plan = Arc::<PreparedPlan>::default();
        // A description is not a query of its own: it takes no place and is not in the list.
        let id = QueryIdGenerator::new().next(chrono::Utc::now());
        let resolve = async |query: &DataFusionStatement| {
            let context = self.planning_context(session, &id);
            let resolved = context.resolve(query).await?;
            Ok::<_, QueryError>((context, resolved))
        };
        let mut takes_rows = false;
        let (schema, parameter_schema) = match statement {
            Statement::Query(query) => {
                let (context, resolved) = resolve(&query).await?;
                plan.keep(&context, &resolved);
                (resolved.schema(), parameter_schema([&resolved])?)
            }
            Statement::Insert(inserts) => {
                let (parameters, rows) = self.insert_parameters(session, &id, inserts).await?;
                takes_rows = rows;
                (nothing, parameters)
            }
            Statement::CreateTable(create) => match &create.source {
                Some(source) => {
                    let (_, resolved) = resolve(&source.statement).await?;
                    (nothing, parameter_schema([&resolved])?)
                }
                None => (Arc::clone(&nothing), nothing),
            },
            Statement::InsertDirectory(insert) => {
                let (_, resolved) = resolve(&insert.source.statement).await?;
                (nothing, parameter_schema([&resolved])?)
            }
            Statement::CopyTo(copy) => {
                let (_, resolved) = resolve(&copy.source.statement).await?;
                (nothing, parameter_schema([&resolved])?)
            }
            Statement::Explain(explained) => {
                let (_, resolved) = resolve(&explained.statement).await?;
                (explain::schema(), parameter_schema([&resolved])?)
            }
            Statement::Show(what) => (show::schema(&what), nothing),
            Statement::Vacuum { .. } => (show::files_schema(), nothing),
            _ => (Arc::clone(&nothing), nothing),
        };
        Ok(StatementDescription {
            kind,
            schema,
            parameter_schema,
            takes_rows,
            flight: session.settings.own().flight,
            plan,
        })
    }
}
