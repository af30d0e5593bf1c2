//! Writes rows as lines. What could not be read back as it is, is refused.

use crate::LEVELS_MAX;
use crate::format::{TextFormat, levels_of};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::error::Result;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::to_datafusion;

/// How Hive writes times.
const TIMESTAMP_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// Writes rows as lines.
#[derive(Debug)]
pub struct TextEncoder {
    format: TextFormat,
    header: Option<Vec<String>>,
}

impl TextEncoder {
    /// An encoder of rows with `schema`.
    ///
    /// # Errors
    /// `Unsupported` where a column's type is none that text files hold, or more than one line is to
    /// be the header.
    pub fn new(format: TextFormat, schema: &SchemaRef) -> Result<Self> {
        for field in schema.fields() {
            if levels_of(field.data_type()) >= LEVELS_MAX {
                let text = format!("column '{}' is nested too deep", field.name());
                return Err(to_datafusion(QueryError::new(ErrorCode::Unsupported, text)));
            }
        }
        let names = || schema.fields().iter().map(|field| field.name().clone());
        let header = match format.header_lines {
            0 => None,
            1 => Some(names().collect()),
            more => {
                let text = format!("writing text files with {more} header lines is not supported");
                return Err(to_datafusion(QueryError::new(ErrorCode::Unsupported, text)));
            }
        };
        Ok(Self { format, header })
    }

    /// The lines of `batch`.
    ///
    /// # Errors
    /// `Semantic` naming the column where a value could not be read back.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        let mut lines = Vec::new();
        let delimiter = self.format.delimiter(0);
        if let Some(names) = self.header.take() {
            lines.extend_from_slice(names.join(&char::from(delimiter).to_string()).as_bytes());
            lines.push(b'\n');
        }
        let schema = batch.schema();
        let columns = batch.columns().iter();
        let columns = columns.map(|column| Values::new(column.as_ref()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    lines.push(delimiter);
                }
                self.add(&mut lines, column, row, 1).map_err(|reason| {
                    let name = schema.field(index).name();
                    let text = format!("a value of column '{name}' {reason}");
                    to_datafusion(QueryError::new(ErrorCode::Semantic, text))
                })?;
            }
            lines.push(b'\n');
        }
        Ok(lines)
    }

    /// Adds a value whose parts are separated by the delimiter of `level`.
    fn add(
        &self,
        lines: &mut Vec<u8>,
        column: &Values<'_>,
        row: usize,
        level: usize,
    ) -> Result<(), String> {
        if column.array.is_null(row) {
            lines.extend_from_slice(self.format.null_text.as_bytes());
            return Ok(());
        }
        let start = lines.len();
        let parts = match &column.kind {
            Kind::Flat(formatter) => {
                let value = formatter.value(row).try_to_string();
                let value = value.map_err(|error| format!("cannot be written: {error}"))?;
                self.add_text(lines, value.as_bytes(), level)?;
                0
            }
            Kind::Bytes => {
                let value = bytes_of(column.array, row);
                self.add_text(lines, STANDARD.encode(value).as_bytes(), level)?;
                0
            }
            Kind::List(items) => {
                let range = range_of(column.array, row);
                for (place, item) in range.clone().enumerate() {
                    self.separate(lines, place, level);
                    self.add(lines, items, item, level + 1)?;
                }
                range.len()
            }
            Kind::Map(keys, values) => {
                let range = range_of(column.array, row);
                for (place, item) in range.clone().enumerate() {
                    self.separate(lines, place, level);
                    self.add(lines, keys, item, level + 2)?;
                    self.separate(lines, 1, level + 1);
                    self.add(lines, values, item, level + 2)?;
                }
                range.len()
            }
            Kind::Struct(fields) => {
                for (place, field) in fields.iter().enumerate() {
                    self.separate(lines, place, level);
                    self.add(lines, field, row, level + 1)?;
                }
                0
            }
        };
        let written = &lines[start..];
        if written == self.format.null_text.as_bytes() {
            return Err("would be read back as NULL".to_owned());
        }
        match written.is_empty() && parts > 0 {
            true => Err("would be read back as an empty collection".to_owned()),
            false => Ok(()),
        }
    }

    fn separate(&self, lines: &mut Vec<u8>, place: usize, level: usize) {
        if place > 0 {
            lines.push(self.format.delimiter(level));
        }
    }

    /// Adds a text that is inside parts of every level below `level`.
    fn add_text(&self, lines: &mut Vec<u8>, value: &[u8], level: usize) -> Result<(), String> {
        let delimiters = &self.format.delimiters[..level.min(LEVELS_MAX)];
        for byte in value {
            if matches!(byte, b'\n' | b'\r') {
                return Err("has a line break, which a text file cannot hold".to_owned());
            }
            if delimiters.contains(byte) || self.format.escape == Some(*byte) {
                match self.format.escape {
                    Some(escape) => lines.push(escape),
                    None => {
                        let shown = char::from(*byte).escape_default();
                        return Err(format!(
                            "has the delimiter '{shown}' in it, and there is no ESCAPED BY"
                        ));
                    }
                }
            }
            lines.push(*byte);
        }
        Ok(())
    }
}

/// A column, ready to be asked for its values.
struct Values<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Flat(ArrayFormatter<'a>),
    Bytes,
    List(Box<Values<'a>>),
    Map(Box<Values<'a>>, Box<Values<'a>>),
    Struct(Vec<Values<'a>>),
}

impl<'a> Values<'a> {
    fn new(array: &'a dyn Array) -> Result<Self> {
        let inner = |array: &'a dyn Array| Self::new(array).map(Box::new);
        let kind = match array.data_type() {
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Kind::Bytes,
            DataType::List(_) => Kind::List(inner(array.as_list::<i32>().values().as_ref())?),
            DataType::LargeList(_) => Kind::List(inner(array.as_list::<i64>().values().as_ref())?),
            DataType::Map(_, _) => {
                let map = array.as_map();
                Kind::Map(inner(map.keys().as_ref())?, inner(map.values().as_ref())?)
            }
            DataType::Struct(_) => {
                let fields = array.as_struct().columns().iter();
                let fields = fields.map(|field| Self::new(field.as_ref()));
                Kind::Struct(fields.collect::<Result<_>>()?)
            }
            other if other.is_nested() || matches!(other, DataType::FixedSizeBinary(_)) => {
                let text = format!("text files cannot hold values of type {other}");
                return Err(to_datafusion(QueryError::new(ErrorCode::Unsupported, text)));
            }
            _ => {
                let format = FormatOptions::default()
                    .with_timestamp_format(Some(TIMESTAMP_FORMAT))
                    .with_timestamp_tz_format(Some(TIMESTAMP_FORMAT));
                Kind::Flat(ArrayFormatter::try_new(array, &format)?)
            }
        };
        Ok(Self { array, kind })
    }
}

/// The items of a collection.
fn range_of(array: &dyn Array, row: usize) -> std::ops::Range<usize> {
    match array.data_type() {
        DataType::LargeList(_) => {
            let offsets = array.as_list::<i64>().value_offsets();
            offsets[row] as usize..offsets[row + 1] as usize
        }
        DataType::Map(_, _) => {
            let offsets = array.as_map().value_offsets();
            offsets[row] as usize..offsets[row + 1] as usize
        }
        _ => {
            let offsets = array.as_list::<i32>().value_offsets();
            offsets[row] as usize..offsets[row + 1] as usize
        }
    }
}

fn bytes_of(array: &dyn Array, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        _ => array.as_binary::<i32>().value(row),
    }
}
