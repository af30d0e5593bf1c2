//! How a result is written, batch by batch, so that memory does not grow with it.

mod binary;
mod delimited;
mod fit;
#[cfg(test)]
mod golden;
mod json;
mod markup;
mod table;
mod text;
mod vertical;

pub(crate) use text::{escaped, number_column, values, width};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::fmt;
use std::path::Path;
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
    /// One object per line.
    Ndjson,
    /// A table as GitHub's Markdown has it.
    Markdown,
    /// An HTML table.
    Html,
    /// An Arrow IPC file (Feather).
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// All formats with their names.
    const NAMES: &'static [(Format, &'static str)] = &[
        (Self::Table, "table"),
        (Self::Vertical, "vertical"),
        (Self::Csv, "csv"),
        (Self::Tsv, "tsv"),
        (Self::Json, "json"),
        (Self::Ndjson, "ndjson"),
        (Self::Markdown, "markdown"),
        (Self::Html, "html"),
        (Self::Arrow, "arrow"),
        (Self::Parquet, "parquet"),
    ];

    /// All formats.
    pub fn all() -> impl Iterator<Item = Format> {
        Self::NAMES.iter().map(|(format, _)| *format)
    }

    /// The name of the format, as options and commands have it.
    pub fn as_str(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(format, _)| *format == self);
        named.map_or("table", |(_, name)| name)
    }

    /// The format that a file's name asks for.
    pub(crate) fn of_file(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "md" | "markdown" => Self::Markdown,
            "html" | "htm" => Self::Html,
            "arrow" | "feather" => Self::Arrow,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }

    /// Whether the format is for people, who also want to know how many rows there were.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Vertical)
    }

    /// Whether it is not text, which no terminal should be given and of which a file holds one result.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format '{0}': it may be {list}", list = list_of_names())]
pub struct UnknownFormat(String);

fn list_of_names() -> String {
    let names: Vec<_> = Format::all().map(Format::as_str).collect();
    names.join(", ")
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::NAMES
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name));
        found
            .map(|(format, _)| *format)
            .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// What becomes of values that are wider than the terminal has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LongValues {
    /// They go on in the next line of their cell.
    Wrap,
    /// They end in `…`.
    Cut,
    /// They are shown whole, and the terminal breaks the lines.
    Full,
}

/// How values look, whatever the format.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Whether there is a line with the names of the columns.
    pub header: bool,
    /// How NULL looks in formats for people.
    pub null: String,
    /// Whether numbers in formats for people have commas between thousands.
    pub group_digits: bool,
    /// What becomes of long values in a table.
    pub long_values: LongValues,
    /// Whether a table that is too wide is shown as vertical.
    pub auto_vertical: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            header: true,
            null: text::NULL.to_owned(),
            group_digits: false,
            long_values: LongValues::Wrap,
            auto_vertical: true,
        }
    }
}

/// Where a result goes, as far as its form depends on that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Target {
    /// Whether it goes to a terminal, which data must not command.
    pub is_terminal: bool,
    /// How many columns that terminal has.
    pub columns: Option<usize>,
    /// Whether colour may be used.
    pub color: bool,
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
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl FormatError {
    fn batch(
        format: Format,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> FormatError {
        Self::Batch {
            format,
            source: source.into(),
        }
    }
}

/// Writes one result. What is to be written is appended to `out`; the caller empties it.
pub(crate) trait ResultWriter: Send {
    /// Takes in some rows and writes what can be written.
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError>;

    /// Writes what remains. A result without rows has been given none.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError>;
}

/// A writer for a result of that schema.
pub(crate) fn writer(
    format: Format,
    schema: &SchemaRef,
    look: &Look,
    target: Target,
) -> Result<Box<dyn ResultWriter>, FormatError> {
    Ok(match format {
        Format::Table => Box::new(table::TableWriter::new(schema, look, target)),
        Format::Vertical => Box::new(vertical::VerticalWriter::new(schema, look, target)),
        Format::Csv => Box::new(delimited::DelimitedWriter::csv(schema, look, target)),
        Format::Tsv => Box::new(delimited::DelimitedWriter::tsv(schema, look, target)),
        Format::Json => Box::new(json::JsonWriter::array(target)),
        Format::Ndjson => Box::new(json::JsonWriter::lines(target)),
        Format::Markdown => Box::new(markup::MarkdownWriter::new(schema, look)),
        Format::Html => Box::new(markup::HtmlWriter::new(schema, look)),
        Format::Arrow => Box::new(binary::ArrowFileWriter::new(schema)?),
        Format::Parquet => Box::new(binary::ParquetWriter::new(schema)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for format in Format::all() {
            assert_eq!(format.as_str().to_uppercase().parse(), Ok(format));
        }
        let message = "tabel".parse::<Format>().unwrap_err().to_string();
        assert!(message.contains("vertical, csv"), "{message}");
    }

    #[test]
    fn a_files_name_asks_for_its_format() {
        let of = |name: &str| Format::of_file(Path::new(name));
        assert_eq!(of("/a/b.CSV"), Some(Format::Csv));
        assert_eq!(of("b.parquet"), Some(Format::Parquet));
        assert_eq!(of("b.txt"), None);
        assert_eq!(of("csv"), None);
    }
}
