//! Queries and commands that are not prepared.

use crate::fixture::{Fixture, fetch, query, query_error, ticket};
use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightInfo, IpcMessage};
use futures::TryStreamExt;
use prost::Message;
use serde_json::Value;
use skep_protocol::{ErrorCode, QueryId};

fn metadata(info: &FlightInfo) -> Value {
    serde_json::from_slice(&info.app_metadata).unwrap()
}

fn descriptor(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery {
        query: sql.into(),
        transaction_id: None,
    };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

#[tokio::test]
async fn a_query_returns_its_rows_and_says_its_id() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute("SELECT 1".into(), None).await.unwrap();
    let metadata = metadata(&info);
    assert_eq!(metadata["returns_rows"], true);
    assert_eq!(metadata["affected_rows"], Value::Null);
    metadata["query_id"]
        .as_str()
        .unwrap()
        .parse::<QueryId>()
        .unwrap();
    assert!(info.endpoint[0].location.is_empty());
    let batches = fetch(&mut client, &info).await.unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 1);
    assert_eq!(fixture.runs("SELECT 1"), 1);
}

#[tokio::test]
async fn all_calls_tell_one_schema_and_views_are_plain() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    for sql in ["SELECT 1", "SELECT views"] {
        let info = client.execute(sql.into(), None).await.unwrap();
        let promised = info.clone().try_decode_schema().unwrap();
        let rows = client.do_get(ticket(&info)).await.unwrap();
        let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
        assert_eq!(*batches[0].schema(), promised, "{sql}: DoGet");
        let prepared = client.prepare(sql.into(), None).await.unwrap();
        assert_eq!(
            *prepared.dataset_schema().unwrap(),
            promised,
            "{sql}: prepared"
        );
        let asked = client
            .inner_mut()
            .get_schema(descriptor(sql))
            .await
            .unwrap();
        let asked = Schema::try_from(IpcMessage(asked.into_inner().schema)).unwrap();
        assert_eq!(asked, promised, "{sql}: GetSchema");
        if sql == "SELECT views" {
            assert!(
                promised
                    .fields()
                    .iter()
                    .all(|field| *field.data_type() == DataType::Utf8)
            );
            let column = batches[0].column(0).as_string::<i32>();
            assert_eq!(column.value(0), "a string that is not inlined");
        }
    }
    assert_eq!(fixture.runs("SELECT views"), 1, "GetSchema ran the query");
}

#[tokio::test]
async fn a_command_runs_exactly_once_on_either_path() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute("CREATE TABLE t".into(), None).await.unwrap();
    assert_eq!(metadata(&info)["returns_rows"], false);
    assert_eq!(metadata(&info)["affected_rows"], Value::Null);
    assert!(
        info.clone()
            .try_decode_schema()
            .unwrap()
            .fields()
            .is_empty()
    );
    // Clients that fetch whatever happens get nothing, and run nothing.
    assert!(fetch(&mut client, &info).await.unwrap().is_empty());
    assert!(fetch(&mut client, &info).await.unwrap().is_empty());
    assert_eq!(fixture.runs("CREATE TABLE t"), 1);

    let info = client.execute("INSERT INTO t".into(), None).await.unwrap();
    assert_eq!(metadata(&info)["affected_rows"], 3);
    let rows = client.execute_update("INSERT INTO t".into(), None).await;
    assert_eq!(rows.unwrap(), 3);
    assert_eq!(fixture.runs("INSERT INTO t"), 2);
    let rows = client.execute_update("DROP TABLE t".into(), None).await;
    assert_eq!(rows.unwrap(), 0);
}

#[tokio::test]
async fn an_update_that_returns_rows_is_refused_and_cancelled() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let error = client
        .execute_update("SELECT forever".into(), None)
        .await
        .unwrap_err();
    let error = query_error(error);
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert!(error.query_id.is_some());
    assert_eq!(
        fixture
            .engine
            .streams
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[tokio::test]
async fn large_results_fit_into_the_messages_that_clients_accept() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    // The client refuses messages above 4 MiB; the engine's one batch has 20 MB.
    let batches = query(&mut client, "SELECT fat").await.unwrap();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 2_000);
    assert!(batches.len() > 5);
}

#[tokio::test]
async fn polling_answers_at_once() {
    let fixture = Fixture::new().await;
    let mut client = fixture.stranger().await;
    let poll = client
        .inner_mut()
        .poll_flight_info(descriptor("SELECT 1"))
        .await
        .unwrap()
        .into_inner();
    assert!(poll.flight_descriptor.is_none(), "nothing more to poll for");
    let batches = fetch(&mut client, &poll.info.unwrap()).await.unwrap();
    assert_eq!(batches[0].num_rows(), 1);
}

#[tokio::test]
async fn polling_waits_for_the_first_rows_and_says_how_far_it_is() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let token = format!("Bearer {}", client.token().unwrap());
    let mut asked = Some(descriptor("SELECT slow"));
    let mut polls = 0;
    let mut last = None;
    while let Some(next) = asked.take() {
        let mut request = tonic::Request::new(next);
        let header = token.parse().unwrap();
        request.metadata_mut().insert("authorization", header);
        let poll = client.inner_mut().poll_flight_info(request).await.unwrap();
        let poll = poll.into_inner();
        polls += 1;
        let info = poll.info.clone().unwrap();
        assert_eq!(info.endpoint.is_empty(), poll.flight_descriptor.is_some());
        assert_eq!(poll.progress == Some(1.0), poll.flight_descriptor.is_none());
        asked = poll.flight_descriptor;
        last = Some(info);
    }
    assert!(polls > 1, "the first rows take a while");
    assert_eq!(fixture.runs("SELECT slow"), 1);
    let rows = fetch(&mut client, &last.unwrap()).await.unwrap();
    assert_eq!(rows[0].num_rows(), 1);
}
