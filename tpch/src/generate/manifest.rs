//! The manifest of a data set: which tables are there in full, and by which generator.
//!
//! It lies at the root and not in the tables' directories, where every file is data.

use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use super::{GenerateError, TableEntries};
use crate::location::DataLocation;

/// The manifest's name in the data set's directory.
const FILE_NAME: &str = "_skep_tpch.json";

/// Counts up with every change of the layout or of how files are written.
const FORMAT_VERSION: u32 = 1;

/// The generator whose rows these are.
const GENERATOR: &str = "tpchgen 4";

/// What is known of a data set.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// How files are laid out and written.
    pub format_version: u32,
    /// Which generator the rows come from.
    pub generator: String,
    /// The scale of all tables.
    pub scale: f64,
    /// The tables that are there in full, by name.
    pub tables: TableEntries,
}

/// A table that is there in full.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TableEntry {
    /// Its number of files.
    pub parts: u32,
    /// Its number of rows.
    pub rows: u64,
    /// The size of its files.
    pub bytes: u64,
}

/// Loads the manifest; a missing one, or one of another version, is one without tables.
pub(super) async fn load(output: &DataLocation, scale: f64) -> Result<Manifest, GenerateError> {
    let path = output.path(FILE_NAME);
    let failed = |source| GenerateError::Storage {
        path: path.to_string(),
        source,
    };
    let empty = Manifest {
        format_version: FORMAT_VERSION,
        generator: GENERATOR.to_string(),
        scale,
        tables: TableEntries::new(),
    };
    let bytes = match output.store().get(&path).await {
        Ok(object) => object.bytes().await.map_err(failed)?,
        Err(object_store::Error::NotFound { .. }) => return Ok(empty),
        Err(source) => return Err(failed(source)),
    };
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|source| GenerateError::Manifest {
            path: path.to_string(),
            source,
        })?;
    if manifest.scale != scale {
        return Err(GenerateError::OtherScale {
            location: output.url().to_string(),
            found: manifest.scale,
            wanted: scale,
        });
    }
    let current = manifest.format_version == FORMAT_VERSION && manifest.generator == GENERATOR;
    Ok(if current { manifest } else { empty })
}

/// Replaces the manifest, in one step.
pub(super) async fn store(output: &DataLocation, manifest: &Manifest) -> Result<(), GenerateError> {
    let path = output.path(FILE_NAME);
    let text = serde_json::to_vec_pretty(manifest).map_err(|source| GenerateError::Manifest {
        path: path.to_string(),
        source,
    })?;
    let stored = output.store().put(&path, PutPayload::from(text)).await;
    stored.map_err(|source| GenerateError::Storage {
        path: path.to_string(),
        source,
    })?;
    Ok(())
}
