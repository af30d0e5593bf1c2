//! Where the files of a table lie, how many there are, and how leftovers are removed.

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{GenerateError, PARTS_MAX};
use crate::location::DataLocation;
use crate::tables::Table;

/// The size that a file of a large table has, in bytes.
const FILE_BYTES_TARGET: u64 = 128 * 1024 * 1024;

/// A file is not made smaller than this only to have more of them, in bytes.
const FILE_BYTES_MIN: u64 = 1024 * 1024;

/// The files that a table is cut into at least (if it is large enough), whatever the machine:
/// data that was generated on a small machine keeps a few executors busy.
const PARTS_MIN: u64 = 4;

/// How many files a table is cut into on a machine with `cores` cores, unless told otherwise:
/// enough for every core, none beyond 128 MiB, none below 1 MiB.
pub fn parts_default(table: Table, scale: f64, cores: usize) -> u32 {
    if table.is_fixed_size() {
        return 1;
    }
    let bytes = table.bytes_estimate(scale);
    let wanted = PARTS_MIN
        .max(cores as u64)
        .max(bytes.div_ceil(FILE_BYTES_TARGET));
    let parts = wanted.min(bytes / FILE_BYTES_MIN).max(1);
    u32::try_from(parts).unwrap_or(PARTS_MAX).min(PARTS_MAX)
}

/// The path of a part below the data set's directory.
pub(super) fn part_name(table: Table, part: u32) -> String {
    format!("{table}/part-{part:04}.parquet")
}

/// Removes what an earlier generation left of a table, and nothing else: files of other names in
/// the same directory are not ours.
pub(super) async fn sweep(output: &DataLocation, table: Table) -> Result<(), GenerateError> {
    let directory = output.path(table.name());
    let failed = |path: &object_store::path::Path, source| GenerateError::Storage {
        path: path.to_string(),
        source,
    };
    let mut objects = output.store().list(Some(&directory));
    while let Some(object) = objects
        .try_next()
        .await
        .map_err(|source| failed(&directory, source))?
    {
        if object.location.filename().is_some_and(is_part) {
            let deleted = output.store().delete(&object.location).await;
            deleted.map_err(|source| failed(&object.location, source))?;
        }
    }
    sweep_unfinished(output, table)
}

/// A local store keeps an unfinished upload under the file's name with `#` and a number, and does
/// not list it.
fn sweep_unfinished(output: &DataLocation, table: Table) -> Result<(), GenerateError> {
    let Some(directory) = output.local_directory().map(|root| root.join(table.name())) else {
        return Ok(());
    };
    // The directory need not exist yet.
    let Ok(entries) = std::fs::read_dir(&directory) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let unfinished = name.to_str().and_then(|name| name.split_once('#'));
        if unfinished.is_some_and(|(name, _)| is_part(name)) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|source| GenerateError::Sweep {
                path: path.display().to_string(),
                source,
            })?;
        }
    }
    Ok(())
}

fn is_part(name: &str) -> bool {
    let number = name
        .strip_prefix("part-")
        .and_then(|name| name.strip_suffix(".parquet"));
    number.is_some_and(|number| number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_size_and_cores() {
        assert_eq!(parts_default(Table::Nation, 1000.0, 64), 1);
        assert_eq!(parts_default(Table::Lineitem, 0.01, 8), 1);
        assert_eq!(parts_default(Table::Supplier, 1.0, 8), 1);
        assert_eq!(parts_default(Table::Lineitem, 1.0, 2), 4);
        assert_eq!(parts_default(Table::Lineitem, 1.0, 16), 16);
        assert_eq!(parts_default(Table::Lineitem, 100.0, 2), 126);
    }

    #[test]
    fn only_our_own_names_are_parts() {
        assert!(is_part("part-0000.parquet") && is_part("part-9999.parquet"));
        for other in [
            "part-0.parquet",
            "part-00000.parquet",
            "part-abcd.parquet",
            "mine.parquet",
        ] {
            assert!(!is_part(other), "{other}");
        }
    }
}
