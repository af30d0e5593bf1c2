//! Lines of fields that may be quoted.

use crate::bad_value::{bad_value, text_of};
use crate::column::ColumnBuilder;
use crate::json::is_same_name;
use crate::rows::{ROW_BYTES_MAX, RawRow, RowCollector, RowParser};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use datafusion::physical_plan::metrics::Count;
use datafusion_datasource::decoder::Decoder;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the lines of CSV files are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvFormat {
    /// What separates fields.
    pub delimiter: u8,
    /// What fields may be enclosed in, if anything.
    pub quote: Option<u8>,
    /// What takes the meaning from the next byte within quotes, beside a doubled quote.
    pub escape: Option<u8>,
    /// What stands for NULL, beside nothing at all.
    pub null_texts: Vec<String>,
    /// How many lines at the beginning of a file are passed over unread.
    pub skipped_lines: u32,
    /// Whether the first line has the columns' names.
    pub has_header: bool,
    /// Whether these names say which column is which; otherwise their places do.
    pub by_name: bool,
    /// Whether a line may lack fields at its end, which are NULL then.
    pub lacks_fields: bool,
    /// Whether lines that are none are left out, and counted.
    pub skips_bad_lines: bool,
}

impl Default for CsvFormat {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            null_texts: Vec::new(),
            skipped_lines: 0,
            has_header: false,
            by_name: false,
            lacks_fields: false,
            skips_bad_lines: false,
        }
    }
}

impl CsvFormat {
    fn reader(&self) -> Reader {
        let mut builder = ReaderBuilder::new();
        builder
            .delimiter(self.delimiter)
            .escape(self.escape)
            .quoting(self.quote.is_some());
        if let Some(quote) = self.quote {
            builder.quote(quote);
        }
        builder.build()
    }
}

/// Cuts the bytes of a file into rows.
#[derive(Debug)]
pub(crate) struct RecordReader {
    reader: Reader,
    lines_to_skip: u32,
    bytes: Vec<u8>,
    bytes_used: usize,
    ends: Vec<usize>,
    ends_used: usize,
    /// The line on which the row that is open begins.
    line: u64,
    skipped: u64,
}

impl RecordReader {
    pub(crate) fn new(format: &CsvFormat) -> Self {
        Self {
            reader: format.reader(),
            lines_to_skip: format.skipped_lines,
            bytes: vec![0; 1024],
            bytes_used: 0,
            ends: vec![0; 64],
            ends_used: 0,
            line: 1,
            skipped: format.skipped_lines.into(),
        }
    }

    /// Reads from the front of `input`, which is empty at the end of the file: how much was read, and a row where
    /// one ends there.
    ///
    /// # Errors
    /// `DataCorrupt` where a row does not end.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<(usize, Option<RawRow>), ArrowError> {
        let mut from = 0;
        while self.lines_to_skip > 0 {
            let Some(end) = memchr::memchr(b'\n', &input[from..]) else {
                return Ok((input.len(), None));
            };
            self.lines_to_skip -= 1;
            from += end + 1;
            if from == input.len() {
                return Ok((from, None));
            }
        }
        loop {
            let (result, read, written, ended) = self.reader.read_record(
                &input[from..],
                &mut self.bytes[self.bytes_used..],
                &mut self.ends[self.ends_used..],
            );
            from += read;
            self.bytes_used += written;
            self.ends_used += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok((from, None)),
                ReadRecordResult::OutputFull if self.bytes.len() >= ROW_BYTES_MAX => {
                    let text = format!(
                        "the row that begins on line {} is longer than {ROW_BYTES_MAX} bytes: \
                         a quote may be open",
                        self.line
                    );
                    return Err(bad_value(text));
                }
                ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    let row = RawRow {
                        bytes: self.bytes[..self.bytes_used].to_vec(),
                        ends: self.ends[..self.ends_used].to_vec(),
                        line: self.line + self.skipped,
                    };
                    self.line = self.reader.line();
                    (self.bytes_used, self.ends_used) = (0, 0);
                    return Ok((from, Some(row)));
                }
            }
        }
    }
}

impl RawRow {
    /// The fields of a row that has some.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let bounds = starts.zip(&self.ends);
        bounds.map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }
}

/// Which field of a line becomes which column.
#[derive(Debug)]
struct FieldParser {
    format: Arc<CsvFormat>,
    /// For every field of a line, the column that is made of it.
    wanted: Vec<Option<usize>>,
    /// Columns that the file does not have.
    absent: Vec<usize>,
}

impl RowParser for FieldParser {
    fn parse(
        &self,
        row: &RawRow,
        columns: &mut [ColumnBuilder],
    ) -> Result<(), (Option<usize>, ArrowError)> {
        let (found, expected) = (row.ends.len(), self.wanted.len());
        // Some programs write a delimiter behind the last field.
        let is_too_long = row.fields().skip(expected).any(|field| !field.is_empty());
        if is_too_long || (found < expected && !self.format.lacks_fields) {
            let text = format!("there are {found} fields instead of {expected}");
            return Err((None, bad_value(text)));
        }
        let mut fields = row.fields();
        for wanted in &self.wanted {
            let field = fields.next();
            let Some(column) = *wanted else {
                continue;
            };
            let is_null = |field: &[u8]| {
                let mut texts = self.format.null_texts.iter();
                texts.any(|text| text.as_bytes() == field)
            };
            let added = match field {
                Some(field) if !is_null(field) => columns[column].add_field(field),
                _ => columns[column].add_null(),
            };
            added.map_err(|error| (Some(column), error))?;
        }
        for column in &self.absent {
            let added = columns[*column].add_null();
            added.map_err(|error| (Some(*column), error))?;
        }
        Ok(())
    }
}

/// Reads the lines of one file.
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    records: RecordReader,
    rows: RowCollector<FieldParser>,
    /// The columns of the batches.
    schema: SchemaRef,
    header_is_next: bool,
}

impl CsvDecoder {
    /// Reads the fields `indices` of lines that have the columns of `file_schema`.
    ///
    /// # Errors
    /// `Unsupported` where text files cannot hold a type.
    pub(crate) fn new(
        format: Arc<CsvFormat>,
        file_schema: &SchemaRef,
        indices: &[usize],
        batch_rows_max: usize,
        rejected: Count,
    ) -> Result<Self, ArrowError> {
        let schema = Arc::new(file_schema.project(indices)?);
        let mut wanted = vec![None; file_schema.fields().len()];
        for (column, index) in indices.iter().enumerate() {
            wanted[*index] = Some(column);
        }
        let rejected = format.skips_bad_lines.then_some(rejected);
        let records = RecordReader::new(&format);
        let header_is_next = format.has_header;
        let parser = FieldParser {
            format,
            wanted,
            absent: Vec::new(),
        };
        Ok(Self {
            records,
            rows: RowCollector::new(parser, Arc::clone(&schema), batch_rows_max, rejected)?,
            schema,
            header_is_next,
        })
    }

    fn add(&mut self, row: RawRow) -> Result<(), ArrowError> {
        if !std::mem::replace(&mut self.header_is_next, false) {
            return self.rows.add(row);
        }
        if self.rows.parser.format.by_name {
            let names = row
                .fields()
                .map(|name| Ok(text_of(name)?.trim().to_owned()));
            let names = names.collect::<Result<Vec<String>, ArrowError>>()?;
            let column_of = |name: &String| {
                let mut fields = self.schema.fields().iter();
                fields.position(|field| is_same_name(field.name(), name))
            };
            let mut wanted: Vec<Option<usize>> = Vec::with_capacity(names.len());
            for name in &names {
                // Of two fields of one name, the first is the column.
                let column = column_of(name).filter(|column| !wanted.contains(&Some(*column)));
                wanted.push(column);
            }
            let parser = &mut self.rows.parser;
            parser.absent = (0..self.schema.fields().len())
                .filter(|column| !wanted.contains(&Some(*column)))
                .collect();
            parser.wanted = wanted;
        }
        Ok(())
    }
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, buf: &[u8]) -> Result<usize, ArrowError> {
        let mut from = 0;
        loop {
            let (read, row) = self.records.read(&buf[from..])?;
            from += read;
            match row {
                Some(row) => self.add(row)?,
                None => return Ok(from),
            }
            if self.rows.is_full() || from == buf.len() && !buf.is_empty() {
                return Ok(from);
            }
        }
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

    fn read(text: &str, format: CsvFormat) -> Result<(Vec<String>, Vec<String>, usize), String> {
        let fields = vec![
            Field::new("a", DataType::Int32, true),
            Field::new("b", DataType::Utf8, true),
        ];
        let schema = Arc::new(Schema::new(fields));
        let format = Arc::new(format);
        let rejected = Count::new();
        let decoder = || {
            let format = Arc::clone(&format);
            CsvDecoder::new(format, &schema, &[0, 1], 2, rejected.clone()).unwrap()
        };
        let batches = read_in_pieces(text, decoder)?;
        Ok((column(&batches, 0), column(&batches, 1), rejected.value()))
    }

    #[test]
    fn fields_are_read_as_they_are_quoted() {
        let text = "1,x\r\n2,\"a,\"\"b\"\"\nc\"\n\n\"\",\n3,y";
        let (a, b, _) = read(text, CsvFormat::default()).unwrap();
        assert_eq!(a, ["1", "2", "NULL", "3"]);
        assert_eq!(b, ["x", "a,\"b\"\nc", "NULL", "y"]);
        assert!(read("1\n", CsvFormat::default()).is_err());
        assert!(read("1,x,y\n", CsvFormat::default()).is_err());
        let (a, ..) = read("1,x,\n", CsvFormat::default()).unwrap();
        assert_eq!(a, ["1"]);
    }

    #[test]
    fn a_header_may_say_which_column_is_which() {
        let format = CsvFormat {
            skipped_lines: 1,
            has_header: true,
            by_name: true,
            null_texts: vec!["-".to_owned()],
            ..CsvFormat::default()
        };
        let (a, b, _) = read("notes\nB,other,A\nx,1,7\n-,1,-\n", format.clone()).unwrap();
        assert_eq!(
            (a.join(" "), b.join(" ")),
            ("7 NULL".into(), "x NULL".into())
        );
        let (a, b, _) = read("notes\nb\nx\n", format).unwrap();
        assert_eq!((a.join(" "), b.join(" ")), ("NULL".into(), "x".into()));
    }

    #[test]
    fn lines_that_are_no_rows_are_left_out_where_that_is_wanted() {
        let format = CsvFormat {
            skips_bad_lines: true,
            ..CsvFormat::default()
        };
        let (a, _, rejected) = read("1,x\ny,z\n2\n3,w\n", format).unwrap();
        assert_eq!((a.join(" "), rejected % 2), ("1 3".to_owned(), 0));
        assert!(rejected > 0);
    }
}
