//! The beginning of a file, to find out what is in it.

use bytes::{Bytes, BytesMut};
use datafusion::common::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use skep_hive_text::unpack;
use skep_protocol::QueryError;
use skep_protocol::storage_url::StorageUrl;
use skep_runtime::error::from_datafusion;
use std::sync::Arc;

/// How much of a file is looked at, in bytes of text.
const SAMPLE_BYTES: usize = 1024 * 1024;

/// How much is where as much as can be is asked for.
const LARGE_SAMPLE_BYTES: usize = 64 * 1024 * 1024;

/// The beginning of a text file.
pub(super) struct Sample {
    pub(super) text: Bytes,
    /// Whether there is nothing behind it.
    pub(super) is_whole: bool,
}

/// Reads the beginning of a text file, which may be compressed.
///
/// # Errors
/// Those of the store; `DataCorrupt` where it cannot be unpacked.
pub(super) async fn sample(
    store: &Arc<dyn ObjectStore>,
    root: &StorageUrl,
    file: &ObjectMeta,
    is_large: bool,
) -> Result<Sample, QueryError> {
    let limit = if is_large {
        LARGE_SAMPLE_BYTES
    } else {
        SAMPLE_BYTES
    };
    let name = file.location.as_ref();
    let in_file = |error: &DataFusionError| in_file(root, file, error);
    let found = store.get(&file.location).await;
    let found = found.map_err(|error| in_file(&error.into()))?;
    let bytes = found.into_stream().map_err(DataFusionError::from).boxed();
    let mut text = unpack(bytes, name).map_err(|error| in_file(&error))?;
    let mut sample = BytesMut::new();
    while sample.len() < limit {
        match text.next().await {
            Some(more) => sample.extend_from_slice(&more.map_err(|error| in_file(&error))?),
            None => {
                return Ok(Sample {
                    text: sample.freeze(),
                    is_whole: true,
                });
            }
        }
    }
    Ok(Sample {
        text: sample.freeze(),
        is_whole: false,
    })
}

/// The error with the name of the file that it is about.
pub(super) fn in_file(root: &StorageUrl, file: &ObjectMeta, error: &DataFusionError) -> QueryError {
    let error = from_datafusion(error);
    let name = match root.with_key(file.location.as_ref()) {
        Ok(url) => url.to_string(),
        Err(_) => file.location.to_string(),
    };
    let message = format!("file '{name}' cannot be read: {}", error.message);
    QueryError { message, ..error }
}
