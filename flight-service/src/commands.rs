//! From a Flight descriptor or ticket to a Flight SQL command and to whoever answers it.

use crate::door::Door;
use crate::endpoints::{FlightStream, encoded, schema_bytes, ticket_endpoint};
use crate::engine::{CatalogMetadata, StatementKind};
use crate::errors::{DoorError, bad_message};
use crate::metadata::{metadata_batch, metadata_schema, needs_catalog};
use crate::parameters::read_parameters;
use crate::prepared::PreparedStatement;
use crate::sessions::Session;
use crate::wire_schema::{types_of, wire_schema};
use arrow::datatypes::SchemaRef;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command,
    CommandStatementQuery, CommandStatementUpdate, DoPutPreparedStatementResult, DoPutUpdateResult,
};
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo, PutResult, Ticket};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use prost::Message;
use skep_coordinator::wire::split;
use std::sync::Arc;
use tonic::Streaming;

/// The command in a packed message.
pub(crate) fn unpack(bytes: &[u8], what: &str) -> Result<Command, DoorError> {
    let any = Any::decode(bytes).map_err(|error| bad_message(what, &error))?;
    Command::try_from(any)
        .map_err(|error| DoorError::BadRequest(format!("malformed {what}: {error}")))
}

/// The command that a descriptor names.
pub(crate) fn descriptor_command(descriptor: &FlightDescriptor) -> Result<Command, DoorError> {
    if descriptor.r#type == DescriptorType::Path as i32 {
        return Err(DoorError::Unsupported(
            "a descriptor with a path".to_owned(),
        ));
    }
    unpack(&descriptor.cmd, "command")
}

impl Door {
    /// GetFlightInfo: starts statements, and describes the answers to metadata commands.
    pub(crate) async fn flight_info(
        &self,
        session: &Session,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, DoorError> {
        let info = match descriptor_command(&descriptor)? {
            Command::CommandStatementQuery(query) => {
                let sql = statement_text(query)?;
                self.statements.start(session, sql).await?
            }
            Command::CommandPreparedStatementQuery(query) => {
                let statement = session.prepared.get(&query.prepared_statement_handle)?;
                self.statements.start_prepared(session, &statement).await?
            }
            command => {
                let schema = metadata_schema(&command).ok_or_else(|| unsupported(&command))?;
                FlightInfo::new()
                    .try_with_schema(&schema)
                    .map_err(DoorError::Encode)?
                    .with_endpoint(ticket_endpoint(&command.into_any()))
                    .with_total_records(-1)
                    .with_total_bytes(-1)
            }
        };
        Ok(info.with_descriptor(descriptor))
    }

    /// GetSchema: what GetFlightInfo would say, without running anything.
    pub(crate) async fn schema(
        &self,
        session: &Session,
        descriptor: &FlightDescriptor,
    ) -> Result<SchemaRef, DoorError> {
        match descriptor_command(descriptor)? {
            Command::CommandStatementQuery(query) => {
                let sql = statement_text(query)?;
                let description = self.service.describe(&session.id, &sql).await?;
                Ok(wire_schema(
                    &description.schema,
                    types_of(&description.flight),
                ))
            }
            Command::CommandPreparedStatementQuery(query) => {
                let statement = session.prepared.get(&query.prepared_statement_handle)?;
                Ok(statement.schema.clone())
            }
            command => metadata_schema(&command).ok_or_else(|| unsupported(&command)),
        }
    }

    /// DoGet: the rows of a started statement, or the answer to a metadata command.
    pub(crate) async fn fetch(
        &self,
        session: Arc<Session>,
        ticket: &Ticket,
    ) -> Result<FlightStream, DoorError> {
        let command = unpack(&ticket.ticket, "ticket")?;
        if let Command::TicketStatementQuery(ticket) = command {
            return self.statements.fetch(session, &ticket.statement_handle);
        }
        let catalog = if needs_catalog(&command) {
            self.service.metadata(&session.id).await?
        } else {
            Arc::new(CatalogMetadata::default())
        };
        let batch = metadata_batch(command, &catalog)?;
        let schema = batch.schema();
        let mut pieces = vec![];
        split(batch, self.options.sent_batch_bytes_max, &mut pieces).map_err(DoorError::Encode)?;
        Ok(encoded(&schema, stream::iter(pieces.into_iter().map(Ok))))
    }

    /// DoPut: runs a command, binds parameters, or takes rows for a table.
    pub(crate) async fn put(
        &self,
        session: Arc<Session>,
        mut messages: Streaming<FlightData>,
    ) -> Result<PutResult, DoorError> {
        let first = messages
            .try_next()
            .await
            .map_err(|status| DoorError::Engine(skep_protocol::QueryError::from_status(&status)))?
            .ok_or_else(|| DoorError::BadRequest("the stream holds no message".to_owned()))?;
        let descriptor = first.flight_descriptor.as_ref().ok_or_else(|| {
            DoorError::BadRequest("the first message holds no descriptor".to_owned())
        })?;
        let rows_max = self.options.parameter_rows_max;
        let app_metadata = match descriptor_command(descriptor)? {
            Command::CommandStatementUpdate(update) => {
                let sql = update_text(update)?;
                let record_count = self.statements.update(&session, sql).await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            Command::CommandPreparedStatementUpdate(update) => {
                let statement = session.prepared.get(&update.prepared_statement_handle)?;
                let parameters = read_parameters(first, messages, rows_max).await?;
                let record_count = self
                    .statements
                    .update_prepared(&session, &statement, parameters)
                    .await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            Command::CommandPreparedStatementQuery(query) => {
                let statement = session.prepared.get(&query.prepared_statement_handle)?;
                statement.bind(read_parameters(first, messages, rows_max).await?)?;
                let prepared_statement_handle = Some(query.prepared_statement_handle);
                DoPutPreparedStatementResult {
                    prepared_statement_handle,
                }
                .encode_to_vec()
            }
            Command::CommandStatementIngest(ingest) => {
                let record_count = self.ingest(session, ingest, first, messages).await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            command => return Err(unsupported(&command)),
        };
        Ok(PutResult {
            app_metadata: app_metadata.into(),
        })
    }

    /// Describes a statement and keeps it under a handle.
    pub(crate) async fn prepare(
        &self,
        session: &Session,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<ActionCreatePreparedStatementResult, DoorError> {
        no_transaction(request.transaction_id.as_ref())?;
        let description = self.service.describe(&session.id, &request.query).await?;
        let statement = PreparedStatement::new(request.query, description);
        // JDBC tells commands from queries by this being empty.
        let dataset_schema = match statement.kind {
            StatementKind::Query => schema_bytes(&statement.schema)?,
            StatementKind::Command => Bytes::new(),
        };
        let parameter_schema = schema_bytes(&statement.parameter_schema)?;
        let statements_max = self.options.prepared_statements_max;
        let handle = session.prepared.add(Arc::new(statement), statements_max)?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.to_bytes(),
            dataset_schema,
            parameter_schema,
        })
    }
}

fn statement_text(query: CommandStatementQuery) -> Result<String, DoorError> {
    no_transaction(query.transaction_id.as_ref())?;
    Ok(query.query)
}

fn update_text(update: CommandStatementUpdate) -> Result<String, DoorError> {
    no_transaction(update.transaction_id.as_ref())?;
    Ok(update.query)
}

fn no_transaction(id: Option<&Bytes>) -> Result<(), DoorError> {
    match id {
        Some(id) if !id.is_empty() => Err(DoorError::Unsupported(
            "a statement in a transaction".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn unsupported(command: &Command) -> DoorError {
    let url = command.type_url();
    let name = url.rsplit('.').next().unwrap_or(url);
    DoorError::Unsupported(format!("the command '{name}'"))
}
