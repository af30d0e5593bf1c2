//! Looks for the files that a statement names.

use super::PlanningContext;
use futures::{StreamExt, TryStreamExt, stream};
use glob::{MatchOptions, Pattern};
use object_store::{ObjectMeta, ObjectStore};
use skep_catalog::discovery::{FoundFile, list_files};
use skep_protocol::storage_url::{StorageUrl, StorageUrlError};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::from_datafusion;
use std::sync::Arc;
use url::Url;

/// How many files one relation may have.
const FILES_MAX: usize = 100_000;

/// How many places are listed at the same time.
const LISTED_AT_ONCE: usize = 8;

/// Files of one store.
pub(super) struct Located {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The store's uppermost directory.
    pub(super) root: StorageUrl,
    pub(super) files: Vec<FoundFile>,
}

/// The files at `places`: files, directories with all below them, and patterns.
///
/// # Errors
/// `FileNotFound` where there are none; those of the store; those of places that are not allowed.
pub(super) async fn locate(
    context: &PlanningContext,
    places: &[String],
) -> Result<Located, QueryError> {
    let urls = places.iter().map(|place| url_of(place));
    let urls = urls.collect::<Result<Vec<_>, _>>()?;
    let Some(first) = urls.first() else {
        return Err(QueryError::new(ErrorCode::Semantic, "no file is named"));
    };
    if urls.iter().any(|url| url.store_url() != first.store_url()) {
        let text = "files of one list must be in one store";
        return Err(QueryError::new(ErrorCode::Unsupported, text));
    }
    let root = first.with_key("")?.as_directory();
    let store = store_of(context, first)?;
    let work: Vec<_> = urls
        .into_iter()
        .map(|url| list(context, Arc::clone(&store), url))
        .collect();
    let found: Vec<Vec<ObjectMeta>> = stream::iter(work)
        .buffered(LISTED_AT_ONCE)
        .try_collect()
        .await?;
    let files: Vec<FoundFile> = found.into_iter().flatten().map(with_directories).collect();
    if files.len() > FILES_MAX {
        let text = format!("'{}' are more than {FILES_MAX} files", places.join("', '"));
        return Err(QueryError::new(ErrorCode::StatementTooLarge, text));
    }
    Ok(Located { store, root, files })
}

/// A path that is not absolute lies where the process was started.
fn url_of(place: &str) -> Result<StorageUrl, QueryError> {
    let found = match StorageUrl::parse(place) {
        Err(StorageUrlError::Relative(_)) => match std::env::current_dir() {
            Ok(directory) => StorageUrl::parse_with_base(place, &directory),
            Err(_) => StorageUrl::parse(place),
        },
        found => found,
    };
    found.map_err(QueryError::from)
}

pub(super) fn store_of(
    context: &PlanningContext,
    url: &StorageUrl,
) -> Result<Arc<dyn ObjectStore>, QueryError> {
    let store_url = url.store_url();
    let parsed = Url::parse(&store_url)
        .map_err(|error| QueryError::internal(format!("'{store_url}' is not a URL: {error}")))?;
    let registry = &context.planner.runtime.object_store_registry;
    let store = registry.get_store(&parsed);
    store.map_err(|error| from_datafusion(&error))
}

async fn list(
    context: &PlanningContext,
    store: Arc<dyn ObjectStore>,
    url: StorageUrl,
) -> Result<Vec<ObjectMeta>, QueryError> {
    let roots = &context.readable_roots();
    let none = || {
        let text = format!("there are no files at '{url}'");
        QueryError::new(ErrorCode::FileNotFound, text)
    };
    let key = url.key();
    let found = match key.find(['*', '?', '[']) {
        None => list_files(&store, &url, roots).await?,
        Some(special) => {
            let pattern = Pattern::new(key).map_err(|error| {
                let text = format!("'{url}' is not a pattern: {}", error.msg);
                QueryError::new(ErrorCode::InvalidArgument, text)
            })?;
            let directory = key[..special].rfind('/').map_or("", |end| &key[..end]);
            let base = url.with_key(directory)?.as_directory();
            let options = MatchOptions {
                case_sensitive: true,
                require_literal_separator: true,
                require_literal_leading_dot: true,
            };
            let mut found = list_files(&store, &base, roots).await?;
            found.retain(|file| pattern.matches_with(file.location.as_ref(), options));
            found
        }
    };
    match found.is_empty() {
        true => Err(none()),
        false => Ok(found),
    }
}

fn with_directories(meta: ObjectMeta) -> FoundFile {
    let mut directories: Vec<String> = meta
        .location
        .parts()
        .map(|part| part.as_ref().to_owned())
        .collect();
    directories.pop();
    FoundFile { meta, directories }
}
