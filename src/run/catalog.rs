//! `skep catalog check`, `export` and `import`: on the catalog itself, without an engine. One that is
//! embedded belongs to one process at a time, so that its server must not run.

use super::{EXIT_ERROR, EXIT_OK, settings};
use crate::config::keys::Config;
use anyhow::Context;
use datafusion::execution::object_store::ObjectStoreRegistry;
use skep_catalog::{Catalog, CatalogError, CatalogOptions, ObjectStore};
use skep_protocol::storage_url::{AllowedRoots, StorageUrl};
use skep_storage::Storage;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::fs::OpenOptions;
use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use url::Url;

/// Whoever may read the catalog's database may see all of it.
async fn open(config: &Config) -> anyhow::Result<Catalog> {
    let options = CatalogOptions {
        data_dir: config.server.data_dir.clone(),
        store: config.server.catalog.clone(),
        allowed_roots: AllowedRoots::unrestricted(),
        warehouse: settings::warehouse(config)?,
    };
    Ok(Catalog::open(options).await?)
}

/// Compares the catalog with the files; fails where one is missing or damaged. Unknown files are
/// reported and are no failure: statements leave some, and `VACUUM` removes them.
pub(super) async fn check(
    config: &Config,
    storage_options: BTreeMap<String, String>,
) -> anyhow::Result<u8> {
    let catalog = open(config).await?;
    let storage = Storage::new(storage_options);
    let summary = catalog
        .check(
            |location| object_store(&storage, location),
            |finding| println!("{finding}"),
        )
        .await?;
    println!(
        "{} tables with {} files: {} damaged, {} unknown",
        summary.tables, summary.files, summary.damaged, summary.unknown
    );
    Ok(match summary.damaged {
        0 => EXIT_OK,
        _ => EXIT_ERROR,
    })
}

fn object_store(
    storage: &Storage,
    location: &StorageUrl,
) -> Result<Arc<dyn ObjectStore>, CatalogError> {
    let unusable = |reason: String| CatalogError::Unreachable {
        location: location.to_string(),
        reason,
    };
    let url = Url::parse(&location.store_url()).map_err(|error| unusable(error.to_string()))?;
    storage
        .get_store(&url)
        .map_err(|error| unusable(error.to_string()))
}

/// Writes the catalog into a new file.
pub(super) async fn export(config: &Config, path: &Path) -> anyhow::Result<u8> {
    let catalog = open(config).await?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // Hashes of passwords are in it.
    #[cfg(unix)]
    options.mode(0o600);
    let file = options
        .open(path)
        .await
        .with_context(|| format!("cannot create '{}'", path.display()))?;
    let mut output = BufWriter::new(file);
    let summary = catalog.export(&mut output).await?;
    output.shutdown().await?;
    output.get_ref().sync_all().await?;
    println!(
        "exported {} databases, {} tables and views, {} files",
        summary.databases, summary.relations, summary.files
    );
    Ok(EXIT_OK)
}

/// Fills an empty catalog.
pub(super) async fn import(config: &Config, path: &Path) -> anyhow::Result<u8> {
    let file = tokio::fs::File::open(path)
        .await
        .with_context(|| format!("cannot open '{}'", path.display()))?;
    let catalog = open(config).await?;
    let summary = catalog.import(BufReader::new(file)).await?;
    println!(
        "imported {} databases, {} tables and views, {} files",
        summary.databases, summary.relations, summary.files
    );
    Ok(EXIT_OK)
}
