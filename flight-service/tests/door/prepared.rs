//! Prepared statements over the wire.

use crate::fixture::{Fixture, fetch, query_error};
use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, CommandPreparedStatementQuery, ProstMessageExt,
};
use arrow_flight::{Action, FlightDescriptor};
use datafusion::scalar::ScalarValue;
use prost::Message;
use skep_protocol::ErrorCode;
use std::sync::Arc;

fn ints(values: impl Into<Int64Array>) -> RecordBatch {
    RecordBatch::try_from_iter([("1", Arc::new(values.into()) as ArrayRef)]).unwrap()
}

#[tokio::test]
async fn a_query_takes_its_parameters_and_may_run_again() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let mut prepared = client.prepare("SELECT $1".into(), None).await.unwrap();
    assert_eq!(prepared.parameter_schema().unwrap().fields().len(), 1);
    for value in [7, 8] {
        prepared.set_parameters(ints(vec![value])).unwrap();
        let info = prepared.execute().await.unwrap();
        let batches = fetch(&mut client, &info).await.unwrap();
        assert_eq!(
            batches[0].column(0).as_primitive::<Int64Type>().value(0),
            value
        );
    }
    // Another type than the plan's, and null, reach the engine as they are.
    let text: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    prepared
        .set_parameters(RecordBatch::try_from_iter([("1", text)]).unwrap())
        .unwrap();
    prepared.execute().await.unwrap();
    let submitted = fixture.engine.submitted.lock().clone();
    assert_eq!(submitted.last().unwrap().1, [ScalarValue::Utf8(None)]);
}

#[tokio::test]
async fn parameters_of_the_wrong_number_are_refused() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let mut prepared = client.prepare("SELECT $1".into(), None).await.unwrap();
    let error = query_error(prepared.execute().await.unwrap_err());
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert!(error.message.contains("none are bound"), "{error}");
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let two = RecordBatch::try_from_iter([("1", column.clone()), ("2", column)]).unwrap();
    for wrong in [two, ints(Vec::<i64>::new())] {
        prepared.set_parameters(wrong).unwrap();
        let error = query_error(prepared.execute().await.unwrap_err());
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{error}");
    }
    assert_eq!(fixture.runs("SELECT $1"), 0);
}

#[tokio::test]
async fn a_query_runs_once_per_row_and_its_results_follow_one_another() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let mut prepared = client.prepare("SELECT $1".into(), None).await.unwrap();
    prepared.set_parameters(ints(vec![3, 1, 2])).unwrap();
    let info = prepared.execute().await.unwrap();
    assert_eq!(fixture.runs("SELECT $1"), 1, "the others wait");
    let batches = fetch(&mut client, &info).await.unwrap();
    let columns = batches
        .iter()
        .map(|batch| batch.column(0).as_primitive::<Int64Type>());
    let values: Vec<_> = columns
        .flat_map(|column| column.values().to_vec())
        .collect();
    assert_eq!(values, [3, 1, 2]);
    assert_eq!(fixture.runs("SELECT $1"), 3);
}

#[tokio::test]
async fn a_command_runs_once_per_row() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let sql = "INSERT INTO t VALUES ($1)";
    let mut prepared = client.prepare(sql.into(), None).await.unwrap();
    assert!(prepared.dataset_schema().unwrap().fields().is_empty());
    prepared
        .set_parameters(ints(vec![Some(1), None, Some(3)]))
        .unwrap();
    assert_eq!(prepared.execute_update().await.unwrap(), 9);
    let values: Vec<_> = fixture
        .engine
        .submitted
        .lock()
        .iter()
        .map(|(_, parameters)| parameters[0].clone())
        .collect();
    let expected = [Some(1), None, Some(3)].map(ScalarValue::Int64);
    assert_eq!(values, expected);
    prepared.set_parameters(ints(Vec::<i64>::new())).unwrap();
    assert_eq!(prepared.execute_update().await.unwrap(), 0);
}

#[tokio::test]
async fn a_command_runs_on_the_query_path_too() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let mut prepared = client.prepare("CREATE TABLE t".into(), None).await.unwrap();
    let info = prepared.execute().await.unwrap();
    assert!(fetch(&mut client, &info).await.unwrap().is_empty());
    assert_eq!(fixture.runs("CREATE TABLE t"), 1);
    assert_eq!(prepared.execute_update().await.unwrap(), 0);
    assert_eq!(fixture.runs("CREATE TABLE t"), 2);
}

#[tokio::test]
async fn a_closed_statement_is_gone_and_a_foreign_one_was_never_there() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let mut other = fixture.client().await;
    let request = arrow_flight::sql::ActionCreatePreparedStatementRequest {
        query: "SELECT 1".into(),
        transaction_id: None,
    };
    let action = Action::new("CreatePreparedStatement", request.as_any().encode_to_vec());
    let mut answer = client.do_action(action).await.unwrap();
    let body = answer.message().await.unwrap().unwrap().body;
    let any = arrow_flight::sql::Any::decode(body).unwrap();
    let created: arrow_flight::sql::ActionCreatePreparedStatementResult =
        any.unpack().unwrap().unwrap();
    let handle = created.prepared_statement_handle;
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: handle.clone(),
    };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = |token: Option<&String>| {
        let mut request = tonic::Request::new(descriptor.clone());
        let value = format!("Bearer {}", token.unwrap()).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    };
    let mine = info(client.token());
    client.inner_mut().get_flight_info(mine).await.unwrap();
    let foreign = info(other.token());
    let status = other
        .inner_mut()
        .get_flight_info(foreign)
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let close = ActionClosePreparedStatementRequest {
        prepared_statement_handle: handle,
    };
    let action = Action::new("ClosePreparedStatement", close.as_any().encode_to_vec());
    let mut answer = client.do_action(action).await.unwrap();
    assert!(answer.message().await.unwrap().is_none());
    let mine = info(client.token());
    let status = client.inner_mut().get_flight_info(mine).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}
