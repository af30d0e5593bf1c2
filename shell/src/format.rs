//! How a result is written, batch by batch, so that memory does not grow with it.

mod delimited;
#[cfg(test)]
mod golden;
mod json;
mod table;
mod text;
mod vertical;

pub(crate) use text::width;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::fmt;
use std::str::FromStr;

/// A way of writing results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns with borders, for people.
    Table,
    /// One line per value, for rows that are too wide for a table.
    Vertical,
    /// Comma-separated values with a header, as RFC 4180 has them. NULL is nothing, an empty text is
    /// `""`.
    Csv,
    /// Tab-separated values with a header. NULL is `\N`; tab, line end and backslash are escaped.
    Tsv,
    /// One array of objects per result, a row on each line.
    Json,
}

impl Format {
    /// All formats.
    pub const ALL: &'static [Format] = &[
        Self::Table,
        Self::Vertical,
        Self::Csv,
        Self::Tsv,
        Self::Json,
    ];

    /// The name of the format, as options and commands have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Vertical => "vertical",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
        }
    }

    /// Whether the format is for people, who also want to know how many rows there were.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Vertical)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format '{0}': it may be table, vertical, csv, tsv or json")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(name));
        found.copied().ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// A value that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    /// One column's values have no text in this format.
    #[error("cannot show column '{column}': {source}")]
    Column {
        /// The column's name.
        column: String,
        /// Why.
        source: ArrowError,
    },
    /// The batch has no form in this format.
    #[error("cannot write the result as {format}: {source}")]
    Batch {
        /// The format.
        format: Format,
        /// Why.
        source: ArrowError,
    },
}

/// Writes one result. What is to be written is appended to `out`; the caller empties it.
pub(crate) trait ResultWriter: Send {
    /// Takes in some rows and writes what can be written.
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError>;

    /// Writes what remains. A result without rows has been given none.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError>;
}

/// A writer for a result of that schema, for a terminal or for something else.
pub(crate) fn writer(
    format: Format,
    schema: SchemaRef,
    for_terminal: bool,
) -> Box<dyn ResultWriter> {
    match format {
        Format::Table => Box::new(table::TableWriter::new(&schema, for_terminal)),
        Format::Vertical => Box::new(vertical::VerticalWriter::new(&schema)),
        Format::Csv => Box::new(delimited::DelimitedWriter::csv(&schema, for_terminal)),
        Format::Tsv => Box::new(delimited::DelimitedWriter::tsv(&schema, for_terminal)),
        Format::Json => Box::new(json::JsonWriter::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for format in Format::ALL {
            assert_eq!(format.as_str().to_uppercase().parse(), Ok(*format));
        }
        assert!(
            "tabel"
                .parse::<Format>()
                .unwrap_err()
                .to_string()
                .contains("vertical")
        );
    }
}
