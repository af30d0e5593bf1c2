//! Why a generation fails, each reason naming the file or the option.

use thiserror::Error;

use super::PARTS_MAX;
use crate::SCALE_MIN;

/// Why data could not be generated.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// The scale is too small or no number.
    #[error("scale {0} cannot be generated: give a number from {SCALE_MIN} upwards")]
    Scale(f64),
    /// There cannot be so many parts.
    #[error("{0} parts cannot be generated: give a number from 1 to {PARTS_MAX}")]
    Parts(u32),
    /// The format is unknown.
    #[error("format '{0}' cannot be generated: only 'parquet' can")]
    Format(String),
    /// Another data set is at the place.
    #[error(
        "'{location}' holds data of scale {found}, not of scale {wanted}: choose another place"
    )]
    OtherScale {
        /// The data set's URL.
        location: String,
        /// Its scale.
        found: f64,
        /// The scale that was asked for.
        wanted: f64,
    },
    /// The storage refuses.
    #[error("cannot read or write '{path}'")]
    Storage {
        /// The object.
        path: String,
        /// Why.
        #[source]
        source: object_store::Error,
    },
    /// The storage refuses the last step of writing a file.
    #[error("cannot finish the upload of '{path}'")]
    Upload {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A leftover of an earlier generation cannot be removed.
    #[error("cannot remove '{path}'")]
    Sweep {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The manifest is not one.
    #[error("the manifest '{path}' is not readable: remove it to generate the data again")]
    Manifest {
        /// The manifest.
        path: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Rows cannot be encoded, or the upload has ended early.
    #[error("cannot encode '{path}'")]
    Encode {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The thread that writes a file has panicked.
    #[error("the writer of '{path}' ended without a result")]
    Lost {
        /// The file.
        path: String,
    },
}
