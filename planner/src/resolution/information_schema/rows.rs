//! Rows that are put together value by value: columns of text, and behind them columns of numbers.

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringBuilder, UInt64Builder};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::Result;
use std::sync::Arc;

/// A table in the making. Values come row by row, in the order of the columns.
pub(super) struct Rows {
    texts: Vec<(&'static str, StringBuilder)>,
    numbers: Vec<(&'static str, UInt64Builder)>,
    next: usize,
}

impl Rows {
    /// No rows yet.
    pub(super) fn new(texts: &[&'static str]) -> Self {
        let texts = texts.iter().map(|name| (*name, StringBuilder::new()));
        Self {
            texts: texts.collect(),
            numbers: Vec::new(),
            next: 0,
        }
    }

    /// With columns of numbers behind those of text.
    pub(super) fn with_numbers(mut self, names: &[&'static str]) -> Self {
        let numbers = names.iter().map(|name| (*name, UInt64Builder::new()));
        self.numbers = numbers.collect();
        self
    }

    fn advance(&mut self) -> usize {
        let index = self.next;
        let columns = self.texts.len() + self.numbers.len();
        self.next = (self.next + 1) % columns.max(1);
        index
    }

    /// The next value.
    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.maybe(Some(value))
    }

    /// The next value, which may be NULL.
    pub(super) fn maybe(&mut self, value: Option<&str>) -> &mut Self {
        let index = self.advance();
        if let Some((_, column)) = self.texts.get_mut(index) {
            column.append_option(value);
        }
        self
    }

    /// The next value, in a column of numbers.
    pub(super) fn number(&mut self, value: Option<u64>) -> &mut Self {
        let index = self.advance().wrapping_sub(self.texts.len());
        if let Some((_, column)) = self.numbers.get_mut(index) {
            column.append_option(value);
        }
        self
    }

    /// All rows.
    ///
    /// # Errors
    /// Where a row is incomplete, which is a defect.
    pub(super) fn finish(self) -> Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (name, mut column) in self.texts {
            fields.push(Field::new(name, DataType::Utf8, true));
            columns.push(Arc::new(column.finish()));
        }
        for (name, mut column) in self.numbers {
            fields.push(Field::new(name, DataType::UInt64, true));
            columns.push(Arc::new(column.finish()));
        }
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_into_their_columns() {
        let mut rows = Rows::new(&["a", "b"]).with_numbers(&["n"]);
        rows.text("x").maybe(None).number(Some(1));
        rows.text("y").text("z").number(None);
        let batch = rows.finish().unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (2, 3));
        assert_eq!(batch.column(1).null_count(), 1);
        assert_eq!(batch.column(2).null_count(), 1);
    }

    #[test]
    fn an_incomplete_row_is_a_defect() {
        let mut rows = Rows::new(&["a", "b"]);
        rows.text("x");
        assert!(rows.finish().is_err());
    }
}
