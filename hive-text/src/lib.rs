//! Hive's delimited text, `ROW FORMAT DELIMITED`: read and written as its LazySimpleSerDe does, because
//! those who come from Hive have files of it that nothing else reads.
//!
//! A line is a row; `\r\n` ends one as `\n` does. Delimiters of levels nest: a field's items are
//! separated by the second, a map's keys from their values by the third, and so on. What cannot be read
//! back as it was is not written, and what is no value of its column's type is an error, where Hive
//! would make it NULL.
//!
//! Quoted fields are not its business: those are OpenCSVSerde's.

mod codec;
mod column;
mod decode;
mod encode;
mod field;
mod format;
mod source;

pub use codec::TextScanCodec;
pub use encode::TextEncoder;
pub use format::{LEVELS_MAX, TextFormat, levels_of};
pub use source::TextSource;
