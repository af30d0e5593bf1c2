//! Writes the rows that a client sends into a table: the same path as INSERT and CREATE TABLE AS, with the
//! client in the place of the query.

use super::Coordinator;
use super::write::{query_columns, write_target};
use crate::client_rows::RowQueue;
use crate::query::QueryHandle;
use crate::query::admission::{self, wait_for_client};
use crate::service::{ClientBatches, IfExists, IfMissing, IngestRequest, IngestTarget};
use crate::session::Session;
use crate::statement::storage_of;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use skep_catalog::catalog::{
    NewManagedTable, TableWrite, WriteCommit, WriteMode, WriteTarget as CommitTarget,
};
use skep_catalog::model::{Table, TableDefinition};
use skep_catalog::{Catalog, CatalogError};
use skep_planner::{PlanningContext, ResolvedQuery, WriteTarget};
use skep_protocol::{ErrorCode, QueryError};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

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
            () = handle.cancellation().cancelled() => Err(handle.canceled_error()),
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
        &self,
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
        let ticket = self.key.rows_ticket(handle.id());
        let source = context.client_rows(Arc::clone(&schema), ticket)?;
        let is_append = (if_missing, if_exists) == (IfMissing::Fail, IfExists::Append);
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
        let client = SendingClient {
            schema,
            batches,
            admitted: Some(admitted),
            wait_max: self.config.queries.client_wait,
        };
        let (files, rows) = self
            .feed_and_write(&context, handle, client, source, write, &definition)
            .await?;
        let commit = WriteCommit {
            tables: vec![TableWrite {
                target,
                mode: WriteMode::Append,
                files,
                reads_target: false,
            }],
        };
        catalog.commit_write(&commit).await?;
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

    /// Runs the write while the client's rows come in. Whichever fails first ends the other.
    async fn feed_and_write(
        &self,
        context: &PlanningContext,
        handle: &QueryHandle,
        client: SendingClient,
        source: ResolvedQuery,
        write: WriteTarget,
        definition: &TableDefinition,
    ) -> Result<(Vec<skep_catalog::catalog::NewFile>, u64), QueryError> {
        let schema = Arc::clone(&client.schema);
        let open = self.client_rows.open(handle.id(), schema);
        // The rows are decoded as they are fed, which is work.
        let feeding = self
            .threads
            .compute
            .spawn(feed(Arc::clone(&open.queue), client));
        let feeding = AbortOnDropHandle::new(feeding);
        let feeding = async move {
            let fed = feeding.await;
            fed.map_err(|error| QueryError::internal(format!("reading the rows failed: {error}")))?
        };
        let writing = self.run_write(context, source, write, definition, handle);
        let ((fed, _admitted), written) = tokio::try_join!(feeding, writing)?;
        if fed != written.rows {
            let text = format!("{fed} rows came in and {} were written", written.rows);
            return Err(QueryError::new(ErrorCode::TruncatedExchange, text));
        }
        Ok((written.files, fed))
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
}

impl SendingClient {
    async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        let next = self.batches.try_next();
        let next = wait_for_client(next, &mut self.admitted, self.wait_max).await;
        next.unwrap_or_else(|| {
            let seconds = self.wait_max.as_secs_f32();
            let text = format!("the client sent nothing for {seconds} s (query.client_wait)");
            Err(QueryError::new(ErrorCode::Canceled, text))
        })
    }
}

/// Passes the client's batches on; returns how many rows there were, and the statement's place.
async fn feed(
    queue: Arc<RowQueue>,
    mut client: SendingClient,
) -> Result<(u64, Option<admission::AdmissionPermit>), QueryError> {
    let mut rows = 0;
    loop {
        match client.next().await {
            Ok(Some(batch)) => {
                rows += batch.num_rows() as u64;
                let batch = batch.with_schema(Arc::clone(&client.schema));
                let batch = batch.map_err(|error| {
                    QueryError::new(ErrorCode::InvalidArgument, error.to_string())
                })?;
                queue.push(batch).await?;
            }
            Ok(None) => {
                queue.end(Ok(()));
                return Ok((rows, client.admitted));
            }
            // Not told to the queue: the client's error is to be seen, and no task's that follows from it.
            Err(error) => return Err(error),
        }
    }
}
