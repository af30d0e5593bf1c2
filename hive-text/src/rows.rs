//! Makes batches of rows, and handles invalid rows.

use crate::column::ColumnBuilder;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::physical_plan::metrics::Count;
use skep_runtime::error::from_datafusion;
use std::sync::Arc;

/// How long a row may be, in bytes: one that never ends is not text.
pub(crate) const ROW_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How many bytes of rows a batch is made of at most, but for the last one.
pub(crate) const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A row as the file has it.
#[derive(Debug, Default)]
pub(crate) struct RawRow {
    pub(crate) bytes: Vec<u8>,
    /// Where the fields end, where the format has fields.
    pub(crate) ends: Vec<usize>,
    /// Where it begins.
    pub(crate) line: u64,
}

/// Makes values of a row.
pub(crate) trait RowParser: Send + std::fmt::Debug {
    /// Adds one value to every column, or fails, with the column that it failed on.
    fn parse(
        &self,
        row: &RawRow,
        columns: &mut [ColumnBuilder],
    ) -> Result<(), (Option<usize>, ArrowError)>;
}

/// Collects rows until there are enough for a batch.
#[derive(Debug)]
pub(crate) struct RowCollector<P> {
    pub(crate) parser: P,
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    batch_rows_max: usize,
    rows: usize,
    bytes: usize,
    /// Where rows that are none are left out: who counts them, and the rows that are not yet looked at.
    skipping: Option<(Count, Vec<RawRow>)>,
}

impl<P: RowParser> RowCollector<P> {
    /// Collects rows with the columns of `schema`. Those that are none are counted by `rejected`; without it,
    /// they are errors.
    ///
    /// # Errors
    /// `Unsupported` where text files cannot hold a type.
    pub(crate) fn new(
        parser: P,
        schema: SchemaRef,
        batch_rows_max: usize,
        rejected: Option<Count>,
    ) -> Result<Self, ArrowError> {
        Ok(Self {
            parser,
            columns: builders(&schema)?,
            schema,
            batch_rows_max: batch_rows_max.max(1),
            rows: 0,
            bytes: 0,
            skipping: rejected.map(|rejected| (rejected, Vec::new())),
        })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.batch_rows_max || self.bytes >= BATCH_BYTES_MAX
    }

    /// Whether rows that are none are left out.
    pub(crate) fn skips(&self) -> bool {
        self.skipping.is_some()
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `DataCorrupt` where it is invalid.
    pub(crate) fn add(&mut self, row: RawRow) -> Result<(), ArrowError> {
        self.rows += 1;
        self.bytes += row.bytes.len();
        if let Some((_, pending)) = &mut self.skipping {
            pending.push(row);
            return Ok(());
        }
        let parsed = self.parser.parse(&row, &mut self.columns);
        parsed.map_err(|(column, error)| self.explain(column, Some(row.line), error))
    }

    /// The rows so far.
    ///
    /// # Errors
    /// `DataCorrupt` where a value is invalid for its column's type.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if let Some((rejected, pending)) = &mut self.skipping {
            let (rejected, pending) = (rejected.clone(), std::mem::take(pending));
            match self.batch_of(&pending) {
                Ok(batch) => return Ok(Some(batch)),
                Err(_) => {
                    let good = self.good_ones(pending)?;
                    rejected.add(rows - good.len());
                    rows = good.len();
                    for row in &good {
                        let parsed = self.parser.parse(row, &mut self.columns);
                        parsed.map_err(|(_, error)| error)?;
                    }
                }
            }
        }
        self.batch(rows).map(Some)
    }

    /// Those of `rows` that are rows by themselves. Afterwards the columns are empty.
    fn good_ones(&mut self, rows: Vec<RawRow>) -> Result<Vec<RawRow>, ArrowError> {
        let mut good = Vec::with_capacity(rows.len());
        self.columns = builders(&self.schema)?;
        for row in rows {
            match self.batch_of(std::slice::from_ref(&row)) {
                Ok(_) => good.push(row),
                Err(_) => self.columns = builders(&self.schema)?,
            }
        }
        Ok(good)
    }

    fn batch_of(&mut self, rows: &[RawRow]) -> Result<RecordBatch, ArrowError> {
        for row in rows {
            let parsed = self.parser.parse(row, &mut self.columns);
            parsed.map_err(|(_, error)| error)?;
        }
        self.batch(rows.len())
    }

    fn batch(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for place in 0..self.columns.len() {
            let column = self.columns[place].finish();
            columns.push(column.map_err(|error| self.explain(Some(place), None, error))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.schema);
        RecordBatch::try_new_with_options(schema, columns, &options)
    }

    /// The error with the place that it is about.
    fn explain(&self, column: Option<usize>, line: Option<u64>, error: ArrowError) -> ArrowError {
        let mut found = from_datafusion(&error.into());
        if let Some(column) = column {
            let name = self.schema.field(column).name();
            found.message = format!("column '{name}': {}", found.message);
        }
        if let Some(line) = line {
            found.message = format!("line {line}: {}", found.message);
        }
        ArrowError::ExternalError(Box::new(found))
    }
}

fn builders(schema: &SchemaRef) -> Result<Vec<ColumnBuilder>, ArrowError> {
    let columns = schema.fields().iter();
    columns
        .map(|field| ColumnBuilder::new(field.data_type()))
        .collect()
}

/// Reads texts as a scan does, in pieces of all sizes.
#[cfg(test)]
pub(crate) mod test_support {
    use arrow::array::AsArray;
    use arrow::compute::cast;
    use arrow::datatypes::DataType;
    use arrow::record_batch::RecordBatch;
    use datafusion_datasource::decoder::{
        BatchDeserializer, Decoder, DecoderDeserializer, DeserializerOutput,
    };

    /// The batches, which are the same whatever the pieces; the last error otherwise.
    pub(crate) fn read_in_pieces<D: Decoder>(
        text: &str,
        decoder: impl Fn() -> D,
    ) -> Result<Vec<RecordBatch>, String> {
        let mut last: Option<Result<Vec<RecordBatch>, String>> = None;
        for piece in [1, 2, 7, 1000] {
            let found = read(text, decoder(), piece);
            let rows = |batches: &Vec<RecordBatch>| column(batches, 0);
            if let Some(last) = &last {
                assert_eq!(last.as_ref().ok().map(rows), found.as_ref().ok().map(rows));
            }
            last = Some(found);
        }
        last.unwrap_or_else(|| Ok(Vec::new()))
    }

    fn read<D: Decoder>(text: &str, decoder: D, piece: usize) -> Result<Vec<RecordBatch>, String> {
        let mut deserializer = DecoderDeserializer::new(decoder);
        let mut batches = Vec::new();
        let mut pieces = text.as_bytes().chunks(piece);
        loop {
            match deserializer.next().map_err(|error| error.to_string())? {
                DeserializerOutput::RecordBatch(batch) => batches.push(batch),
                DeserializerOutput::RequiresMoreData => match pieces.next() {
                    Some(piece) => {
                        deserializer.digest(bytes::Bytes::copy_from_slice(piece));
                    }
                    None => deserializer.finish(),
                },
                DeserializerOutput::InputExhausted => return Ok(batches),
            }
        }
    }

    /// The values of a column as texts.
    pub(crate) fn column(batches: &[RecordBatch], index: usize) -> Vec<String> {
        let mut values = Vec::new();
        for batch in batches {
            let texts = cast(batch.column(index), &DataType::Utf8).unwrap();
            let texts = texts.as_string::<i32>();
            let shown = |text: Option<&str>| text.unwrap_or("NULL").to_owned();
            values.extend(texts.iter().map(shown));
        }
        values
    }
}
