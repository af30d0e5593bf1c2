//! Lines of quoted values: Hive's OpenCSVSerde. NULL is nothing at all, which the empty text would be, too.

use crate::spec::CsvOptions;
use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::to_datafusion;
use skep_runtime::sql_type::sql_type;

/// How Hive writes times.
const TIMESTAMP_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// Writes rows as lines.
pub(super) struct CsvEncoder {
    options: CsvOptions,
    header: Option<Vec<String>>,
}

impl CsvEncoder {
    /// An encoder of rows with `schema`.
    ///
    /// # Errors
    /// `Unsupported` where a column is nested or of bytes.
    pub(super) fn new(options: CsvOptions, schema: &SchemaRef) -> Result<Self> {
        for field in schema.fields() {
            let data_type = field.data_type();
            // For other programs such values are written as they are shown.
            let is_readable = !data_type.is_nested() && !data_type.is_binary();
            if options.null_text.is_none() && !is_readable {
                let text = format!(
                    "column '{}' is {}, which text files cannot hold",
                    field.name(),
                    sql_type(data_type)
                );
                return Err(to_datafusion(QueryError::new(ErrorCode::Unsupported, text)));
            }
        }
        let names = || schema.fields().iter().map(|field| field.name().clone());
        let header = options.header.then(|| names().collect());
        Ok(Self { options, header })
    }

    /// The lines of `batch`.
    ///
    /// # Errors
    /// `Semantic` where a value holds what separates columns or lines and nothing can tell the two
    /// apart.
    pub(super) fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        let mut lines = Vec::new();
        if let Some(names) = self.header.take() {
            for (index, name) in names.iter().enumerate() {
                self.add_value(&mut lines, index, name, name)?;
            }
            lines.push(b'\n');
        }
        let format = FormatOptions::default()
            .with_timestamp_format(Some(TIMESTAMP_FORMAT))
            .with_timestamp_tz_format(Some(TIMESTAMP_FORMAT));
        let schema = batch.schema();
        let columns = batch
            .columns()
            .iter()
            .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &format)?)))
            .collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            for (index, (column, formatter)) in columns.iter().enumerate() {
                match column.is_null(row) {
                    true => self.add_null(&mut lines, index),
                    false => {
                        let value = formatter.value(row).try_to_string()?;
                        self.add_value(&mut lines, index, schema.field(index).name(), &value)?;
                    }
                }
            }
            lines.push(b'\n');
        }
        Ok(lines)
    }

    fn add_null(&self, lines: &mut Vec<u8>, index: usize) {
        self.add_delimiter(lines, index);
        let text = self.options.null_text.as_deref().unwrap_or_default();
        lines.extend(text.as_bytes());
    }

    /// Whether a value would be read as something else without quotes.
    fn needs_quotes(&self, value: &str, null_text: &str) -> bool {
        let CsvOptions {
            quote,
            field_delimiter,
            ..
        } = self.options;
        let is_special =
            |byte: u8| byte == quote || byte == field_delimiter || byte == b'\n' || byte == b'\r';
        value.is_empty()
            || value == null_text
            || value.trim_ascii() != value
            || value.bytes().any(is_special)
    }

    fn add_delimiter(&self, lines: &mut Vec<u8>, index: usize) {
        if index > 0 {
            lines.push(self.options.field_delimiter);
        }
    }

    fn add_value(
        &self,
        lines: &mut Vec<u8>,
        index: usize,
        column: &str,
        value: &str,
    ) -> Result<()> {
        self.add_delimiter(lines, index);
        if let Some(null_text) = &self.options.null_text {
            if !self.needs_quotes(value, null_text) {
                lines.extend(value.as_bytes());
                return Ok(());
            }
        } else if value.is_empty() {
            let text = format!(
                "a value of column '{column}' is the empty text, which a CSV file cannot tell from NULL"
            );
            return Err(to_datafusion(QueryError::new(ErrorCode::Semantic, text)));
        }
        let CsvOptions { quote, escape, .. } = self.options;
        lines.push(quote);
        for byte in value.bytes() {
            if byte == quote || escape == Some(byte) {
                lines.push(escape.unwrap_or(quote));
            }
            lines.push(byte);
        }
        lines.push(quote);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use std::sync::Arc;

    fn lines(escape: Option<u8>, header: bool, texts: Vec<Option<&str>>) -> Result<String> {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..texts.len() as i32));
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let batch = RecordBatch::try_from_iter([("a", numbers), ("b", texts)])?;
        let options = CsvOptions {
            field_delimiter: b',',
            escape,
            quote: b'"',
            header,
            null_text: None,
        };
        let mut encoder = CsvEncoder::new(options, &batch.schema())?;
        Ok(String::from_utf8(encoder.encode(&batch)?).unwrap())
    }

    #[test]
    fn null_is_nothing() {
        let found = lines(None, false, vec![Some("x y"), None]).unwrap();
        assert_eq!(found, "\"0\",\"x y\"\n\"1\",\n");
    }

    #[test]
    fn the_empty_text_is_refused() {
        let error = lines(None, false, vec![Some("")]).unwrap_err();
        assert!(error.to_string().contains("column 'b'"), "{error}");
    }

    #[test]
    fn quoted_lines_hold_anything() {
        let found = lines(Some(b'\\'), true, vec![Some("a,\"b\\\n")]).unwrap();
        assert_eq!(found, "\"a\",\"b\"\n\"0\",\"a,\\\"b\\\\\n\"\n");
        let found = lines(None, false, vec![Some("a\"b")]).unwrap();
        assert_eq!(found, "\"0\",\"a\"\"b\"\n");
    }
}
