//! Every way in which a query ends before its rows do.

use crate::fixture::{Fixture, eventually, query_error, ticket};
use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Any, ProstMessageExt};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint,
    FlightInfo, RenewFlightEndpointRequest,
};
use bytes::Bytes;
use futures::StreamExt;
use prost::Message;
use skep_flight_service::DoorOptions;
use skep_protocol::ErrorCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fixture::Client;

const FOREVER: &str = "SELECT forever";

async fn act(client: &mut Client, name: &str, body: Vec<u8>) -> Bytes {
    let mut answer = client.do_action(Action::new(name, body)).await.unwrap();
    answer.message().await.unwrap().unwrap().body
}

async fn cancel(client: &mut Client, info: &FlightInfo) -> i32 {
    let request = CancelFlightInfoRequest::new(info.clone());
    let body = act(client, "CancelFlightInfo", request.encode_to_vec()).await;
    CancelFlightInfoResult::decode(body).unwrap().status
}

#[tokio::test]
async fn dropping_the_rows_drops_the_query() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute(FOREVER.into(), None).await.unwrap();
    let mut rows = client.do_get(ticket(&info)).await.unwrap();
    // As many of its batches as lay ready.
    let first = rows.next().await.unwrap().unwrap();
    assert!(first.num_rows() > 0 && first.num_rows() % 1_000 == 0);
    let streams = fixture.engine.streams.clone();
    assert_eq!(streams.load(Ordering::SeqCst), 1);
    drop(rows);
    eventually("the row stream is dropped", || {
        streams.load(Ordering::SeqCst) == 0
    })
    .await;
    let error = query_error(client.do_get(ticket(&info)).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::HandleNotFound);
}

#[tokio::test]
async fn a_vanished_client_drops_the_query() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute(FOREVER.into(), None).await.unwrap();
    let mut rows = client.do_get(ticket(&info)).await.unwrap();
    rows.next().await.unwrap().unwrap();
    drop((rows, client));
    let streams = fixture.engine.streams.clone();
    eventually("the row stream is dropped", || {
        streams.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test]
async fn both_cancel_actions_reach_the_engine() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute(FOREVER.into(), None).await.unwrap();
    assert_eq!(
        cancel(&mut client, &info).await,
        CancelStatus::Cancelled as i32
    );
    // Also while the rows are being read.
    let _rows = client.do_get(ticket(&info)).await.unwrap();
    let request = ActionCancelQueryRequest {
        info: info.encode_to_vec().into(),
    };
    let body = act(&mut client, "CancelQuery", request.as_any().encode_to_vec()).await;
    let result: ActionCancelQueryResult = Any::decode(body).unwrap().unpack().unwrap().unwrap();
    assert_eq!(result.result, CancelStatus::Cancelled as i32);
    assert_eq!(fixture.engine.cancelled.lock().len(), 2);
}

#[tokio::test]
async fn nobody_cancels_for_somebody_else() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute(FOREVER.into(), None).await.unwrap();
    let mut other = fixture.client().await;
    assert_eq!(
        cancel(&mut other, &info).await,
        CancelStatus::NotCancellable as i32
    );
    assert_eq!(
        cancel(&mut client, &FlightInfo::new()).await,
        CancelStatus::NotCancellable as i32
    );
    assert!(fixture.engine.cancelled.lock().is_empty());
}

#[tokio::test]
async fn a_result_that_nobody_fetches_is_cancelled_in_time() {
    let fixture = Fixture::with(DoorOptions {
        pending_result_wait_max: Duration::from_millis(50),
        sweep_interval: Duration::from_millis(10),
        ..DoorOptions::default()
    })
    .await;
    let mut client = fixture.client().await;
    let info = client.execute(FOREVER.into(), None).await.unwrap();
    let streams = fixture.engine.streams.clone();
    eventually("the row stream is dropped", || {
        streams.load(Ordering::SeqCst) == 0
    })
    .await;
    let reason = fixture.engine.cancelled.lock()[0].1.clone();
    assert_eq!(reason, "its result was not fetched in time");
    let error = query_error(client.do_get(ticket(&info)).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::HandleNotFound);
}

#[tokio::test]
async fn renewing_tells_the_new_expiry_and_only_for_results_that_wait() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute(FOREVER.into(), None).await.unwrap();
    let request = RenewFlightEndpointRequest::new(info.endpoint[0].clone());
    let body = act(&mut client, "RenewFlightEndpoint", request.encode_to_vec()).await;
    let endpoint = FlightEndpoint::decode(body).unwrap();
    assert!(endpoint.expiration_time.unwrap().seconds > chrono::Utc::now().timestamp());
    let _rows = client.do_get(ticket(&info)).await.unwrap();
    let action = Action::new("RenewFlightEndpoint", request.encode_to_vec());
    let error = query_error(client.do_action(action).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::HandleNotFound);
}

#[tokio::test]
async fn waiting_results_are_bounded() {
    let fixture = Fixture::with(DoorOptions {
        pending_results_max: 1,
        ..DoorOptions::default()
    })
    .await;
    let mut client = fixture.client().await;
    let info = client.execute("SELECT 1".into(), None).await.unwrap();
    let status = crate::fixture::status(client.execute("SELECT 1".into(), None).await.unwrap_err());
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(
        fixture.runs("SELECT 1"),
        1,
        "the refused query did not start"
    );
    crate::fixture::fetch(&mut client, &info).await.unwrap();
    client.execute("SELECT 1".into(), None).await.unwrap();
}
