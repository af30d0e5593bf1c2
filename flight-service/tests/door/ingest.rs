//! Bulk ingest at the door.

use crate::fixture::{Fixture, query_error};
use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringViewArray};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::stream;
use skep_protocol::ErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn append(table: &str) -> CommandStatementIngest {
    CommandStatementIngest {
        table: table.into(),
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Fail.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        ..Default::default()
    }
}

fn batch() -> RecordBatch {
    let views = StringViewArray::from(vec![Some("longer than twelve bytes"), None]);
    let words: DictionaryArray<Int32Type> = vec!["x", "y"].into_iter().collect();
    RecordBatch::try_from_iter([
        ("v", Arc::new(views) as ArrayRef),
        ("d", Arc::new(words) as ArrayRef),
    ])
    .unwrap()
}

#[tokio::test]
async fn rows_reach_the_engine_in_plain_types() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let command = CommandStatementIngest {
        schema: Some("sales".into()),
        catalog: Some("skep".into()),
        ..append("t")
    };
    let batches = stream::iter([Ok(batch()), Ok(batch())]);
    assert_eq!(client.execute_ingest(command, batches).await.unwrap(), 4);
    let submitted = fixture.engine.submitted.lock();
    let (shown, _) = submitted.last().unwrap();
    assert!(
        shown.contains("database: Some(\"sales\"), table: \"t\""),
        "{shown}"
    );
    assert_eq!(shown.matches("data_type: Utf8,").count(), 2, "{shown}");
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_name() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let in_a_transaction = CommandStatementIngest {
        transaction_id: Some(vec![1].into()),
        ..append("t")
    };
    let elsewhere = CommandStatementIngest {
        catalog: Some("other".into()),
        ..append("t")
    };
    let unsure = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions::default()),
        ..append("t")
    };
    for (command, code, named) in [
        (in_a_transaction, ErrorCode::Unsupported, "transaction"),
        (elsewhere, ErrorCode::DatabaseNotFound, "'other'"),
        (unsure, ErrorCode::InvalidArgument, "if_not_exist"),
    ] {
        let batches = stream::iter([Ok(batch())]);
        let error = client.execute_ingest(command, batches).await.unwrap_err();
        let error = query_error(error);
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(named), "{error}");
    }
}

#[tokio::test]
async fn a_client_waits_for_an_engine_that_does_not_read() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
    let large = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let batches = stream::repeat_with(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(large.clone())
    });
    let sending = client.execute_ingest(append("slow"), batches);
    let ended = tokio::time::timeout(Duration::from_secs(1), sending).await;
    assert!(ended.is_err(), "nobody reads");
    // 0.8 MB each: what the connection's windows and buffers hold, and no more.
    let sent = sent.load(Ordering::Relaxed);
    assert!((1..64).contains(&sent), "{sent} batches left the client");
}
