//! Makes partitions of directory names.

use super::listing::{ListedFile, Listing};
use super::{Expectation, ExpectedPartitionColumn};
use crate::error::CatalogError;
use crate::model::{Partition, PartitionColumn, name, partition_value};
use skep_protocol::storage_url::StorageUrl;
use std::collections::{BTreeMap, HashMap};

/// How a table's files are spread over partitions.
#[derive(Debug)]
pub(super) struct Layout {
    /// The columns in the directories' names.
    pub columns: Vec<PartitionColumn>,
    /// By ascending number.
    pub partitions: Vec<Partition>,
    /// For each listed file the number of its partition.
    pub partition_of_file: Vec<Option<u32>>,
}

type Values = Vec<Option<String>>;

/// A file's place: its values, and the key of its partition's directory.
struct Place {
    names: Vec<String>,
    values: Values,
    directory: String,
}

/// Reads the partitions of the listed files. They keep the numbers that they had last time.
pub(super) fn resolve(
    listing: &Listing,
    expectation: &Expectation<'_>,
) -> Result<Layout, CatalogError> {
    let known = KnownPartitions::new(expectation);
    let places: Vec<Place> = listing
        .files
        .iter()
        .map(|file| known.place_of(file, listing.location.key()))
        .collect();
    let expected: Vec<ExpectedPartitionColumn> = match expectation.partition_columns {
        Some(columns) => columns.to_vec(),
        None => places.first().map(inferred_columns).unwrap_or_default(),
    };
    check_names(listing, &places, &expected)?;
    let columns = expected
        .into_iter()
        .enumerate()
        .map(|(index, column)| type_column(listing, &places, index, column))
        .collect::<Result<Vec<_>, _>>()?;
    if columns.is_empty() {
        return Ok(Layout {
            columns,
            partitions: Vec::new(),
            partition_of_file: vec![None; listing.files.len()],
        });
    }
    let (partitions, partition_of_file) = number(listing, &places, expectation)?;
    Ok(Layout {
        columns,
        partitions,
        partition_of_file,
    })
}

/// The partitions that were there last time, by where they lie and by their numbers.
struct KnownPartitions<'a> {
    columns: Vec<String>,
    by_directory: HashMap<&'a str, &'a Partition>,
    by_number: HashMap<u32, &'a Partition>,
}

impl<'a> KnownPartitions<'a> {
    fn new(expectation: &Expectation<'a>) -> Self {
        let known = expectation.known.map(|known| &*known.partitions);
        let known = known.unwrap_or_default();
        let columns = expectation.partition_columns.unwrap_or_default().iter();
        Self {
            columns: columns.map(|column| column.name.clone()).collect(),
            by_directory: known
                .iter()
                .map(|partition| (partition.location.key(), partition))
                .collect(),
            by_number: known
                .iter()
                .map(|partition| (partition.number, partition))
                .collect(),
        }
    }

    /// The place of a known partition, whose values are what the catalog says, whatever the directory's
    /// name.
    fn place(&self, partition: &Partition) -> Place {
        Place {
            names: self.columns.clone(),
            values: partition.values.clone(),
            directory: partition.location.key().to_owned(),
        }
    }

    /// Directories that are no partition's are looked through: Hive calls them nested directories.
    fn place_of(&self, file: &ListedFile, table_key: &str) -> Place {
        if let Some(partition) = file
            .partition
            .and_then(|number| self.by_number.get(&number))
        {
            return self.place(partition);
        }
        let mut known = self.by_directory.get(table_key);
        let mut place = Place {
            names: Vec::new(),
            values: Vec::new(),
            directory: table_key.to_owned(),
        };
        let mut directory = table_key.to_owned();
        for component in &file.directories {
            if !directory.is_empty() {
                directory.push('/');
            }
            directory.push_str(component);
            if let Some((column, value)) = partition_value::parse_directory(component) {
                place.names.push(name::normalise(&column));
                place.values.push(value);
                place.directory.clone_from(&directory);
            }
            known = self.by_directory.get(directory.as_str()).or(known);
        }
        match known {
            Some(partition) => self.place(partition),
            None => place,
        }
    }
}

fn inferred_columns(place: &Place) -> Vec<ExpectedPartitionColumn> {
    let column = |name: &String| ExpectedPartitionColumn {
        name: name.clone(),
        data_type: None,
        sql_type: None,
        comment: None,
    };
    place.names.iter().map(column).collect()
}

fn check_names(
    listing: &Listing,
    places: &[Place],
    expected: &[ExpectedPartitionColumn],
) -> Result<(), CatalogError> {
    let names: Vec<&String> = expected.iter().map(|column| &column.name).collect();
    for (place, file) in places.iter().zip(&listing.files) {
        if place.names.iter().collect::<Vec<_>>() != names {
            let list = |names: Vec<&str>| match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            return Err(CatalogError::UnfitFile {
                file: listing.name_of(&file.meta.location),
                reason: format!(
                    "the partition columns in its path are {}, where the table has {}",
                    list(place.names.iter().map(String::as_str).collect()),
                    list(names.iter().map(|name| name.as_str()).collect()),
                ),
            });
        }
    }
    Ok(())
}

/// Gives a column its type, which every value must have.
fn type_column(
    listing: &Listing,
    places: &[Place],
    index: usize,
    column: ExpectedPartitionColumn,
) -> Result<PartitionColumn, CatalogError> {
    let value_of = |place: &Place| place.values.get(index).cloned().flatten();
    let values: Vec<Option<String>> = places.iter().map(value_of).collect();
    let borrowed: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    let data_type = match column.data_type {
        Some(data_type) => data_type,
        None => partition_value::infer_type(borrowed.iter().copied()),
    };
    if let Err(value) = partition_value::to_array(borrowed, &data_type) {
        let offending = values
            .iter()
            .zip(&listing.files)
            .find(|(candidate, _)| candidate.as_deref() == Some(value.as_str()));
        return Err(CatalogError::PartitionValue {
            file: offending.map_or_else(
                || listing.location.to_string(),
                |(_, file)| listing.name_of(&file.meta.location),
            ),
            column: column.name,
            value,
            data_type: data_type.to_string(),
        });
    }
    Ok(PartitionColumn {
        name: column.name,
        data_type,
        sql_type: column.sql_type,
        comment: column.comment,
    })
}

type Numbered = (Vec<Partition>, Vec<Option<u32>>);

fn number(
    listing: &Listing,
    places: &[Place],
    expectation: &Expectation<'_>,
) -> Result<Numbered, CatalogError> {
    let known = expectation.known.map(|known| &*known.partitions);
    let known = known.unwrap_or_default();
    // The same values may lie in several directories, `d=1` and `d=01` or nested ones; each is a
    // partition of its own, since its files are found through its directory.
    let mut numbers: HashMap<String, u32> = known
        .iter()
        .map(|partition| (partition.location.key().to_owned(), partition.number))
        .collect();
    let mut next = known.iter().map(|p| p.number + 1).max().unwrap_or(0);
    let mut partitions: BTreeMap<u32, Partition> = BTreeMap::new();
    let mut partition_of_file = Vec::with_capacity(places.len());
    for place in places {
        let number = *numbers.entry(place.directory.clone()).or_insert_with(|| {
            next += 1;
            next - 1
        });
        partition_of_file.push(Some(number));
        if let std::collections::btree_map::Entry::Vacant(entry) = partitions.entry(number) {
            let location: StorageUrl = listing.location.with_key(&place.directory)?;
            entry.insert(Partition {
                number,
                values: place.values.clone(),
                location: location.as_directory(),
            });
        }
    }
    Ok((partitions.into_values().collect(), partition_of_file))
}
