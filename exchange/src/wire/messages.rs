//! Rows as the messages of a Flight stream: the schema, then for each batch its dictionaries and itself.
//!
//! A batch stays whole, whatever its size, because cutting one sends the buffers of its views with each
//! piece. One without rows has no message. What a message is written into has the size of the last one
//! from the beginning: growing while it is written copies everything once more.

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use futures::stream;
use futures::{Stream, StreamExt, TryStreamExt};

/// The messages of `batches`, which have `schema`.
///
/// # Errors
/// Those of `batches`, and Arrow's for a type that has no messages.
pub fn encode<S, E>(
    schema: &SchemaRef,
    batches: S,
    options: IpcWriteOptions,
) -> impl Stream<Item = Result<FlightData, E>> + Send + use<S, E>
where
    S: Stream<Item = Result<RecordBatch, E>> + Send,
    E: From<ArrowError> + Send,
{
    let (mut encoder, first) = Encoder::new(schema, options);
    let messages = batches.map(move |batch| {
        let batch = batch?;
        let messages = match batch.num_rows() {
            0 => vec![],
            _ => encoder.encode(&batch)?,
        };
        Ok::<_, E>(stream::iter(messages.into_iter().map(Ok)))
    });
    stream::once(std::future::ready(Ok(first))).chain(messages.try_flatten())
}

struct Encoder {
    generator: IpcDataGenerator,
    options: IpcWriteOptions,
    dictionaries: DictionaryTracker,
    context: IpcWriteContext,
}

impl Encoder {
    /// An encoder, and the message that tells the schema.
    fn new(schema: &SchemaRef, options: IpcWriteOptions) -> (Self, FlightData) {
        let generator = IpcDataGenerator::default();
        // A batch may have other values in its dictionaries than the one before.
        let mut dictionaries = DictionaryTracker::new(false);
        let schema =
            generator.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options);
        let encoder = Self {
            generator,
            options,
            dictionaries,
            context: IpcWriteContext::default(),
        };
        (encoder, schema.into())
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<FlightData>, ArrowError> {
        self.context.set_reserve_scratch(true);
        let (dictionaries, mut batch) = self.generator.encode(
            batch,
            &mut self.dictionaries,
            &self.options,
            &mut self.context,
        )?;
        let body = &mut batch.arrow_data;
        if body.len() < body.capacity() / 2 {
            // Many small messages after a large one must not take as much memory as large ones.
            body.shrink_to_fit();
            self.context = IpcWriteContext::default();
        }
        let messages = dictionaries.into_iter().chain([batch]);
        Ok(messages.map(FlightData::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, types::Int32Type};
    use arrow_flight::decode::FlightRecordBatchStream;
    use arrow_flight::error::FlightError;
    use std::sync::Arc;

    fn batch(words: &[&str]) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..words.len() as i64));
        let words: DictionaryArray<Int32Type> = words.iter().copied().collect();
        RecordBatch::try_from_iter([("n", numbers), ("word", Arc::new(words))]).unwrap()
    }

    #[tokio::test]
    async fn messages_are_read_as_what_was_written() {
        let batches = [
            batch(&["a", "b", "a"]),
            batch(&["c"]),
            batch(&[]),
            batch(&["a", "d"]),
        ];
        let rows = stream::iter(batches.clone().map(Ok::<_, FlightError>));
        let messages = encode(&batches[0].schema(), rows, IpcWriteOptions::default());
        let read = FlightRecordBatchStream::new_from_flight_data(messages);
        let read: Vec<_> = read.try_collect().await.unwrap();
        let with_rows = batches.into_iter().filter(|batch| batch.num_rows() > 0);
        assert_eq!(read, with_rows.collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn small_messages_after_large_ones_are_small() {
        let rows = [100_000, 100_000, 10, 10, 100_000].map(|rows| {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
            RecordBatch::try_from_iter([("n", numbers)]).unwrap()
        });
        let (mut encoder, _) = Encoder::new(&rows[0].schema(), IpcWriteOptions::default());
        for batch in rows {
            let [message] = encoder.encode(&batch).unwrap().try_into().unwrap();
            let body = Vec::from(message.data_body);
            assert!(
                body.capacity() < 2 * body.len() + 128,
                "{}",
                body.capacity()
            );
        }
    }

    #[tokio::test]
    async fn an_error_is_passed_on() {
        let broken = Err(FlightError::ProtocolError("it broke".into()));
        let rows = stream::iter([Ok(batch(&["a"])), broken]);
        let messages = encode(&batch(&[]).schema(), rows, IpcWriteOptions::default());
        let messages: Vec<_> = messages.collect().await;
        assert_eq!(messages.len(), 4, "schema, dictionary, batch, error");
        assert!(messages[3].is_err());
    }
}
