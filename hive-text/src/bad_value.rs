//! What is said of a value that is not of its column's type.

use datafusion::arrow::error::ArrowError;
use skep_protocol::{ErrorCode, QueryError};

/// The error of a value that is not of its column's type.
pub(crate) fn bad_value(text: String) -> ArrowError {
    ArrowError::ExternalError(Box::new(QueryError::new(ErrorCode::DataCorrupt, text)))
}

/// The text of a value.
///
/// # Errors
/// `DataCorrupt` where it is not UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, ArrowError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(bytes);
        let shown: String = text.chars().take(40).collect();
        bad_value(format!("'{shown}' is not valid UTF-8: {error}"))
    })
}
