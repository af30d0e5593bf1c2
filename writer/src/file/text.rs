//! Lines of delimited values: Hive's `ROW FORMAT DELIMITED` and OpenCSVSerde.

use crate::spec::TextOptions;
use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;
use skep_exchange::error::to_datafusion;
use skep_protocol::{ErrorCode, QueryError};

/// How Hive writes times.
const TIMESTAMP_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// Writes rows as lines.
pub(super) struct TextEncoder {
    options: TextOptions,
    header: Option<Vec<String>>,
}

impl TextEncoder {
    /// An encoder of rows with `schema`.
    ///
    /// # Errors
    /// `Unsupported` where a column is nested or of bytes.
    pub(super) fn new(options: TextOptions, schema: &SchemaRef) -> Result<Self> {
        for field in schema.fields() {
            if field.data_type().is_nested() || field.data_type().is_binary() {
                let text = format!(
                    "column '{}' is a {}, which text files cannot hold",
                    field.name(),
                    field.data_type()
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
                    true => {
                        self.add_delimiter(&mut lines, index);
                        lines.extend_from_slice(self.options.null.as_bytes());
                    }
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
        let options = &self.options;
        if let Some(quote) = options.quote {
            if value == options.null {
                let text = format!(
                    "a value of column '{column}' is what stands for NULL in a CSV file ('{value}')"
                );
                return Err(to_datafusion(QueryError::new(ErrorCode::Semantic, text)));
            }
            lines.push(quote);
            for byte in value.bytes() {
                if byte == quote || options.escape == Some(byte) {
                    lines.push(options.escape.unwrap_or(quote));
                }
                lines.push(byte);
            }
            lines.push(quote);
            return Ok(());
        }
        let is_ambiguous = value == options.null
            || value
                .bytes()
                .any(|byte| byte == options.field_delimiter || matches!(byte, 0 | b'\n' | b'\r'));
        if is_ambiguous {
            let text = format!(
                "a value of column '{column}' holds a delimiter, a line's end or the text for NULL, \
                 which a text file without quotes cannot tell apart; use another format"
            );
            return Err(to_datafusion(QueryError::new(ErrorCode::Semantic, text)));
        }
        lines.extend_from_slice(value.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use std::sync::Arc;

    fn delimited() -> TextOptions {
        TextOptions {
            field_delimiter: b',',
            escape: None,
            quote: None,
            null: "\\N".to_owned(),
            header: false,
        }
    }

    fn lines(options: TextOptions, texts: Vec<Option<&str>>) -> Result<String> {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..texts.len() as i32));
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let batch = RecordBatch::try_from_iter([("a", numbers), ("b", texts)])?;
        let mut encoder = TextEncoder::new(options, &batch.schema())?;
        Ok(String::from_utf8(encoder.encode(&batch)?).unwrap())
    }

    #[test]
    fn delimited_lines() {
        let found = lines(delimited(), vec![Some("x y"), None, Some("")]).unwrap();
        assert_eq!(found, "0,x y\n1,\\N\n2,\n");
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for text in ["a,b", "a\nb", "\\N"] {
            let error = lines(delimited(), vec![Some(text)]).unwrap_err();
            assert!(error.to_string().contains("column 'b'"), "{error}");
        }
    }

    #[test]
    fn quoted_lines_hold_anything() {
        let options = TextOptions {
            quote: Some(b'"'),
            escape: Some(b'\\'),
            header: true,
            ..delimited()
        };
        let found = lines(options, vec![Some("a,\"b\\\n")]).unwrap();
        assert_eq!(found, "\"a\",\"b\"\n\"0\",\"a,\\\"b\\\\\n\"\n");
    }
}
