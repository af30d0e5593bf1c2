//! What separates the parts of a line.

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

/// How deep values may nest: Hive has that many delimiters.
pub const LEVELS_MAX: usize = 8;

/// How the lines of a table's files are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFormat {
    /// What separates columns, then items of a collection, then a map's key from its value, and then
    /// what is nested further, each inside the one before.
    pub delimiters: [u8; LEVELS_MAX],
    /// What takes the meaning from the next byte, if anything does.
    pub escape: Option<u8>,
    /// What stands for NULL.
    pub null_text: String,
    /// How many lines at the beginning of a file are no rows.
    pub header_lines: u32,
}

impl Default for TextFormat {
    /// What Hive takes where a table says nothing: control characters and `\N`.
    fn default() -> Self {
        Self {
            delimiters: [1, 2, 3, 4, 5, 6, 7, 8],
            escape: None,
            null_text: "\\N".to_owned(),
            header_lines: 0,
        }
    }
}

impl TextFormat {
    /// What separates the parts of a value at `level`: 0 for a line's columns. Types that nest deeper
    /// than [`LEVELS_MAX`] are refused before anything is read or written.
    pub(crate) fn delimiter(&self, level: usize) -> u8 {
        self.delimiters[level.min(LEVELS_MAX - 1)]
    }
}

/// How many delimiters the values of a type take, beyond the one between columns.
pub fn levels_of(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) => 1 + levels_of(item.data_type()),
        DataType::Struct(fields) => {
            let levels = fields.iter().map(|field| levels_of(field.data_type()));
            1 + levels.max().unwrap_or(0)
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let levels = fields.iter().map(|field| levels_of(field.data_type()));
                2 + levels.max().unwrap_or(0)
            }
            _ => 2,
        },
        _ => 0,
    }
}
