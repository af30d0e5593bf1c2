//! What separates the fields of a CSV file, whether it has a header, and what its columns are.

use super::{Candidates, InferredColumn, SAMPLE_ROWS_MAX};
use crate::bad_value::{bad_value, text_of};
use crate::csv::{CsvFormat, RecordReader};
use crate::rows::RawRow;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use std::collections::HashSet;

/// What is known beforehand; the rest is found out.
#[derive(Clone, Debug, Default)]
pub struct CsvHints {
    /// All but the delimiter and the header.
    pub format: CsvFormat,
    /// What separates fields.
    pub delimiter: Option<u8>,
    /// Whether the first line has the columns' names.
    pub has_header: Option<bool>,
    /// Whether everything is text.
    pub all_text: bool,
}

/// What may separate fields.
const DELIMITERS: [u8; 4] = [b',', b'|', b';', b'\t'];

/// The format and the columns of a file that begins with `sample`, which is all of it where `is_whole`.
///
/// # Errors
/// `DataCorrupt` where it is not text.
pub fn infer_csv(
    sample: &[u8],
    is_whole: bool,
    hints: &CsvHints,
) -> Result<(CsvFormat, Vec<InferredColumn>)> {
    let candidates: Vec<u8> = match hints.delimiter {
        Some(delimiter) => vec![delimiter],
        None => DELIMITERS.to_vec(),
    };
    let mut best: Option<(usize, CsvFormat, Vec<RawRow>)> = None;
    for delimiter in candidates {
        let format = CsvFormat {
            delimiter,
            ..hints.format.clone()
        };
        let rows = rows(sample, is_whole, &format)?;
        let score = consistency(&rows);
        if best.as_ref().is_none_or(|(found, ..)| score > *found) {
            best = Some((score, format, rows));
        }
    }
    let (_, format, rows) = best.unwrap_or_default();
    let rows = rows.iter().map(|row| row.fields().map(text_of).collect());
    let rows = rows.collect::<Result<Vec<Vec<&str>>, _>>()?;
    let Some((first, others)) = rows.split_first() else {
        return Ok((format, Vec::new()));
    };
    let is_null = |text: &str| text.is_empty() || format.null_texts.iter().any(|null| null == text);
    let mut types = vec![Candidates::ALL; first.len()];
    let narrow = |types: &mut Vec<Candidates>, row: &[&str]| {
        for (candidates, text) in types.iter_mut().zip(row) {
            if !is_null(text) {
                candidates.narrow(text);
            }
        }
    };
    for row in others {
        narrow(&mut types, row);
    }
    let has_header = match hints.has_header {
        Some(has_header) => has_header,
        None => is_header(first, &types, others.is_empty()),
    };
    if !has_header {
        narrow(&mut types, first);
    }
    let names = match has_header {
        true => header_names(first),
        false => (0..first.len())
            .map(|place| format!("column{place}"))
            .collect(),
    };
    let types = types.iter().map(|candidates| match hints.all_text {
        true => DataType::Utf8,
        false => candidates.data_type(),
    });
    let are_as_written = names
        .iter()
        .zip(first)
        .all(|(name, text)| name == text.trim());
    let format = CsvFormat {
        has_header,
        by_name: has_header && are_as_written,
        ..format
    };
    Ok((format, names.into_iter().zip(types).collect()))
}

fn rows(sample: &[u8], is_whole: bool, format: &CsvFormat) -> Result<Vec<RawRow>> {
    let mut reader = RecordReader::new(format);
    let mut rows = Vec::new();
    let mut rest = sample;
    while rows.len() < SAMPLE_ROWS_MAX {
        // Nothing at all says that the file ends: where it does not, its last row is not whole.
        if rest.is_empty() && !is_whole {
            break;
        }
        let (read, row) = reader.read(rest)?;
        match row {
            Some(row) => rows.push(row),
            None if rest.is_empty() => break,
            None => {}
        }
        rest = &rest[read..];
    }
    if rows.is_empty() && !is_whole && !sample.is_empty() {
        let text = "no row ends within the sample: a quote may be open".to_owned();
        return Err(bad_value(text).into());
    }
    Ok(rows)
}

/// How well rows agree about how many fields they have; more fields are better, one is none.
fn consistency(rows: &[RawRow]) -> usize {
    let Some(first) = rows.first() else {
        return 0;
    };
    let fields = first.ends.len();
    let same = rows.iter().filter(|row| row.ends.len() == fields).count();
    match fields > 1 {
        // Few rows of many fields are worth less than all rows of two.
        true => same * 1000 / rows.len() * 1000 + fields.min(999),
        false => 0,
    }
}

/// Whether a first line is not a row: where it is none by the types of the others. Among nothing but texts it is
/// taken for one that has names.
fn is_header(first: &[&str], types: &[Candidates], is_alone: bool) -> bool {
    let mut fields = first.iter().zip(types);
    let is_text = |candidates: &Candidates| candidates.data_type() == DataType::Utf8;
    if is_alone || types.iter().all(is_text) {
        return fields.all(|(text, _)| {
            let mut alone = Candidates::ALL;
            alone.narrow(text);
            !text.is_empty() && is_text(&alone)
        });
    }
    fields.any(|(text, candidates)| {
        !is_text(candidates) && !text.is_empty() && !candidates.accepts(text)
    })
}

/// Names that are missing or there already get a number.
fn header_names(first: &[&str]) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let unique = |(place, name): (usize, &&str)| {
        let name = name.trim();
        let base = match name.is_empty() {
            true => format!("column{place}"),
            false => name.to_owned(),
        };
        let mut name = base.clone();
        let mut number = 0;
        while !taken.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{base}_{number}");
        }
        name
    };
    first.iter().enumerate().map(unique).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(sample: &str, is_whole: bool) -> (CsvFormat, Vec<InferredColumn>) {
        infer_csv(sample.as_bytes(), is_whole, &CsvHints::default()).unwrap()
    }

    fn columns(sample: &str) -> Vec<(String, DataType)> {
        infer(sample, true).1
    }

    fn named(columns: &[(&str, DataType)]) -> Vec<(String, DataType)> {
        let column = |(name, data_type): &(&str, DataType)| ((*name).to_owned(), data_type.clone());
        columns.iter().map(column).collect()
    }

    #[test]
    fn the_header_is_what_is_no_row() {
        let (int, text) = (DataType::Int64, DataType::Utf8);
        let found = columns("id,name\n1,a\n2,b\n");
        assert_eq!(found, named(&[("id", int.clone()), ("name", text.clone())]));
        let found = columns("1,a\n2,b\n");
        let wanted = [("column0", int.clone()), ("column1", text.clone())];
        assert_eq!(found, named(&wanted));
        let found = columns("a,b\nx,y");
        assert_eq!(found, named(&[("a", text.clone()), ("b", text.clone())]));
        let found = columns("a,a,,\n1,2,3,4\n");
        let names = ["a", "a_1", "column2", "column3"];
        assert_eq!(found, named(&names.map(|name| (name, int.clone()))));
    }

    #[test]
    fn delimiters_are_found() {
        for delimiter in DELIMITERS.map(char::from) {
            let sample = format!("a{delimiter}b\n1{delimiter}\"x,|;\ty\"\n");
            let (format, columns) = infer(&sample, true);
            assert_eq!(char::from(format.delimiter), delimiter);
            assert_eq!(columns.len(), 2);
        }
        assert_eq!(columns("just text\nmore, text\n").len(), 1);
    }

    #[test]
    fn the_row_that_is_cut_does_not_count() {
        let (_, columns) = infer("a\n1\n2\nx", false);
        assert_eq!(columns, named(&[("a", DataType::Int64)]));
        assert!(infer_csv(b"\"a", false, &CsvHints::default()).is_err());
        assert_eq!(infer("", true).1, []);
    }
}
