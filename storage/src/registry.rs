//! The object stores that a node reaches, made when a URL first needs one.

use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Finds the store of a URL by scheme and authority: `file://`, `s3://bucket`, `gs://bucket`,
/// `abfss://container@account`, `https://host`.
pub struct Storage {
    /// Options of `object_store` by name (`aws_region`, `aws_endpoint`, …), the same for every store.
    options: BTreeMap<String, String>,
    stores: RwLock<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options hold credentials.
        f.debug_struct("Storage")
            .field("stores", &self.stores.read().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Storage {
    /// A registry that knows the local file system, and makes remote stores with `options`.
    pub fn new(options: BTreeMap<String, String>) -> Self {
        Self {
            options,
            stores: RwLock::new(HashMap::new()),
        }
    }

    fn make(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() == "file" {
            return Ok(Arc::new(LocalFileSystem::new()));
        }
        let root = Url::parse(&store_key(url)).unwrap_or_else(|_| url.clone());
        let (store, _) = object_store::parse_url_opts(&root, &self.options)?;
        Ok(Arc::from(store))
    }
}

/// What tells one store from another.
fn store_key(url: &Url) -> String {
    let authority = url.authority();
    format!("{}://{authority}", url.scheme())
}

impl ObjectStoreRegistry for Storage {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        self.stores.write().insert(store_key(url), store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let key = store_key(url);
        if let Some(store) = self.stores.read().get(&key) {
            return Ok(Arc::clone(store));
        }
        let store = self.make(url)?;
        let mut stores = self.stores.write();
        Ok(Arc::clone(stores.entry(key).or_insert(store)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_store_per_bucket() {
        let options = [
            ("aws_access_key_id", "x"),
            ("aws_secret_access_key", "y"),
            ("aws_region", "z"),
        ];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let storage = Storage::new(BTreeMap::from(options));
        let store = |url: &str| storage.get_store(&url.parse().unwrap()).unwrap();
        assert!(Arc::ptr_eq(
            &store("s3://a/x/1.parquet"),
            &store("s3://a/y")
        ));
        assert!(!Arc::ptr_eq(&store("s3://a/x"), &store("s3://b/x")));
        assert!(Arc::ptr_eq(&store("file:///a"), &store("file:///b")));
    }

    #[test]
    fn an_unknown_scheme_is_an_error() {
        let storage = Storage::new(BTreeMap::new());
        assert!(storage.get_store(&"nfs://host/x".parse().unwrap()).is_err());
    }
}
