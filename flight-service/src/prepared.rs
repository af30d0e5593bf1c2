//! Prepared statements: described once, run as often as the client likes, with the parameters that it
//! bound last. The engine's plan is kept with the text; the engine makes it again where the catalog has
//! changed, so a statement sees the catalog as it is when it runs.

use crate::engine::{PreparedPlan, StatementDescription, StatementKind};
use crate::errors::DoorError;
use crate::handle::Handle;
use crate::parameters::ParameterRows;
use crate::wire_schema::{WireTypes, types_of, wire_schema};
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// One prepared statement.
pub(crate) struct PreparedStatement {
    pub(crate) sql: String,
    pub(crate) kind: StatementKind,
    /// The wire schema of its rows.
    pub(crate) schema: SchemaRef,
    /// One field per parameter.
    pub(crate) parameter_schema: SchemaRef,
    /// Whether one run of the command takes all rows of parameters.
    pub(crate) takes_rows: bool,
    /// What the engine keeps of it.
    pub(crate) plan: Arc<PreparedPlan>,
    bound: Mutex<Option<Arc<ParameterRows>>>,
}

impl PreparedStatement {
    /// From what the engine says of the statement.
    pub(crate) fn new(sql: String, description: StatementDescription) -> Self {
        Self {
            sql,
            kind: description.kind,
            schema: wire_schema(&description.schema, types_of(&description.flight)),
            takes_rows: description.takes_rows,
            parameter_schema: wire_schema(&description.parameter_schema, WireTypes::Plain),
            plan: description.plan,
            bound: Mutex::new(None),
        }
    }

    /// Keeps parameters for the runs that follow.
    pub(crate) fn bind(&self, rows: Option<ParameterRows>) -> Result<(), DoorError> {
        let rows = rows.map(|rows| self.checked(rows)).transpose()?;
        *self.bound.lock() = rows.map(Arc::new);
        Ok(())
    }

    /// The parameters of a query, which runs once per row.
    pub(crate) fn query_rows(&self) -> Result<Arc<ParameterRows>, DoorError> {
        let rows = self.rows(None)?;
        match rows.is_empty() {
            true => Err(DoorError::BadRequest(
                "a query needs a row of parameters, but none is bound".to_owned(),
            )),
            false => Ok(rows),
        }
    }

    /// The values of each run of a command: one run for each row of parameters, or one with all of them.
    /// They are those that came with the call, or those that were bound before it.
    pub(crate) fn runs(
        &self,
        given: Option<ParameterRows>,
    ) -> Result<Arc<ParameterRows>, DoorError> {
        let rows = self.rows(given)?;
        match self.takes_rows && !rows.is_empty() {
            true => Ok(Arc::new(vec![rows.iter().flatten().cloned().collect()])),
            false => Ok(rows),
        }
    }

    fn rows(&self, given: Option<ParameterRows>) -> Result<Arc<ParameterRows>, DoorError> {
        let needed = self.parameter_schema.fields().len();
        let bound = match given {
            Some(rows) => Some(Arc::new(self.checked(rows)?)),
            None => self.bound.lock().clone(),
        };
        match bound {
            Some(rows) => Ok(rows),
            None if needed == 0 => Ok(Arc::new(vec![vec![]])),
            None => Err(DoorError::BadRequest(format!(
                "the statement has {needed} parameters and none are bound"
            ))),
        }
    }

    fn checked(&self, rows: ParameterRows) -> Result<ParameterRows, DoorError> {
        let needed = self.parameter_schema.fields().len();
        match rows.iter().find(|row| row.len() != needed) {
            Some(row) => Err(DoorError::BadRequest(format!(
                "the statement has {needed} parameters, not {}",
                row.len()
            ))),
            None => Ok(rows),
        }
    }
}

/// The prepared statements of one session.
#[derive(Default)]
pub(crate) struct PreparedStatements {
    by_handle: Mutex<HashMap<Handle, Arc<PreparedStatement>>>,
}

impl PreparedStatements {
    /// Keeps a statement, where there is room for it.
    pub(crate) fn add(
        &self,
        statement: Arc<PreparedStatement>,
        statements_max: usize,
    ) -> Result<Handle, DoorError> {
        let mut by_handle = self.by_handle.lock();
        if by_handle.len() >= statements_max {
            return Err(DoorError::TooMany {
                what: "prepared statements in this session",
                limit: statements_max,
            });
        }
        let handle = Handle::random();
        by_handle.insert(handle, statement);
        Ok(handle)
    }

    /// The statement of that handle.
    pub(crate) fn get(&self, handle: &[u8]) -> Result<Arc<PreparedStatement>, DoorError> {
        Handle::from_bytes(handle)
            .and_then(|handle| self.by_handle.lock().get(&handle).cloned())
            .ok_or(DoorError::UnknownHandle("prepared statement"))
    }

    /// Forgets a statement; closing one twice is no error.
    pub(crate) fn remove(&self, handle: &[u8]) {
        if let Some(handle) = Handle::from_bytes(handle) {
            self.by_handle.lock().remove(&handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::scalar::ScalarValue;

    fn statement(parameters: usize) -> PreparedStatement {
        let fields: Vec<Field> = (1..=parameters)
            .map(|number| Field::new(format!("${number}"), DataType::Int64, true))
            .collect();
        PreparedStatement::new(
            "SELECT 1".into(),
            StatementDescription {
                kind: StatementKind::Query,
                schema: Arc::new(Schema::empty()),
                parameter_schema: Arc::new(Schema::new(fields)),
                takes_rows: false,
                flight: Default::default(),
                plan: Default::default(),
            },
        )
    }

    #[test]
    fn a_statement_without_parameters_runs_once() {
        assert_eq!(statement(0).query_rows().unwrap()[0], []);
        assert_eq!(statement(0).rows(None).unwrap().len(), 1);
    }

    #[test]
    fn parameters_must_be_bound_and_of_the_right_number() {
        let statement = statement(1);
        assert!(statement.query_rows().is_err());
        let value = ScalarValue::from(1_i64);
        let two = vec![vec![value.clone(), value.clone()]];
        assert!(statement.bind(Some(two.clone())).is_err());
        assert!(statement.rows(Some(two)).is_err());
        statement.bind(Some(vec![vec![value.clone()]])).unwrap();
        assert_eq!(
            statement.query_rows().unwrap()[0],
            std::slice::from_ref(&value)
        );
        // They hold for the next run, too.
        assert_eq!(statement.query_rows().unwrap()[0], [value]);
        statement.bind(None).unwrap();
        assert!(statement.query_rows().is_err());
    }

    #[test]
    fn a_query_takes_one_row_or_more() {
        let statement = statement(1);
        let row = vec![ScalarValue::from(1_i64)];
        statement.bind(Some(vec![row.clone(), row])).unwrap();
        assert_eq!(statement.query_rows().unwrap().len(), 2);
        statement.bind(Some(vec![])).unwrap();
        assert!(statement.query_rows().is_err());
    }

    #[test]
    fn statements_are_bounded_and_forgotten() {
        let statements = PreparedStatements::default();
        let handle = statements.add(Arc::new(statement(0)), 1).unwrap();
        assert!(statements.add(Arc::new(statement(0)), 1).is_err());
        assert!(statements.get(&handle.to_bytes()).is_ok());
        statements.remove(&handle.to_bytes());
        statements.remove(&handle.to_bytes());
        assert!(statements.get(&handle.to_bytes()).is_err());
        assert!(statements.get(b"nonsense").is_err());
    }
}
