//! Session options: drivers' way to choose the current catalog and database and to change settings.
//!
//! They are another spelling of SQL: `schema` is `USE`, any other name is `SET`, no value is `RESET`,
//! and reading them is `SHOW ALL`. So there is one set of settings, and one place that checks them.

use crate::engine::{QueryOutcome, QueryService, SubmitRequest};
use crate::errors::DoorError;
use crate::session_messages::{
    GetSessionOptionsResult, OptionValue, SessionOptionValue, SetOptionError, SetOptionErrorValue,
    SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::sessions::Session;
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use skep_protocol::ErrorCode;
use std::collections::HashMap;

/// The options' names that the protocol fixes.
const CATALOG: &str = "catalog";
const SCHEMA: &str = "schema";

/// The settings by which the engine shows the current catalog and database.
const CATALOG_SETTING: &str = "datafusion.catalog.default_catalog";
const SCHEMA_SETTING: &str = "datafusion.catalog.default_schema";

/// The most settings that are told to a client.
const SETTINGS_MAX: usize = 10_000;

/// Sets what can be set and says what could not.
pub(crate) async fn set_options(
    service: &dyn QueryService,
    session: &Session,
    request: SetSessionOptionsRequest,
) -> Result<SetSessionOptionsResult, DoorError> {
    let mut errors = HashMap::new();
    for (name, value) in request.session_options {
        let outcome = match (name.as_str(), value.option_value) {
            (CATALOG, Some(OptionValue::String(catalog))) => {
                set_catalog(service, session, &catalog).await?
            }
            (CATALOG | SCHEMA, None) => Err(SetOptionErrorValue::InvalidValue),
            (CATALOG, Some(_)) => Err(SetOptionErrorValue::InvalidValue),
            (name, value) => match option_sql(name, value) {
                Ok(sql) => run(service, session, sql).await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = outcome {
            let value = error as i32;
            errors.insert(name, SetOptionError { value });
        }
    }
    Ok(SetSessionOptionsResult { errors })
}

/// The current catalog and database and every setting.
pub(crate) async fn get_options(
    service: &dyn QueryService,
    session: &Session,
) -> Result<GetSessionOptionsResult, DoorError> {
    let mut options = HashMap::new();
    for row in rows(service, session, "SHOW ALL").await? {
        let mut cells = row.into_iter();
        if let (Some(Some(name)), Some(value)) = (cells.next(), cells.next()) {
            let name = match name.as_str() {
                CATALOG_SETTING => CATALOG.to_owned(),
                SCHEMA_SETTING => SCHEMA.to_owned(),
                _ => name,
            };
            let option_value = value.map(OptionValue::String);
            options.insert(name, SessionOptionValue { option_value });
        }
    }
    Ok(GetSessionOptionsResult {
        session_options: options,
    })
}

/// There is one catalog; choosing it changes nothing.
async fn set_catalog(
    service: &dyn QueryService,
    session: &Session,
    catalog: &str,
) -> Result<Result<(), SetOptionErrorValue>, DoorError> {
    let metadata = service.metadata(&session.id).await?;
    Ok(if metadata.catalog == catalog {
        Ok(())
    } else {
        Err(SetOptionErrorValue::InvalidValue)
    })
}

/// The statement that sets an option.
fn option_sql(name: &str, value: Option<OptionValue>) -> Result<String, SetOptionErrorValue> {
    let is_name = name.split('.').all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    let text = match value {
        _ if !is_name => return Err(SetOptionErrorValue::InvalidName),
        None => return Ok(format!("RESET {name}")),
        Some(OptionValue::String(value)) => value,
        Some(OptionValue::Bool(value)) => value.to_string(),
        Some(OptionValue::Int64(value)) => value.to_string(),
        Some(OptionValue::Double(value)) => value.to_string(),
        Some(OptionValue::StringList(_)) => return Err(SetOptionErrorValue::InvalidValue),
    };
    Ok(if name == SCHEMA {
        format!("USE `{}`", text.replace('`', "``"))
    } else {
        format!("SET {name} = '{}'", text.replace('\'', "''"))
    })
}

async fn run(
    service: &dyn QueryService,
    session: &Session,
    sql: String,
) -> Result<(), SetOptionErrorValue> {
    let outcome = service.submit(request(session, sql)).await;
    outcome.map(drop).map_err(|error| {
        tracing::debug!(code = error.code.as_str(), "session option refused");
        match error.code {
            ErrorCode::InvalidSetting | ErrorCode::DatabaseNotFound => {
                SetOptionErrorValue::InvalidValue
            }
            _ => SetOptionErrorValue::Error,
        }
    })
}

/// The rows of a short query, as text.
async fn rows(
    service: &dyn QueryService,
    session: &Session,
    sql: &str,
) -> Result<Vec<Vec<Option<String>>>, DoorError> {
    let submitted = service.submit(request(session, sql.to_owned())).await?;
    let QueryOutcome::Rows(mut batches) = submitted.outcome else {
        return Ok(vec![]);
    };
    let mut rows = vec![];
    while let Some(batch) = batches.try_next().await? {
        if rows.len() + batch.num_rows() > SETTINGS_MAX {
            return Err(DoorError::TooMany {
                what: "settings",
                limit: SETTINGS_MAX,
            });
        }
        append_text(&batch, &mut rows)?;
    }
    Ok(rows)
}

fn append_text(batch: &RecordBatch, rows: &mut Vec<Vec<Option<String>>>) -> Result<(), DoorError> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| cast(column, &DataType::Utf8))
        .collect::<Result<Vec<_>, _>>()
        .map_err(DoorError::Encode)?;
    for row in 0..batch.num_rows() {
        let cells = columns.iter().map(|column| {
            let column = column.as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        });
        rows.push(cells.collect());
    }
    Ok(())
}

fn request(session: &Session, sql: String) -> SubmitRequest {
    SubmitRequest {
        session: session.id.clone(),
        sql,
        parameters: vec![],
        prepared: None,
        direct: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_statements_and_quotes_are_doubled() {
        let string = |text: &str| Some(OptionValue::String(text.into()));
        assert_eq!(option_sql("schema", string("a`b")).unwrap(), "USE `a``b`");
        assert_eq!(
            option_sql("skep.x_1", string("it's")).unwrap(),
            "SET skep.x_1 = 'it''s'"
        );
        assert_eq!(
            option_sql("a.b", Some(OptionValue::Int64(3))).unwrap(),
            "SET a.b = '3'"
        );
        assert_eq!(option_sql("a.b", None).unwrap(), "RESET a.b");
    }

    #[test]
    fn names_cannot_smuggle_sql() {
        for name in ["", "a b", "a;DROP TABLE t", "a.", ".a", "a'b"] {
            assert_eq!(
                option_sql(name, None),
                Err(SetOptionErrorValue::InvalidName),
                "{name}"
            );
        }
    }
}
