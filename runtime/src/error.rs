//! Turns DataFusion's errors into the one error that crosses processes, and back.
//!
//! A [`QueryError`] travels inside DataFusion as `DataFusionError::External` and is found again
//! however deep it was wrapped. Everything else is classified by its type, never by its text.

use crate::error_text::{in_sql, one_line, with_sql_types};
use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use skep_protocol::{ErrorCode, ErrorKind, Position, QueryError};
use std::error::Error;
use std::sync::Arc;
use tokio::task::JoinError;

/// The error as DataFusion's operators pass it on.
pub fn to_datafusion(error: QueryError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The error as it is reported.
pub fn from_datafusion(error: &DataFusionError) -> QueryError {
    if let Some(found) = find_query_error(error) {
        return found;
    }
    classify(error)
}

fn find_query_error(error: &(dyn Error + 'static)) -> Option<QueryError> {
    if let Some(found) = error.downcast_ref::<QueryError>() {
        return Some(found.clone());
    }
    // Operators share the error of an input that several partitions wait for.
    if let Some(error) = error.downcast_ref::<Arc<DataFusionError>>() {
        return find_query_error(error.as_ref());
    }
    if let Some(error) = error.downcast_ref::<DataFusionError>() {
        return match error {
            DataFusionError::External(inner) => find_query_error(inner.as_ref()),
            DataFusionError::Shared(inner) => find_query_error(inner.as_ref()),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                find_query_error(inner.as_ref())
            }
            DataFusionError::ArrowError(inner, _) => find_query_error(inner.as_ref()),
            DataFusionError::ParquetError(inner) => find_query_error(inner.as_ref()),
            DataFusionError::ObjectStore(inner) => find_query_error(inner.as_ref()),
            DataFusionError::Collection(errors) => {
                errors.iter().find_map(|error| find_query_error(error))
            }
            other => other.source().and_then(find_query_error),
        };
    }
    match error.downcast_ref::<ArrowError>() {
        Some(ArrowError::ExternalError(inner)) => find_query_error(inner.as_ref()),
        _ => error.source().and_then(find_query_error),
    }
}

fn classify(error: &DataFusionError) -> QueryError {
    let message = || one_line(&error.strip_backtrace());
    match error {
        DataFusionError::Shared(inner) => from_datafusion(inner),
        DataFusionError::Context(context, inner) => {
            let mut classified = from_datafusion(inner);
            let is_own_affair =
                is_stage_of_planning(context) && classified.code.kind() == ErrorKind::User;
            if classified.code != ErrorCode::Panic && !is_own_affair {
                classified.message = format!("{context}: {}", classified.message);
            }
            classified
        }
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let position = diagnostic.span.map(|span| Position {
                line: span.start.line,
                column: span.start.column,
            });
            from_datafusion(inner).at(position)
        }
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => from_datafusion(first),
            None => QueryError::internal(message()),
        },
        DataFusionError::ArrowError(inner, _) => from_arrow(inner),
        DataFusionError::ParquetError(inner) => from_parquet(inner),
        DataFusionError::ObjectStore(inner) => from_object_store(inner),
        DataFusionError::IoError(inner) => from_io(inner),
        DataFusionError::SQL(inner, _) => QueryError::new(ErrorCode::Syntax, inner.to_string()),
        DataFusionError::NotImplemented(text) => told(ErrorCode::Unsupported, text),
        DataFusionError::Plan(text) => told(ErrorCode::Semantic, text),
        DataFusionError::Internal(text) => told(ErrorCode::Internal, text),
        DataFusionError::Configuration(text) => QueryError::new(ErrorCode::InvalidSetting, text),
        DataFusionError::SchemaError(inner, _) => from_schema(inner),
        DataFusionError::Execution(text) => told(ErrorCode::Evaluation, text),
        DataFusionError::ResourcesExhausted(text) => {
            QueryError::new(ErrorCode::OutOfMemory, one_line(text))
        }
        DataFusionError::ExecutionJoin(inner) => from_join(inner),
        DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => from_datafusion(inner),
            None => from_foreign(inner.as_ref(), message()),
        },
        _ => QueryError::internal(message()),
    }
}

/// An error of the base library's in the words of SQL.
fn told(code: ErrorCode, text: &str) -> QueryError {
    let (code, text) = in_sql(code, text);
    QueryError::new(code, text)
}

/// Whether a context names a step of the planner, which says nothing to whoever wrote the statement: rules have
/// names of one word.
fn is_stage_of_planning(context: &str) -> bool {
    context.starts_with("Optimizer rule ") || !context.contains(' ')
}

fn from_foreign(error: &(dyn Error + 'static), message: String) -> QueryError {
    if let Some(error) = error.downcast_ref::<Arc<DataFusionError>>() {
        return from_datafusion(error);
    }
    if let Some(error) = error.downcast_ref::<ArrowError>() {
        return from_arrow(error);
    }
    if let Some(error) = error.downcast_ref::<ParquetError>() {
        return from_parquet(error);
    }
    if let Some(error) = error.downcast_ref::<object_store::Error>() {
        return from_object_store(error);
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return from_io(error);
    }
    if let Some(error) = error.downcast_ref::<JoinError>() {
        return from_join(error);
    }
    if let Some(error) = error.downcast_ref::<Arc<JoinError>>() {
        return from_join(error);
    }
    told(ErrorCode::Internal, &message)
}

/// A task inside an operator panicked, or was ended with its query.
fn from_join(error: &JoinError) -> QueryError {
    if !error.is_panic() {
        return QueryError::new(ErrorCode::Canceled, "the query was ended");
    }
    // Tokio shows the message of a panic behind the number of its task.
    let text = error.to_string();
    let message = text.split_once("with message ").map(|(_, message)| message);
    let message = message.map_or("without a message", |message| message.trim_matches('"'));
    QueryError::new(ErrorCode::Panic, format!("an operator panicked: {message}"))
}

fn from_schema(error: &SchemaError) -> QueryError {
    let code = match error {
        SchemaError::FieldNotFound { .. } => ErrorCode::ColumnNotFound,
        _ => ErrorCode::Semantic,
    };
    told(code, &error.to_string())
}

fn from_arrow(error: &ArrowError) -> QueryError {
    let evaluation = |text: &str| told(ErrorCode::Evaluation, text);
    match error {
        ArrowError::DivideByZero => evaluation("division by zero"),
        ArrowError::CastError(text) => evaluation(&with_sql_type(text)),
        ArrowError::ArithmeticOverflow(text)
        | ArrowError::ParseError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::ComputeError(text) => evaluation(text),
        ArrowError::NotYetImplemented(text) => QueryError::new(ErrorCode::Unsupported, text),
        ArrowError::ParquetError(text) | ArrowError::AvroError(text) => {
            QueryError::new(ErrorCode::DataCorrupt, one_line(text))
        }
        ArrowError::CsvError(text) | ArrowError::JsonError(text) => {
            QueryError::new(ErrorCode::DataCorrupt, one_line(text))
        }
        ArrowError::IoError(_, inner) => from_io(inner),
        ArrowError::MemoryError(text) => QueryError::new(ErrorCode::OutOfMemory, text),
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => from_datafusion(inner),
            None => from_foreign(inner.as_ref(), error.to_string()),
        },
        _ => QueryError::internal(one_line(&error.to_string())),
    }
}

/// `Cannot cast string 'x' to value of Int32 type` with the name that the type has in SQL.
fn with_sql_type(text: &str) -> String {
    let target = text.strip_suffix(" type");
    let target = target.and_then(|text| text.rsplit_once(" to value of "));
    match target {
        Some((failed, name)) => format!("{failed} to {}", with_sql_types(name)),
        None => text.to_owned(),
    }
}

fn from_parquet(error: &ParquetError) -> QueryError {
    if let ParquetError::External(inner) = error {
        return match inner.downcast_ref::<object_store::Error>() {
            Some(inner) => from_object_store(inner),
            None => from_foreign(inner.as_ref(), error.to_string()),
        };
    }
    QueryError::new(ErrorCode::DataCorrupt, one_line(&error.to_string()))
}

fn from_object_store(error: &object_store::Error) -> QueryError {
    let code = match error {
        object_store::Error::NotFound { .. } => ErrorCode::FileNotFound,
        object_store::Error::InvalidPath { .. } => ErrorCode::InvalidArgument,
        object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. } => {
            ErrorCode::Unsupported
        }
        object_store::Error::PermissionDenied { .. } => ErrorCode::PermissionDenied,
        object_store::Error::Precondition { .. } => ErrorCode::DataCorrupt,
        _ => ErrorCode::Storage,
    };
    QueryError::new(code, one_line(&error.to_string()))
}

fn from_io(error: &std::io::Error) -> QueryError {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorCode::OutOfDisk,
        std::io::ErrorKind::NotFound => ErrorCode::FileNotFound,
        std::io::ErrorKind::PermissionDenied => ErrorCode::PermissionDenied,
        _ => ErrorCode::Storage,
    };
    QueryError::new(code, one_line(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_error_is_found_however_deep() {
        let error = QueryError::new(ErrorCode::ExecutorLost, "executor e1 is gone").on_node("h:1");
        let wrapped = DataFusionError::Shared(Arc::new(DataFusionError::Context(
            "reading stage 2".into(),
            Box::new(DataFusionError::ArrowError(
                Box::new(ArrowError::ExternalError(Box::new(to_datafusion(
                    error.clone(),
                )))),
                None,
            )),
        )));
        assert_eq!(from_datafusion(&wrapped), error);
    }

    #[test]
    fn arithmetic_is_the_users_affair() {
        let error = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        let classified = from_datafusion(&error);
        assert_eq!(classified.code, ErrorCode::Evaluation);
        assert_eq!(classified.message, "division by zero");
    }

    /// What is wrong is said in the words of SQL, without the names of the planner's steps.
    #[test]
    fn a_failed_cast_is_told_as_its_user_wrote_it() {
        let text = "Cannot cast string 'x' to value of Int32 type";
        let cast = ArrowError::CastError(text.to_owned());
        let error = DataFusionError::ArrowError(Box::new(cast), None);
        let error = error.context("Optimizer rule 'simplify_expressions' failed");
        let told = from_datafusion(&error);
        assert_eq!(told.code, ErrorCode::Evaluation);
        assert_eq!(told.message, "cannot cast string 'x' to int");
        let error = DataFusionError::Plan("it means nothing".to_owned());
        let told = from_datafusion(&error.context("whole_decimal_sums"));
        assert_eq!(told.message, "it means nothing");
        let internal =
            DataFusionError::Internal("a bug".to_owned()).context("Optimizer rule 'x' failed");
        let told = from_datafusion(&internal);
        assert!(told.message.starts_with("Optimizer rule 'x'"), "{told}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = DataFusionError::ObjectStore(Box::new(object_store::Error::NotFound {
            path: "t/part-0.parquet".into(),
            source: "gone".into(),
        }));
        let classified = from_datafusion(&error);
        assert_eq!(classified.code, ErrorCode::FileNotFound);
        assert!(classified.message.contains("t/part-0.parquet"));
    }
}
