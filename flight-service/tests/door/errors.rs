//! Errors reach clients as they are, and nonsense is answered.

use crate::engine::{executor_lost, table_not_found};
use crate::fixture::{Fixture, fetch, query, query_error, status, ticket};
use arrow_flight::sql::{CommandStatementIngest, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{Action, Criteria, FlightDescriptor, Ticket};
use futures::TryStreamExt;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use skep_protocol::{ErrorCode, QueryError};
use tonic::Code;

#[tokio::test]
async fn an_error_keeps_its_code_its_place_and_its_node() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let error = client
        .execute("SELECT nowhere".into(), None)
        .await
        .unwrap_err();
    assert_eq!(query_error(error), table_not_found());
    let error = client
        .prepare("SELECT nowhere".into(), None)
        .await
        .unwrap_err();
    let status = status(error);
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(QueryError::from_status(&status), table_not_found());
}

#[tokio::test]
async fn an_error_amid_the_rows_follows_them_and_names_its_query() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute("SELECT broken".into(), None).await.unwrap();
    let mut rows = client.do_get(ticket(&info)).await.unwrap();
    assert_eq!(rows.try_next().await.unwrap().unwrap().num_rows(), 1);
    let error = query_error(rows.try_next().await.unwrap_err());
    let query_id = error.query_id.clone().unwrap();
    assert_eq!(error, executor_lost().of_query(query_id));
    assert!(error.retryable);
    drop(rows);
    // The connection serves on.
    query(&mut client, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn handles_work_once_and_for_their_session() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let info = client.execute("SELECT 1".into(), None).await.unwrap();
    let mut other = fixture.client().await;
    let error = query_error(fetch(&mut other, &info).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::HandleNotFound);
    let mut altered = info.clone();
    let mut bytes = ticket(&info).ticket.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    altered.endpoint[0].ticket = Some(Ticket::new(bytes));
    let error = query_error(fetch(&mut client, &altered).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::HandleNotFound);
    fetch(&mut client, &info).await.unwrap();
    let error = status(fetch(&mut client, &info).await.unwrap_err());
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn what_is_not_supported_says_so() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let ingest = CommandStatementIngest::default().as_any().encode_to_vec();
    let info = client
        .inner_mut()
        .get_flight_info(FlightDescriptor::new_cmd(ingest.clone()))
        .await
        .unwrap_err();
    assert_eq!(info.code(), Code::Unimplemented);
    let message = arrow_flight::FlightData {
        flight_descriptor: Some(FlightDescriptor::new_cmd(ingest)),
        ..Default::default()
    };
    let put = client.do_put(futures::stream::iter([message])).await;
    // It names no table.
    assert_eq!(status(put.unwrap_err()).code(), Code::InvalidArgument);
    let action = client.do_action(Action::new("BeginTransaction", "")).await;
    assert_eq!(status(action.unwrap_err()).code(), Code::Unimplemented);
    let flights = client.inner_mut().list_flights(Criteria::default()).await;
    assert_eq!(flights.unwrap_err().code(), Code::Unimplemented);
    let transaction = client
        .execute("SELECT 1".into(), Some("t".into()))
        .await
        .unwrap_err();
    assert_eq!(status(transaction).code(), Code::Unimplemented);
    assert_eq!(fixture.runs("SELECT 1"), 0);
}

#[tokio::test]
async fn random_tickets_commands_and_actions_are_the_clients_mistake() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let mut random = StdRng::seed_from_u64(4);
    let harmless = [Code::InvalidArgument, Code::Unimplemented, Code::NotFound];
    for _ in 0..300 {
        let length = random.random_range(0..40);
        let bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
        let handle = TicketStatementQuery {
            statement_handle: bytes.clone().into(),
        };
        for ticket in [bytes.clone(), handle.as_any().encode_to_vec()] {
            let error = status(client.do_get(Ticket::new(ticket)).await.unwrap_err());
            assert!(harmless.contains(&error.code()), "{bytes:?}: {error:?}");
        }
        let descriptor = FlightDescriptor::new_cmd(bytes.clone());
        let error = client.inner_mut().get_flight_info(descriptor).await;
        let error = error.unwrap_err();
        assert!(harmless.contains(&error.code()), "{bytes:?}: {error:?}");
        let action = Action::new("CreatePreparedStatement", bytes.clone());
        let error = status(client.do_action(action).await.unwrap_err());
        assert!(harmless.contains(&error.code()), "{bytes:?}: {error:?}");
    }
    query(&mut client, "SELECT 1").await.unwrap();
}
