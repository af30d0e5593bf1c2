//! Text files: Hive's delimited text, `ROW FORMAT DELIMITED`, read and written as its LazySimpleSerDe does; CSV
//! and JSON, read. Each with its scan, and the codec that sends the scan to executors.
//!
//! In delimited text, a line is a row; `\r\n` ends one as `\n` does. Delimiters of levels nest: a field's items are
//! separated by the second, a map's keys from their values by the third, and so on. What cannot be read
//! back as it was is not written.
//!
//! DataFusion's readers of CSV and JSON are not used: they know compressed files by what a table says and not by
//! their names, cut decimals, and find JSON's names by case. What is not a value of its column's type is an error,
//! where Hive would make it NULL.

mod bad_value;
mod codec;
mod column;
mod convert;
mod csv;
mod decode;
mod encode;
mod field;
mod format;
mod infer;
mod json;
mod json_rows;
mod rows;
mod source;
mod unpack;

pub use codec::TextScanCodec;
pub use csv::CsvFormat;
pub use encode::TextEncoder;
pub use format::{LEVELS_MAX, TextFormat, levels_of};
pub use infer::{CsvHints, InferredColumn, JsonShape, infer_csv, infer_json};
pub use json_rows::JsonFormat;
pub use source::{REJECTED_LINES_METRIC, RowFormat, TextSource};
pub use unpack::{Compression, check_mark, unpack};
