//! Where the benchmark's data lies: a local directory or an object-store URL.
//!
//! Credentials and endpoints come as options from the caller; nothing here reads the environment.

use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, parse_url_opts};
use thiserror::Error;
use url::Url;

use crate::tables::Table;

/// Why a location cannot be used.
#[derive(Debug, Error)]
pub enum LocationError {
    /// The text is not a location.
    #[error("'{text}' is neither a directory nor a URL: {reason}")]
    Invalid {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no storage for such a URL, or its options are wrong.
    #[error("cannot open storage at '{url}'")]
    Storage {
        /// The URL.
        url: String,
        /// Why.
        #[source]
        source: Box<object_store::Error>,
    },
}

/// The directory (or key prefix) of one data set, with the store that holds it.
#[derive(Clone, Debug)]
pub struct DataLocation {
    url: Url,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl DataLocation {
    /// Parses a local directory (relative to the working directory or absolute) or a URL
    /// (`file://`, `s3://`, `gs://`, `az://`, …). `storage_options` are `object_store`'s
    /// configuration keys for the URL's scheme. Nothing is created or contacted yet.
    pub fn parse(
        text: &str,
        storage_options: &[(String, String)],
    ) -> Result<DataLocation, LocationError> {
        let mut url = match Url::parse(text) {
            // A single letter is a drive or a typing error, never a scheme of ours.
            Ok(url) if url.scheme().len() > 1 => url,
            _ => directory_url(text)?,
        };
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        let options = storage_options
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        match parse_url_opts(&url, options) {
            Ok((store, prefix)) => Ok(DataLocation {
                url,
                store: Arc::from(store),
                prefix,
            }),
            Err(source) => Err(LocationError::Storage {
                url: url.to_string(),
                source: Box::new(source),
            }),
        }
    }

    /// The same location with another store behind it, for callers that have one already.
    pub fn with_store(url: Url, store: Arc<dyn ObjectStore>, prefix: Path) -> DataLocation {
        DataLocation { url, store, prefix }
    }

    /// The data set's URL, ending in `/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The store that holds the data set.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The URL of a table's directory, ending in `/`.
    pub fn table_url(&self, table: Table) -> String {
        format!("{}{table}/", self.url)
    }

    /// The path in the store of something below the data set's directory.
    pub(crate) fn path(&self, below: &str) -> Path {
        below
            .split('/')
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// The data set's directory where it is on a local disk.
    pub(crate) fn local_directory(&self) -> Option<std::path::PathBuf> {
        (self.url.scheme() == "file")
            .then(|| self.url.to_file_path().ok())
            .flatten()
    }
}

fn directory_url(text: &str) -> Result<Url, LocationError> {
    let invalid = |reason: String| LocationError::Invalid {
        text: text.to_string(),
        reason,
    };
    let absolute =
        std::path::absolute(FilePath::new(text)).map_err(|error| invalid(error.to_string()))?;
    Url::from_directory_path(&absolute)
        .map_err(|()| invalid("the path has no URL form".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_urls_are_both_locations() {
        let location = DataLocation::parse("/data/tpch sf1", &[]).expect("a directory");
        assert_eq!(location.url().as_str(), "file:///data/tpch%20sf1/");
        assert_eq!(
            location.path("nation/part-0000.parquet").as_ref(),
            "data/tpch sf1/nation/part-0000.parquet"
        );
        assert_eq!(
            location.table_url(Table::Nation),
            "file:///data/tpch%20sf1/nation/"
        );
        let location = DataLocation::parse("memory:///tpch/sf1", &[]).expect("a URL");
        assert_eq!(location.url().as_str(), "memory:///tpch/sf1/");
        assert!(location.local_directory().is_none());
    }

    #[test]
    fn an_unknown_scheme_is_named() {
        let error =
            DataLocation::parse("carrier-pigeon://loft/tpch", &[]).expect_err("no such store");
        assert!(
            error.to_string().contains("carrier-pigeon://loft/tpch/"),
            "{error}"
        );
    }
}
