//! The end of a partition is said, not inferred: the last message of a partition counts what was sent,
//! and whoever reads compares. So neither a dead producer nor a panicked task can look like a shorter
//! result.

use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use prost::Message;
use skep_protocol::proto::EndOfPartition;
use skep_protocol::{ErrorCode, QueryError};

/// Counts what passes through a partition, on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionCount {
    rows: u64,
    batches: u64,
}

impl PartitionCount {
    /// One more batch.
    pub fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        self.batches += 1;
    }

    /// The message that ends the partition.
    pub fn end_message(self) -> FlightData {
        let end = EndOfPartition {
            rows: self.rows,
            batches: self.batches,
        };
        FlightData::new().with_app_metadata(end.encode_to_vec())
    }

    /// Compares what was read with what the producer says that it sent.
    ///
    /// # Errors
    /// `TruncatedExchange` where they differ, or where the producer never said it.
    pub fn verify(self, end: Option<EndOfPartition>) -> Result<(), QueryError> {
        let truncated = |text: String| Err(QueryError::new(ErrorCode::TruncatedExchange, text));
        match end {
            None => truncated(format!(
                "an exchange stream was cut off after {} rows",
                self.rows
            )),
            Some(end) if end.rows != self.rows || end.batches != self.batches => {
                truncated(format!(
                    "an exchange stream delivered {} rows in {} batches of {} rows in {} batches",
                    self.rows, self.batches, end.rows, end.batches
                ))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The end that `data` announces; `None` where it is a batch, a schema or a dictionary.
pub fn parse_end(data: &FlightData) -> Option<EndOfPartition> {
    if !data.data_header.is_empty() {
        return None;
    }
    EndOfPartition::decode(data.app_metadata.as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    fn batch(rows: i64) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, false)]);
        let column = Int64Array::from_iter_values(0..rows);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(column)]).unwrap()
    }

    #[test]
    fn equal_counts_pass() {
        let mut sent = PartitionCount::default();
        sent.add(&batch(3));
        sent.add(&batch(0));
        let end = parse_end(&sent.end_message());
        assert_eq!(sent.verify(end), Ok(()));
    }

    #[test]
    fn an_empty_partition_still_has_an_end() {
        let end = parse_end(&PartitionCount::default().end_message());
        assert_eq!(PartitionCount::default().verify(end), Ok(()));
    }

    #[test]
    fn a_missing_or_different_end_is_an_error() {
        let mut sent = PartitionCount::default();
        sent.add(&batch(3));
        let mut received = sent;
        received.add(&batch(1));
        for (count, end) in [(sent, None), (received, parse_end(&sent.end_message()))] {
            let error = count.verify(end).unwrap_err();
            assert_eq!(error.code, ErrorCode::TruncatedExchange);
        }
    }
}
