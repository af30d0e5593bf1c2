//! Rows that lie ready leave together.
//!
//! Clients spend about as much on a message as on a quarter of a megabyte in it, so that batches of 8,192
//! rows of a few columns, one in a message each, take a client a third more time than messages of a
//! megabyte or two. What lies ready is put together; nothing waits for more to come.

use super::split::batch_bytes;
use super::{check_columns, conform, to_wire};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use futures::stream::{self, Fuse};
use futures::{Stream, StreamExt, TryStreamExt};
use std::pin::Pin;
use std::task::{Context, Poll};

/// How large rows become that are put together, in bytes. Messages of two mebibytes are read everywhere:
/// gRPC's clients refuse those of more than four, where nobody has told them otherwise.
const TOGETHER_BYTES_MAX: usize = 2_000_000;

/// The rows of `batches` in the wire schema, in pieces of at most `bytes_max` bytes each.
///
/// # Errors
/// Those of `batches`, and where a value is none of its column's type in the wire schema.
pub fn wire_rows<S, E>(
    batches: S,
    schema: SchemaRef,
    bytes_max: usize,
) -> impl Stream<Item = Result<RecordBatch, E>> + Send
where
    S: Stream<Item = Result<RecordBatch, E>> + Send + Unpin,
    E: From<ArrowError> + Send + Unpin,
{
    let groups = Groups {
        batches: batches.fuse(),
        left: None,
        schema: SchemaRef::clone(&schema),
        bytes_max: bytes_max.min(TOGETHER_BYTES_MAX),
    };
    let pieces = groups.map(move |group| {
        let pieces = match group?.as_slice() {
            [batch] => to_wire(batch, &schema, bytes_max)?,
            batches => vec![conform(batches, &schema)?],
        };
        Ok::<_, E>(stream::iter(pieces.into_iter().map(Ok)))
    });
    pieces.try_flatten()
}

/// Batches that lie ready at the same time, as many as go into one message. One that is larger is alone.
struct Groups<S: Stream> {
    batches: Fuse<S>,
    /// What did not go into the last group.
    left: Option<S::Item>,
    schema: SchemaRef,
    bytes_max: usize,
}

impl<S, E> Stream for Groups<S>
where
    S: Stream<Item = Result<RecordBatch, E>> + Unpin,
    E: From<ArrowError> + Unpin,
{
    type Item = Result<Vec<RecordBatch>, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut group = Vec::new();
        let mut bytes = 0;
        loop {
            let next = match self.left.take() {
                Some(left) => Poll::Ready(Some(left)),
                None => self.batches.poll_next_unpin(context),
            };
            let batch = match next {
                Poll::Ready(Some(Ok(batch))) => batch,
                Poll::Ready(None) | Poll::Pending if !group.is_empty() => break,
                Poll::Ready(Some(Err(error))) if !group.is_empty() => {
                    self.left = Some(Err(error));
                    break;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            };
            bytes += self.bytes_of(&batch)?;
            if bytes > self.bytes_max && !group.is_empty() {
                self.left = Some(Ok(batch));
                break;
            }
            group.push(batch);
            if bytes >= self.bytes_max {
                break;
            }
        }
        Poll::Ready(Some(Ok(group)))
    }
}

impl<S: Stream> Groups<S> {
    /// How much of a message a batch takes: all of it where it cannot be put together with others.
    fn bytes_of(&self, batch: &RecordBatch) -> Result<usize, ArrowError> {
        check_columns(batch, &self.schema)?;
        let schema = batch.schema_ref();
        let types = schema.fields().iter().chain(self.schema.fields());
        match types.map(|field| field.data_type()).all(can_be_joined) {
            true => batch_bytes(batch),
            false => Ok(self.bytes_max),
        }
    }
}

/// Whether columns of that type can be put one behind the other: dictionaries may have too many values
/// together.
fn can_be_joined(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) | DataType::RunEndEncoded(..) | DataType::Union(..) => false,
        DataType::Struct(fields) => fields.iter().all(|field| can_be_joined(field.data_type())),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => can_be_joined(item.data_type()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, DictionaryArray, Int64Array, StringArray, StringViewArray, types::Int8Type,
    };
    use arrow::compute::concat_batches;
    use arrow::datatypes::{Field, Schema};
    use futures::FutureExt;
    use std::sync::Arc;

    const ROWS: usize = 8192;

    fn wire_schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ]))
    }

    fn batch(number: usize) -> RecordBatch {
        let numbers = (number * ROWS..(number + 1) * ROWS).map(|n| n as i64);
        let texts: StringViewArray = numbers.clone().map(|n| Some(format!("text {n}"))).collect();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        RecordBatch::try_from_iter([("n", numbers), ("text", Arc::new(texts))]).unwrap()
    }

    type Item = Result<RecordBatch, ArrowError>;

    async fn pieces(batches: impl Stream<Item = Item> + Send + Unpin) -> Vec<Item> {
        wire_rows(batches, wire_schema(), 2 << 20).collect().await
    }

    #[tokio::test]
    async fn what_lies_ready_leaves_together() {
        let batches = stream::iter((0..20).map(|number| Ok(batch(number))));
        let pieces: Vec<_> = pieces(batches)
            .await
            .into_iter()
            .map(Item::unwrap)
            .collect();
        // Some 190 kB each.
        assert_eq!(pieces.len(), 2);
        assert!(
            pieces
                .iter()
                .all(|piece| batch_bytes(piece).unwrap() <= TOGETHER_BYTES_MAX)
        );
        let got = concat_batches(&wire_schema(), &pieces).unwrap();
        let expected = (0..20).map(|number| {
            let pieces = to_wire(&batch(number), &wire_schema(), usize::MAX);
            pieces.unwrap().remove(0)
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(got, concat_batches(&wire_schema(), &expected).unwrap());
    }

    #[tokio::test]
    async fn nothing_waits_for_more_to_come() {
        let never = stream::once(std::future::pending());
        let batches = stream::iter([Ok(batch(0)), Ok(batch(1))]).chain(never.boxed());
        let mut rows = Box::pin(wire_rows(batches, wire_schema(), 2 << 20));
        let first: Item = rows.next().now_or_never().unwrap().unwrap();
        assert_eq!(first.unwrap().num_rows(), 2 * ROWS);
        assert!(rows.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_came_before_an_error_is_not_lost() {
        let failed = || Err(ArrowError::ComputeError("it broke".into()));
        let batches = [Ok(batch(0)), Ok(batch(1)), failed(), Ok(batch(2))];
        let pieces = pieces(stream::iter(batches)).await;
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[0].as_ref().unwrap().num_rows(), 2 * ROWS);
        assert!(pieces[1].is_err());
        let wrong = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let promised = pieces_of_wrong(wrong).await;
        assert!(promised.to_string().contains("were promised"), "{promised}");
    }

    async fn pieces_of_wrong(batch: RecordBatch) -> ArrowError {
        pieces(stream::iter([Ok(batch)]))
            .await
            .remove(0)
            .unwrap_err()
    }

    #[tokio::test]
    async fn large_batches_and_dictionaries_stay_alone() {
        let large = "x".repeat(3 << 20);
        let texts = StringArray::from_iter_values([large.as_str(), "y", "z"]);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let large = RecordBatch::try_from_iter([("n", numbers), ("text", Arc::new(texts))]);
        let large = large.unwrap();
        let batches = [Ok(batch(0)), Ok(large), Ok(batch(1))];
        let pieces = pieces(stream::iter(batches)).await;
        let rows = pieces
            .iter()
            .map(|piece| piece.as_ref().unwrap().num_rows());
        assert_eq!(rows.collect::<Vec<_>>(), [ROWS, 1, 2, ROWS]);

        // Together they have more values than their keys can tell apart.
        let words = |from: usize| {
            let words: Vec<_> = (from..from + 100).map(|n| n.to_string()).collect();
            let words: DictionaryArray<Int8Type> = words.iter().map(String::as_str).collect();
            RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap()
        };
        let schema = words(0).schema();
        let batches = stream::iter([Ok(words(0)), Ok(words(100))]);
        let pieces: Vec<Item> = wire_rows(batches, schema, 2 << 20).collect().await;
        assert_eq!(pieces.len(), 2);
    }
}
