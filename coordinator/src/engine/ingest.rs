//! Writes the rows that a client sends into a table: the same path as INSERT and CREATE TABLE AS, with the
//! client in the place of the query.

mod sent_rows;

use super::Coordinator;
use super::write::{query_columns, write_target};
use super::write_attempts::target_of_attempt;
use crate::client_rows::RowQueue;
use crate::query::QueryHandle;
use crate::query::admission::{self, wait_for_client};
use crate::service::{ClientBatches, IfExists, IfMissing, IngestRequest, IngestTarget};
use crate::session::Session;
use crate::statement::storage_of;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use sent_rows::{Lost, SentRows};
use skep_catalog::catalog::{
    NewFile, NewManagedTable, TableWrite, WriteCommit, WriteMode, WriteTarget as CommitTarget,
};
use skep_catalog::model::{Table, TableDefinition};
use skep_catalog::{Catalog, CatalogError};
use skep_planner::{PlanningContext, ResolvedQuery, WriteTarget};
use skep_protocol::{ErrorCode, QueryError};
use skep_writer::WrittenFile;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

/// With which attempt a statement begins.
const FIRST_ATTEMPT: u32 = 1;

/// What the list of queries shows of a request.
pub(super) fn shown(request: &IngestRequest) -> String {
    let IngestTarget {
        database,
        table,
        temporary,
    } = &request.target;
    let kind = if *temporary { "TEMPORARY " } else { "" };
    let database = database.as_ref().map(|name| format!("\"{name}\"."));
    let mode = match (request.if_missing, request.if_exists) {
        (IfMissing::Fail, IfExists::Append) => "append",
        (IfMissing::Create, IfExists::Append) => "create or append",
        (_, IfExists::Replace) => "replace",
        (_, IfExists::Fail) => "create",
    };
    format!(
        "INGEST INTO {kind}{}\"{table}\" ({mode})",
        database.unwrap_or_default()
    )
}

impl Coordinator {
    /// Writes all rows of `request`; returns how many there were.
    pub(super) async fn ingest(
        self: &Arc<Self>,
        session: Session,
        handle: QueryHandle,
        request: IngestRequest,
    ) -> Result<u64, QueryError> {
        let outcome = tokio::select! {
            outcome = self.write_rows(&session, &handle, request) => outcome,
            stopped = self.stopped(&session, &handle) => Err(stopped),
        };
        match outcome {
            Ok(rows) => {
                handle.finished();
                Ok(rows)
            }
            Err(error) => Err(handle.failed(error)),
        }
    }

    async fn write_rows(
        self: &Arc<Self>,
        session: &Session,
        handle: &QueryHandle,
        request: IngestRequest,
    ) -> Result<u64, QueryError> {
        let admitted = self.admission.admit().await?;
        handle.admitted();
        let mut context = self.planning_context(session, handle.id());
        if context.executors.is_empty() {
            let patience = self.config.executor_wait;
            let executors = self.members.wait_for_active(patience).await?;
            context.executors = executors.for_planning();
        }
        let IngestRequest {
            target,
            if_missing,
            if_exists,
            schema,
            batches,
            ..
        } = request;
        check_columns(&schema)?;
        let ticket = self.key.rows_ticket(handle.id(), FIRST_ATTEMPT);
        let source = context.client_rows(Arc::clone(&schema), ticket)?;
        let is_append = (if_missing, if_exists) == (IfMissing::Fail, IfExists::Append);
        self.authorise_ingest(session, &target, (if_missing, if_exists))?;
        let (catalog, place) = self.place(session, target, if_missing, is_append).await?;
        let (definition, target) = target_of(catalog, session, &source, place, if_exists).await?;
        let listed = schema.fields().iter().map(|field| field.name().clone());
        let write = write_target(
            &definition,
            handle.id(),
            &Vec::new(),
            listed.collect(),
            false,
        )?;
        if matches!(target, CommitTarget::Existing(_)) {
            // By the header of ADBC, a table with other columns is one that is in the way.
            write.check(&source).map_err(|error| QueryError {
                code: ErrorCode::AlreadyExists,
                ..error
            })?;
        }
        let memory = self.planner.memory.query_pool(handle.id(), 0);
        let client = SendingClient {
            schema,
            batches,
            admitted: Some(admitted),
            wait_max: self.config.queries.client_wait,
            sent: SentRows::new(memory),
        };
        let (files, rows) = self
            .feed_and_write(&context, handle, client, write, &definition)
            .await?;
        let commit = WriteCommit {
            tables: vec![TableWrite {
                target,
                mode: WriteMode::Append,
                files,
                reads_target: false,
            }],
        };
        self.commit(session, catalog, handle, commit).await?;
        Ok(rows)
    }

    /// What the request's table is now, and in which catalog. Rows are appended to what SQL finds by that name,
    /// temporary tables first; the statement that creates or replaces it says of which kind the table is.
    async fn place<'a>(
        &'a self,
        session: &'a Session,
        target: IngestTarget,
        if_missing: IfMissing,
        is_append: bool,
    ) -> Result<(&'a Catalog, Target), QueryError> {
        let IngestTarget {
            database,
            table,
            temporary,
        } = target;
        let database = database.unwrap_or_else(|| session.database.clone());
        let catalog = match temporary {
            true => self.temporary_catalog(session, &database).await?,
            false if is_append => self.catalog_of(session, &database, &table),
            false => &self.catalog,
        };
        let place = match catalog.snapshot().table(&database, &table) {
            Ok(table) => Target::Taken(Arc::clone(table)),
            Err(CatalogError::TableNotFound { .. }) if if_missing == IfMissing::Create => {
                Target::Free { database, table }
            }
            Err(error) => return Err(error.into()),
        };
        Ok((catalog, place))
    }

    /// Writes the client's rows, in as many attempts as it takes and as long as those that were sent are
    /// still there.
    async fn feed_and_write(
        &self,
        context: &PlanningContext,
        handle: &QueryHandle,
        client: SendingClient,
        write: WriteTarget,
        definition: &TableDefinition,
    ) -> Result<(Vec<NewFile>, u64), QueryError> {
        let deadline = self.deadline(&context.session.settings, handle);
        let mut attempts = self.attempts(context, handle, deadline);
        let mut context = context.clone();
        let client = Arc::new(Mutex::new(client));
        loop {
            let number = attempts.number();
            let target = target_of_attempt(&write, number);
            let written = self
                .feed_attempt(&context, handle, &client, (number, target))
                .await;
            let error = match written {
                Ok((reports, rows)) => {
                    attempts.succeeded(handle);
                    self.remove_attempts(&write.spec, number).await;
                    let written = self.described(definition, reports).await?;
                    return Ok((written.files, rows));
                }
                Err(error) => client.lock().await.sent.check(error)?,
            };
            let next = attempts.next(error, handle).await;
            self.remove_attempts(&write.spec, number + 1).await;
            context = next?;
        }
    }

    /// Runs one attempt at writing while the client's rows come in. Whichever fails first ends the other.
    async fn feed_attempt(
        &self,
        context: &PlanningContext,
        handle: &QueryHandle,
        client: &Arc<Mutex<SendingClient>>,
        (attempt, target): (u32, WriteTarget),
    ) -> Result<(Vec<WrittenFile>, u64), QueryError> {
        let schema = Arc::clone(&client.lock().await.schema);
        let ticket = self.key.rows_ticket(handle.id(), attempt);
        let source = context.client_rows(Arc::clone(&schema), ticket)?;
        let open = self.client_rows.open(handle.id(), attempt, schema);
        // The rows are decoded as they are fed, which is work.
        let feeding = feed(Arc::clone(&open.queue), Arc::clone(client));
        let feeding = AbortOnDropHandle::new(self.threads.compute.spawn(feeding));
        let feeding = async move {
            let fed = feeding.await;
            fed.map_err(|error| QueryError::internal(format!("reading the rows failed: {error}")))?
        };
        let writing = self.write_attempt(context, source, target, handle);
        let (fed, reports) = tokio::try_join!(feeding, writing)?;
        let written: u64 = reports.iter().map(|file| file.rows).sum();
        if fed != written {
            let text = format!("{fed} rows came in and {written} were written");
            return Err(QueryError::new(ErrorCode::TruncatedExchange, text));
        }
        Ok((reports, fed))
    }
}

/// What has the name of the table that rows are sent into.
enum Target {
    Taken(Arc<Table>),
    Free { database: String, table: String },
}

/// The table that the rows go into, and what becomes of it in the catalog.
async fn target_of(
    catalog: &Catalog,
    session: &Session,
    source: &ResolvedQuery,
    place: Target,
    if_exists: IfExists,
) -> Result<(TableDefinition, CommitTarget), QueryError> {
    let (database, name, replaces) = match (place, if_exists) {
        (Target::Free { database, table }, _) => (database, table, None),
        (Target::Taken(table), IfExists::Append) => {
            return Ok((table.definition.clone(), CommitTarget::Existing(table)));
        }
        (Target::Taken(table), IfExists::Replace) => {
            let definition = &table.definition;
            let name = definition.name.clone();
            (definition.database.clone(), name, Some(table.id))
        }
        (Target::Taken(table), IfExists::Fail) => {
            let definition = &table.definition;
            let text = format!(
                "table {}.{} is there already: append to it or replace it",
                definition.database, definition.name
            );
            return Err(QueryError::new(ErrorCode::AlreadyExists, text));
        }
    };
    let (format, storage) = storage_of(&Default::default(), &BTreeMap::new())?;
    let new = NewManagedTable {
        database,
        name,
        if_not_exists: false,
        format,
        storage,
        location: None,
        columns: query_columns(source)?,
        partition_columns: Vec::new(),
        bucketing: None,
        properties: BTreeMap::new(),
        comment: None,
        owner: session.user.clone(),
    };
    let definition = catalog.plan_replacing_table(&new, replaces).await?;
    let target = CommitTarget::New {
        definition: Box::new(definition.clone()),
        if_not_exists: false,
        replaces,
    };
    Ok((definition, target))
}

/// Columns are found by their names, which hold in any case.
fn check_columns(schema: &Schema) -> Result<(), QueryError> {
    if schema.fields().is_empty() {
        let text = "the rows have no columns";
        return Err(QueryError::new(ErrorCode::InvalidArgument, text));
    }
    let mut seen = HashSet::new();
    let names = schema.fields().iter().map(|field| field.name());
    match names
        .into_iter()
        .find(|name| !seen.insert(name.to_lowercase()))
    {
        None => Ok(()),
        Some(name) => {
            let text = format!("the rows have two columns '{name}'");
            Err(QueryError::new(ErrorCode::Semantic, text))
        }
    }
}

/// A client that sends rows.
struct SendingClient {
    schema: SchemaRef,
    batches: ClientBatches,
    /// The statement's place among those that run, where the client has not lost it.
    admitted: Option<admission::AdmissionPermit>,
    /// How long it may send nothing.
    wait_max: Duration,
    sent: SentRows,
}

impl SendingClient {
    /// The next rows, which are kept for another attempt.
    async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        if self.sent.is_complete {
            return Ok(None);
        }
        let next = self.receive().await;
        // What comes after an error is not the rest of the rows.
        let next = next.inspect_err(|_| self.sent.give_up(Lost::Client))?;
        match &next {
            Some(batch) => self.sent.keep(batch),
            None => self.sent.is_complete = true,
        }
        Ok(next)
    }

    async fn receive(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        let next = self.batches.try_next();
        let next = wait_for_client(next, &mut self.admitted, self.wait_max).await;
        let next = next.unwrap_or_else(|| {
            let seconds = self.wait_max.as_secs_f32();
            let text = format!("the client sent nothing for {seconds} s (query.client_wait)");
            Err(QueryError::new(ErrorCode::Canceled, text))
        })?;
        let schema = &self.schema;
        next.map(|batch| {
            let batch = batch.with_schema(Arc::clone(schema));
            batch.map_err(|error| QueryError::new(ErrorCode::InvalidArgument, error.to_string()))
        })
        .transpose()
    }
}

/// Passes the client's batches on, those first that were sent in an earlier attempt; returns how many rows
/// there were.
async fn feed(queue: Arc<RowQueue>, client: Arc<Mutex<SendingClient>>) -> Result<u64, QueryError> {
    let mut client = client.lock().await;
    let mut rows = 0;
    for batch in client.sent.batches().to_vec() {
        rows += batch.num_rows() as u64;
        queue.push(batch).await?;
    }
    // An error is not told to the queue: the client's is to be seen, and no task's that follows from it.
    while let Some(batch) = client.next().await? {
        rows += batch.num_rows() as u64;
        queue.push(batch).await?;
    }
    queue.end(Ok(()));
    Ok(rows)
}
