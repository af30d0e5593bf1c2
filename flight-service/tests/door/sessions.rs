//! Logging in, staying, choosing options and leaving.

use crate::fixture::{Client, Fixture, eventually, query, status};
use arrow_flight::{Action, BasicAuth, HandshakeRequest};
use bytes::Bytes;
use futures::stream;
use prost::Message;
use skep_flight_service::DoorOptions;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Request};

/// Just enough of Flight's session messages, written down a second time.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(sfixed64, optional, tag = "3")]
    number: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Number {
    #[prost(int32, tag = "1")]
    value: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Errors {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, Number>,
}

fn text(value: &str) -> Value {
    Value {
        text: Some(value.into()),
        number: None,
    }
}

async fn act(client: &mut Client, name: &str, body: Vec<u8>) -> Bytes {
    let mut answer = client.do_action(Action::new(name, body)).await.unwrap();
    answer.message().await.unwrap().unwrap().body
}

#[tokio::test]
async fn a_login_opens_a_session_of_that_user_and_its_token_works_anywhere() {
    let fixture = Fixture::new().await;
    let first = fixture.client().await;
    let token = first.token().unwrap().clone();
    for _ in 0..2 {
        let mut other = fixture.stranger().await;
        other.set_token(token.clone());
        query(&mut other, "SELECT 1").await.unwrap();
    }
    // A token may come as a password, and logs in to the same session.
    let mut other = fixture.stranger().await;
    other.handshake("whoever", &token).await.unwrap();
    assert_eq!(other.token(), Some(&token));
    assert_eq!(*fixture.engine.users.lock(), ["ada"]);
}

#[tokio::test]
async fn older_handshakes_get_the_token_in_the_payload() {
    let fixture = Fixture::new().await;
    let mut client = fixture.stranger().await;
    let login = BasicAuth {
        username: "grace".into(),
        password: "secret".into(),
    };
    for payload in [login.encode_to_vec(), vec![]] {
        let request = HandshakeRequest {
            protocol_version: 0,
            payload: payload.into(),
        };
        let response = client.inner_mut().handshake(stream::iter([request])).await;
        let mut answers = response.unwrap().into_inner();
        let token = answers.message().await.unwrap().unwrap().payload;
        let mut other = fixture.stranger().await;
        let mut request = Request::new(Action::new("GetSessionOptions", ""));
        let value = tonic::metadata::MetadataValue::from_bytes(&token);
        request.metadata_mut().insert_bin("auth-token-bin", value);
        other.inner_mut().do_action(request).await.unwrap();
    }
    assert_eq!(*fixture.engine.users.lock(), ["grace", "anonymous"]);
}

#[tokio::test]
async fn an_unknown_token_and_garbled_credentials_are_refused() {
    let fixture = Fixture::new().await;
    for header in ["Bearer 0123", "Basic ???", "Negotiate abc"] {
        let mut client = fixture.stranger().await;
        client.set_header("authorization", header);
        let error = status(query(&mut client, "SELECT 1").await.unwrap_err());
        assert_eq!(error.code(), Code::Unauthenticated, "{header}");
    }
    assert!(fixture.engine.users.lock().is_empty());
}

#[tokio::test]
async fn callers_without_a_token_have_a_session_per_connection_and_user() {
    let fixture = Fixture::new().await;
    let mut first = fixture.stranger().await;
    query(&mut first, "SELECT 1").await.unwrap();
    query(&mut first, "SELECT 1").await.unwrap();
    let mut second = fixture.stranger().await;
    query(&mut second, "SELECT 1").await.unwrap();
    assert_eq!(*fixture.engine.users.lock(), ["anonymous", "anonymous"]);
    // Basic with every call: ada:x
    second.set_header("authorization", "Basic YWRhOng=");
    query(&mut second, "SELECT 1").await.unwrap();
    query(&mut second, "SELECT 1").await.unwrap();
    assert_eq!(
        *fixture.engine.users.lock(),
        ["anonymous", "anonymous", "ada"]
    );
}

#[tokio::test]
async fn options_are_set_and_read_as_sql() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let number = Value {
        text: None,
        number: Some(5),
    };
    let request = Options {
        options: HashMap::from([
            ("schema".to_owned(), text("sales")),
            ("catalog".to_owned(), text("skep")),
            ("skep.limit".to_owned(), number),
            ("no name".to_owned(), text("x")),
        ]),
    };
    let body = act(&mut client, "SetSessionOptions", request.encode_to_vec()).await;
    let errors = Errors::decode(body).unwrap().errors;
    assert_eq!(
        errors,
        HashMap::from([("no name".to_owned(), Number { value: 1 })])
    );
    assert_eq!(fixture.runs("USE `sales`"), 1);
    assert_eq!(fixture.runs("SET skep.limit = '5'"), 1);
    let request = Options {
        options: HashMap::from([("catalog".to_owned(), text("elsewhere"))]),
    };
    let body = act(&mut client, "SetSessionOptions", request.encode_to_vec()).await;
    assert_eq!(Errors::decode(body).unwrap().errors["catalog"].value, 2);
    let body = act(&mut client, "GetSessionOptions", vec![]).await;
    let options = Options::decode(body).unwrap().options;
    assert_eq!(options["catalog"], text("skep"));
    assert_eq!(options["schema"], text("sales"));
    assert_eq!(options["skep.b"], text("two"));
}

#[tokio::test]
async fn a_closed_session_is_gone_with_its_results() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    client.execute("SELECT forever".into(), None).await.unwrap();
    let body = act(&mut client, "CloseSession", vec![]).await;
    assert_eq!(Number::decode(body).unwrap().value, 1);
    let streams = &fixture.engine.streams;
    assert_eq!(streams.load(std::sync::atomic::Ordering::SeqCst), 0);
    let error = status(query(&mut client, "SELECT 1").await.unwrap_err());
    assert_eq!(error.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn idle_sessions_end_and_busy_ones_do_not() {
    let fixture = Fixture::with(DoorOptions {
        session_idle_max: Duration::from_millis(200),
        sweep_interval: Duration::from_millis(10),
        ..DoorOptions::default()
    })
    .await;
    let mut busy = fixture.client().await;
    let info = busy.execute("SELECT forever".into(), None).await.unwrap();
    let _rows = busy.do_get(crate::fixture::ticket(&info)).await.unwrap();
    let mut idle = fixture.client().await;
    let engine = fixture.engine.clone();
    let is_open = move |number: usize| {
        use skep_coordinator::service::{QueryService, SessionId};
        engine.has_session(&SessionId(format!("session {number}")))
    };
    eventually("the idle session ends", || !is_open(1)).await;
    assert!(
        is_open(0),
        "a session whose rows are being read is not idle"
    );
    let error = status(query(&mut idle, "SELECT 1").await.unwrap_err());
    assert_eq!(error.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn sessions_are_bounded() {
    let fixture = Fixture::with(DoorOptions {
        sessions_max: 1,
        ..DoorOptions::default()
    })
    .await;
    let mut first = fixture.client().await;
    let mut second = fixture.stranger().await;
    let error = status(query(&mut second, "SELECT 1").await.unwrap_err());
    assert_eq!(error.code(), Code::ResourceExhausted);
    query(&mut first, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_the_login_and_with_every_call() {
    let fixture = Fixture::new().await;
    let mut client = fixture.stranger().await;
    let error = client.handshake("ada", "wrong").await.unwrap_err();
    assert!(error.to_string().contains("wrong"), "{error}");
    // ada:wrong
    client.set_header("authorization", "Basic YWRhOndyb25n");
    let error = status(query(&mut client, "SELECT 1").await.unwrap_err());
    assert_eq!(error.code(), Code::Unauthenticated);
    assert!(fixture.engine.users.lock().is_empty());
}

#[tokio::test]
async fn a_token_opens_a_session_where_it_was_not_issued_and_none_that_was_closed() {
    let fixture = Fixture::new().await;
    let mut elsewhere = fixture.stranger().await;
    elsewhere.set_token("ada/4711".into());
    query(&mut elsewhere, "SELECT 1").await.unwrap();
    query(&mut elsewhere, "SELECT 1").await.unwrap();
    assert_eq!(*fixture.engine.users.lock(), ["ada"]);
    act(&mut elsewhere, "CloseSession", vec![]).await;
    let error = status(query(&mut elsewhere, "SELECT 1").await.unwrap_err());
    assert_eq!(error.code(), Code::Unauthenticated);
    assert_eq!(*fixture.engine.users.lock(), ["ada"]);
}

#[tokio::test]
async fn whoever_may_not_go_on_loses_the_session_and_its_queries() {
    let fixture = Fixture::with(DoorOptions {
        sweep_interval: Duration::from_millis(10),
        ..DoorOptions::default()
    })
    .await;
    let mut client = fixture.client().await;
    client.execute("SELECT forever".into(), None).await.unwrap();
    fixture.engine.gone.lock().insert("ada".to_owned());
    let error = status(query(&mut client, "SELECT 1").await.unwrap_err());
    assert_eq!(error.code(), Code::Unauthenticated);
    let streams = fixture.engine.streams.clone();
    let ended = || streams.load(std::sync::atomic::Ordering::SeqCst) == 0;
    eventually("the query ends", ended).await;
}
