//! Reads the partitions and files of large tables out of SQLite.
//!
//! The driver hands over each value of each row by itself, through a queue between two threads: with a
//! million files that takes longer than all that is done with them. So rows are asked for in pages, of
//! which the database makes one text each, and a page is taken apart while the next one is read.
//!
//! A record of such a text is a line of numbers, the last of which are the lengths in bytes of what
//! follows it.
//!
//! Decision: The embedded catalog is read in pages of one text each: the driver takes several microseconds per row
//! and value otherwise.

use super::database::{Row, Transaction, Value, failed};
use super::{encoding, rows};
use crate::error::CatalogError;
use crate::model::{CatalogVersion, DataFile, Partition, TableId};
use std::collections::VecDeque;
use tokio::task::JoinHandle;

/// Rows of a page.
const PAGE_ROWS: usize = 2_000;

/// How many pages wait for being taken apart.
const PAGES_PENDING_MAX: usize = 4;

/// A page of the partitions of table `$1` at version `$2`: those after number `$3`.
const PARTITIONS_PAGE: &str = "SELECT string_agg(record, ''), COUNT(*) FROM (\
     SELECT format('%d %d %d %s%s', number, octet_length(partition_values), octet_length(location), \
         partition_values, location) AS record \
     FROM partitions WHERE table_id = $1 AND number > $3 AND added_version <= $2 \
     AND (removed_version IS NULL OR removed_version > $2) ORDER BY number LIMIT 2000)";

/// A page of the files of table `$1` at version `$2`: those after path `$4` of partition `$3`.
const FILES_PAGE: &str = "SELECT string_agg(record, ''), COUNT(*) FROM (\
     SELECT format('%d %d %s %d %d %s %d %s%s%s', partition_number, size_bytes, \
         coalesce(row_count, '-'), last_modified, octet_length(path), \
         coalesce(octet_length(e_tag), '-'), octet_length(bounds), \
         path, coalesce(e_tag, ''), hex(bounds)) AS record \
     FROM data_files WHERE table_id = $1 AND (partition_number, path) > ($3, $4) \
     AND added_version <= $2 AND (removed_version IS NULL OR removed_version > $2) \
     ORDER BY partition_number, path LIMIT 2000)";

/// The partitions of a table, by number.
pub(super) async fn read_partitions(
    transaction: &mut Transaction,
    table: TableId,
    version: CatalogVersion,
) -> Result<Vec<Partition>, CatalogError> {
    let version = encoding::encode_count(version.0)?;
    let mut last: i64 = -1;
    let mut pages = Pages::new(parse_partitions);
    loop {
        let values = vec![table.0.into(), version.into(), last.into()];
        let (text, count) = read_page(transaction, PARTITIONS_PAGE, values).await?;
        let numbers = keys_of(&text, next_partition, |record| record.number(0))?;
        last = numbers.into_iter().fold(last, i64::max);
        pages.add(text).await?;
        if count < PAGE_ROWS {
            return pages.finish().await;
        }
    }
}

/// The files of a table, in no particular order.
pub(super) async fn read_files(
    transaction: &mut Transaction,
    table: TableId,
    version: CatalogVersion,
) -> Result<Vec<DataFile>, CatalogError> {
    let version = encoding::encode_count(version.0)?;
    // No partition at all is -1.
    let mut last: (i64, String) = (-2, String::new());
    let mut pages = Pages::new(parse_files);
    loop {
        let (partition, path) = last.clone();
        let values: Vec<Value> = vec![
            table.0.into(),
            version.into(),
            partition.into(),
            path.into(),
        ];
        let (text, count) = read_page(transaction, FILES_PAGE, values).await?;
        let key = |record: &Record<'_>| Ok((record.number(0)?, record.texts[0].to_owned()));
        last = keys_of(&text, next_file, key)?
            .into_iter()
            .fold(last, Ord::max);
        pages.add(text).await?;
        if count < PAGE_ROWS {
            return pages.finish().await;
        }
    }
}

async fn read_page(
    transaction: &mut Transaction,
    statement: &str,
    values: Vec<Value>,
) -> Result<(String, usize), CatalogError> {
    let read = |row: &Row| {
        let text: Option<String> = row.get(0)?;
        let count: i64 = row.get(1)?;
        Ok((text.unwrap_or_default(), encoding::decode_count(count)?))
    };
    let pages = transaction
        .query(statement, values, read, failed("read a table's files"))
        .await?;
    pages.into_iter().next().ok_or_else(damaged)
}

/// Pages that are being taken apart.
struct Pages<T> {
    parse: fn(&str) -> Result<Vec<T>, CatalogError>,
    pending: VecDeque<JoinHandle<Result<Vec<T>, CatalogError>>>,
    done: Vec<T>,
}

impl<T: Send + 'static> Pages<T> {
    fn new(parse: fn(&str) -> Result<Vec<T>, CatalogError>) -> Self {
        Self {
            parse,
            pending: VecDeque::new(),
            done: Vec::new(),
        }
    }

    async fn add(&mut self, text: String) -> Result<(), CatalogError> {
        if self.pending.len() >= PAGES_PENDING_MAX {
            self.take_one().await?;
        }
        let parse = self.parse;
        let parsing = tokio::task::spawn_blocking(move || parse(&text));
        self.pending.push_back(parsing);
        Ok(())
    }

    async fn take_one(&mut self) -> Result<(), CatalogError> {
        if let Some(page) = self.pending.pop_front() {
            let page = page.await;
            let page = page.map_err(|error| CatalogError::Damaged(error.to_string()))?;
            self.done.extend(page?);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<T>, CatalogError> {
        while !self.pending.is_empty() {
            self.take_one().await?;
        }
        Ok(self.done)
    }
}

fn parse_partitions(text: &str) -> Result<Vec<Partition>, CatalogError> {
    let partition = |record: Record<'_>| {
        let [values, location, _] = record.texts;
        Ok(Partition {
            number: encoding::decode_count(record.number(0)?)?,
            values: encoding::from_json(values)?,
            location: encoding::decode_location(location)?,
        })
    };
    parse_all(text, next_partition, partition)
}

fn parse_files(text: &str) -> Result<Vec<DataFile>, CatalogError> {
    let file = |record: Record<'_>| {
        let [path, e_tag, bounds] = record.texts;
        let rows = record.numbers[2].map(encoding::decode_count).transpose()?;
        Ok(DataFile {
            path: path.to_owned(),
            partition: encoding::decode_partition(record.number(0)?)?,
            size_bytes: encoding::decode_count(record.number(1)?)?,
            rows,
            last_modified: encoding::decode_time(record.number(3)?)?,
            e_tag: record.numbers[5].map(|_| e_tag.to_owned()),
            bounds: rows::read_bounds(&from_hex(bounds)?)?,
        })
    };
    parse_all(text, next_file, file)
}

type Next = for<'t> fn(&mut &'t str) -> Result<Record<'t>, CatalogError>;

fn parse_all<T>(
    mut text: &str,
    next: Next,
    read: impl Fn(Record<'_>) -> Result<T, CatalogError>,
) -> Result<Vec<T>, CatalogError> {
    let mut all = Vec::with_capacity(PAGE_ROWS);
    while !text.is_empty() {
        all.push(read(next(&mut text)?)?);
    }
    Ok(all)
}

/// The keys of a page's rows. The next page begins behind the greatest one: which row comes last in an
/// aggregate is not promised.
fn keys_of<K>(
    mut text: &str,
    next: Next,
    key: impl Fn(&Record<'_>) -> Result<K, CatalogError>,
) -> Result<Vec<K>, CatalogError> {
    let mut keys = Vec::with_capacity(PAGE_ROWS);
    while !text.is_empty() {
        keys.push(key(&next(&mut text)?)?);
    }
    Ok(keys)
}

/// One row: its numbers, of which one that is NULL is none, and its texts.
struct Record<'t> {
    numbers: [Option<i64>; 7],
    texts: [&'t str; 3],
}

impl<'t> Record<'t> {
    fn numbers(text: &mut &'t str, count: usize) -> Result<Self, CatalogError> {
        let mut record = Self {
            numbers: [None; 7],
            texts: [""; 3],
        };
        for number in record.numbers.iter_mut().take(count) {
            let (word, rest) = text.split_once(' ').ok_or_else(damaged)?;
            *text = rest;
            *number = match word {
                "-" => None,
                word => Some(word.parse().map_err(|_| damaged())?),
            };
        }
        Ok(record)
    }

    fn number(&self, index: usize) -> Result<i64, CatalogError> {
        self.numbers[index].ok_or_else(damaged)
    }
}

/// The next row of [`PARTITIONS_PAGE`].
fn next_partition<'t>(text: &mut &'t str) -> Result<Record<'t>, CatalogError> {
    let mut record = Record::numbers(text, 3)?;
    for index in 0..2 {
        record.texts[index] = take(text, record.number(1 + index)?)?;
    }
    Ok(record)
}

/// The next row of [`FILES_PAGE`].
fn next_file<'t>(text: &mut &'t str) -> Result<Record<'t>, CatalogError> {
    let mut record = Record::numbers(text, 7)?;
    let lengths = [
        record.number(4)?,
        record.numbers[5].unwrap_or(0),
        // Two digits are a byte.
        record.number(6)?.saturating_mul(2),
    ];
    for (index, length) in lengths.into_iter().enumerate() {
        record.texts[index] = take(text, length)?;
    }
    Ok(record)
}

fn take<'t>(text: &mut &'t str, bytes: i64) -> Result<&'t str, CatalogError> {
    let length = usize::try_from(bytes).map_err(|_| damaged())?;
    let (taken, rest) = text.split_at_checked(length).ok_or_else(damaged)?;
    *text = rest;
    Ok(taken)
}

fn from_hex(text: &str) -> Result<Vec<u8>, CatalogError> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<_>>().ok_or_else(damaged)
}

fn damaged() -> CatalogError {
    CatalogError::Damaged("its list of files cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FileBounds;

    #[test]
    fn a_page_says_where_the_next_one_begins() {
        let page = "-1 10 - 5 3 - 0 a b7 20 4 6 2 2 2 é\"xABCD";
        let key = |record: &Record<'_>| Ok((record.numbers[0], record.texts.join("|")));
        let keys = keys_of(page, next_file, key).unwrap();
        let expected = [(Some(-1), "a b||"), (Some(7), "é|\"x|ABCD")];
        assert_eq!(
            keys,
            expected.map(|(number, texts)| (number, texts.to_owned()))
        );
        assert!(keys_of("", next_file, key).unwrap().is_empty());
        let page = "3 10 3 [\"a\",null]/x/";
        let partitions = parse_partitions(page).unwrap();
        assert_eq!(partitions[0].values, [Some("a".to_owned()), None]);
        assert_eq!(partitions[0].location.to_string(), "file:///x/");
    }

    #[test]
    fn what_is_unknown_stays_so() {
        let files = parse_files("-1 10 - 5 3 - 0 a b").unwrap();
        let [file] = files.as_slice() else {
            panic!("{files:?}");
        };
        assert_eq!((file.path.as_str(), file.partition), ("a b", None));
        assert_eq!((file.rows, &file.e_tag), (None, &None));
        assert_eq!(file.bounds, FileBounds::default());
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for page in [
            "x",
            "-1 10 - 5 30 - 0 a b",
            "-1 10 - 5 3 - -1 a b",
            "-1 10 - 5 1 - 1 aXX",
            "-1 10 - 5 1 - 0 é",
        ] {
            assert!(parse_files(page).is_err(), "{page}");
        }
    }
}
