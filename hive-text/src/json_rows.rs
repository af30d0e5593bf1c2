//! Objects as rows: one per line, one behind the other, or the items of one array.

use crate::bad_value::bad_value;
use crate::column::ColumnBuilder;
use crate::json::{JsonValue, value_length};
use crate::rows::{ROW_BYTES_MAX, RawRow, RowCollector, RowParser};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::physical_plan::metrics::Count;
use datafusion_datasource::decoder::Decoder;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How JSON files are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonFormat {
    /// Whether lines that are none are left out, and counted. Each row is on a line of its own then.
    pub skips_bad_lines: bool,
}

/// Whether a file that begins so has whole objects on its lines, so that a piece of it can be read by itself.
pub(crate) fn is_by_line(begin: &[u8]) -> bool {
    let text = begin.trim_ascii_start();
    if text.first() != Some(&b'{') {
        return text.is_empty();
    }
    match memchr::memchr(b'\n', text) {
        Some(end) => matches!(value_length(&text[..end]), Ok(Some(_))),
        None => true,
    }
}

#[derive(Debug)]
struct ObjectParser {
    schema: SchemaRef,
    /// Whether nobody has looked at the rows before.
    validates: bool,
}

impl RowParser for ObjectParser {
    fn parse(
        &self,
        row: &RawRow,
        columns: &mut [ColumnBuilder],
    ) -> Result<(), (Option<usize>, ArrowError)> {
        let of_row = |error| (None, error);
        if self.validates {
            value_length(&row.bytes).map_err(of_row)?;
        }
        let JsonValue::Object(object) = JsonValue::new(&row.bytes).map_err(of_row)? else {
            let text = String::from_utf8_lossy(&row.bytes);
            let shown: String = text.chars().take(40).collect();
            return Err((None, bad_value(format!("{shown} is not a JSON object"))));
        };
        let names = self.schema.fields().iter().map(|field| field.name());
        for (column, value) in object.values_of(names).enumerate() {
            let added = match value {
                Some(value) => columns[column].add_json(value),
                None => columns[column].add_null(),
            };
            added.map_err(|error| (Some(column), error))?;
        }
        Ok(())
    }
}

/// Where in a file the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// Nothing but spaces has come.
    Begin,
    Lines,
    Array,
    /// Behind the array.
    End,
}

/// Reads the objects of one file, or of a piece of one.
#[derive(Debug)]
pub(crate) struct JsonDecoder {
    rows: RowCollector<ObjectParser>,
    /// Whether every line is read by itself.
    is_by_line: bool,
    frame: Frame,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    line: u64,
    /// The row whose end has not come yet, and where it begins.
    open: Vec<u8>,
    open_line: u64,
    /// Whether a comma was the last thing in the array.
    is_after_comma: bool,
}

impl JsonDecoder {
    /// Reads the fields `indices` of objects that have the columns of `file_schema`. `is_piece` where only some
    /// lines of the file are read.
    ///
    /// # Errors
    /// `Unsupported` where text files cannot hold a type.
    pub(crate) fn new(
        format: &JsonFormat,
        file_schema: &SchemaRef,
        indices: &[usize],
        batch_rows_max: usize,
        is_piece: bool,
        rejected: Count,
    ) -> Result<Self, ArrowError> {
        let schema = Arc::new(file_schema.project(indices)?);
        let parser = ObjectParser {
            schema: Arc::clone(&schema),
            validates: format.skips_bad_lines,
        };
        let rejected = format.skips_bad_lines.then_some(rejected);
        let rows = RowCollector::new(parser, schema, batch_rows_max, rejected)?;
        Ok(Self {
            is_by_line: is_piece || rows.skips(),
            rows,
            frame: if is_piece { Frame::Lines } else { Frame::Begin },
            depth: 0,
            is_in_string: false,
            is_escaped: false,
            line: 1,
            open: Vec::new(),
            open_line: 1,
            is_after_comma: false,
        })
    }

    /// Whether what is open ends before the byte.
    fn ends_before(&mut self, byte: u8) -> bool {
        if self.is_in_string && byte != b'\n' {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return false;
        }
        match (byte, self.frame) {
            (b'"', _) => self.is_in_string = true,
            (b']', Frame::Array) if self.depth == 0 => return true,
            (b',', Frame::Array) if self.depth == 0 => return true,
            (b'{' | b'[', _) => self.depth += 1,
            (b'}' | b']', _) => self.depth = self.depth.saturating_sub(1),
            (b'\n', Frame::Lines) => {
                // No string has a line break in it.
                return self.depth == 0 || self.is_by_line || self.is_in_string;
            }
            _ => {}
        }
        false
    }

    /// Adds what is open.
    fn end(&mut self) -> Result<(), ArrowError> {
        (self.depth, self.is_in_string, self.is_escaped) = (0, false, false);
        let open = std::mem::take(&mut self.open);
        let line = self.open_line;
        let mut rest = open.trim_ascii();
        while !rest.is_empty() {
            let length = match value_length(rest) {
                Ok(length) => length.unwrap_or(rest.len()),
                // It is counted among those that are left out.
                Err(_) if self.rows.skips() => rest.len(),
                Err(error) => return Err(at_line(line, &error)),
            };
            let (value, behind) = rest.split_at(length);
            self.rows.add(RawRow {
                bytes: value.trim_ascii().to_vec(),
                ends: Vec::new(),
                line,
            })?;
            rest = behind.trim_ascii_start();
            if !rest.is_empty() && self.frame == Frame::Array {
                return Err(at_line(line, &bad_value("a comma is missing".to_owned())));
            }
        }
        Ok(())
    }

    /// Deals with a comma, or the bracket at the end, between the items of the array.
    fn end_item(&mut self, byte: u8) -> Result<(), ArrowError> {
        let is_item = !self.open.trim_ascii().is_empty();
        if !is_item && (byte == b',' || self.is_after_comma) {
            let text = "an item of the array is missing".to_owned();
            return Err(at_line(self.line, &bad_value(text)));
        }
        self.end()?;
        self.is_after_comma = byte == b',';
        if byte == b']' {
            self.frame = Frame::End;
        }
        Ok(())
    }

    /// Reads the line that `text` begins with where it is one object, as most are, and says how long it is. What
    /// takes more lines is read byte by byte.
    fn whole_line(&mut self, text: &[u8]) -> Result<Option<usize>, ArrowError> {
        if self.frame != Frame::Lines || !self.open.is_empty() || text.first() != Some(&b'{') {
            return Ok(None);
        }
        let Some(end) = memchr::memchr(b'\n', text) else {
            return Ok(None);
        };
        let line = text[..end].trim_ascii_end();
        match value_length(line) {
            Ok(Some(length)) if length == line.len() => {}
            _ => return Ok(None),
        }
        self.rows.add(RawRow {
            bytes: line.to_vec(),
            ends: Vec::new(),
            line: self.line,
        })?;
        self.line += 1;
        Ok(Some(end + 1))
    }

    fn take(&mut self, byte: u8) -> Result<(), ArrowError> {
        match self.frame {
            Frame::Begin if byte.is_ascii_whitespace() => {}
            Frame::Begin if byte == b'[' => self.frame = Frame::Array,
            Frame::End if byte.is_ascii_whitespace() => {}
            Frame::End => {
                let text = "something stands behind the end of the array".to_owned();
                return Err(at_line(self.line, &bad_value(text)));
            }
            _ => {
                if self.frame == Frame::Begin {
                    self.frame = Frame::Lines;
                }
                if self.ends_before(byte) {
                    match self.frame {
                        Frame::Array => self.end_item(byte)?,
                        _ => self.end()?,
                    }
                } else {
                    if self.open.is_empty() {
                        self.open_line = self.line;
                    }
                    self.open.push(byte);
                }
            }
        }
        self.line += u64::from(byte == b'\n');
        Ok(())
    }
}

fn at_line(line: u64, error: &ArrowError) -> ArrowError {
    let error = match error {
        ArrowError::ExternalError(inner) => inner.to_string(),
        other => other.to_string(),
    };
    bad_value(format!("line {line}: {error}"))
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, buf: &[u8]) -> Result<usize, ArrowError> {
        // Nothing comes after an empty piece: what is open is the last row.
        if buf.is_empty() {
            if self.frame == Frame::Array {
                let text = "the array does not end".to_owned();
                return Err(at_line(self.line, &bad_value(text)));
            }
            self.end()?;
            return Ok(0);
        }
        let mut read = 0;
        while read < buf.len() {
            if self.rows.is_full() {
                return Ok(read);
            }
            if let Some(length) = self.whole_line(&buf[read..])? {
                read += length;
                continue;
            }
            self.take(buf[read])?;
            read += 1;
            if self.open.len() > ROW_BYTES_MAX {
                let text = format!("a row is longer than {ROW_BYTES_MAX} bytes");
                return Err(at_line(self.open_line, &bad_value(text)));
            }
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.rows.finish()
    }

    fn can_flush_early(&self) -> bool {
        self.rows.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::test_support::{column, read_in_pieces};
    use arrow::datatypes::{DataType, Field, Schema};

    fn ids(
        text: &str,
        format: &JsonFormat,
        is_piece: bool,
    ) -> Result<(Vec<String>, usize), String> {
        let fields = vec![
            Field::new("id", DataType::Int32, true),
            Field::new("t", DataType::Utf8, true),
        ];
        let schema = Arc::new(Schema::new(fields));
        let rejected = Count::new();
        let decoder =
            || JsonDecoder::new(format, &schema, &[0], 2, is_piece, rejected.clone()).unwrap();
        let batches = read_in_pieces(text, decoder)?;
        Ok((column(&batches, 0), rejected.value()))
    }

    #[test]
    fn objects_are_rows_wherever_they_end() {
        let format = JsonFormat::default();
        for (text, wanted) in [
            (
                "{\"id\":1}\n{\"ID\":2}\r\n\n  {\"t\":\"}\\\"{\",\"id\":3}",
                "1 2 3",
            ),
            ("{\"id\":1}{\"id\":2} {\"id\":3}\n", "1 2 3"),
            ("{\n \"id\": 1,\n \"t\": \"[\"\n}\n{ \"id\":\n2 }", "1 2"),
            (
                "\n [ {\"id\":1}, {\"id\":2,\"t\":[1,2]}\n,{}]\n",
                "1 2 NULL",
            ),
            ("[]", ""),
            ("", ""),
        ] {
            let (found, _) = ids(text, &format, false).unwrap();
            assert_eq!(found.join(" "), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_row_is_an_error_or_is_left_out() {
        let strict = JsonFormat::default();
        for text in [
            "{\"id\":1}\n12\n",
            "{\"id\":1\n{\"id\":2}\n",
            "{\"id\":\"x\"}",
            "[{\"id\":1}",
            "[{\"id\":1},]",
            "[{\"id\":1} {\"id\":2}]",
            "[] x",
            "{\"id\":1} nonsense",
        ] {
            assert!(ids(text, &strict, false).is_err(), "{text}");
        }
        let lenient = JsonFormat {
            skips_bad_lines: true,
        };
        let text = "{\"id\":1}\n{\"id\":\n{\"id\":2}\nnonsense\n{\"id\":\"x\"}\n{\"id\":3}\n12";
        let (found, rejected) = ids(text, &lenient, false).unwrap();
        assert_eq!((found.join(" "), rejected % 4), ("1 2 3".to_owned(), 0));
    }

    #[test]
    fn pieces_are_read_where_lines_are_whole() {
        for (begin, is_whole) in [
            ("{\"a\":1}\n{", true),
            ("\n{\"a\":1}", true),
            ("", true),
            ("{\n", false),
            ("[{\"a\":1},\n", false),
            (" [", false),
        ] {
            assert_eq!(is_by_line(begin.as_bytes()), is_whole, "{begin}");
        }
        let format = JsonFormat::default();
        assert!(ids("{\"id\":\n1}", &format, true).is_err());
        let (found, _) = ids("{\"id\":1}\n{\"id\":2}", &format, true).unwrap();
        assert_eq!(found, ["1", "2"]);
    }
}
