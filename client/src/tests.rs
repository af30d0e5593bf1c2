//! The client against a server that answers as Skep's does.

mod server;

use crate::{Client, ClientError, ClientOptions, Table};
use server::{numbers, serve, serve_with};
use skep_protocol::{ErrorCode, Position};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tonic::transport::{Identity, ServerTlsConfig};

fn ann() -> ClientOptions {
    ClientOptions {
        user: "ann".to_owned(),
        password: Some("secret".to_owned()),
        ..ClientOptions::default()
    }
}

fn code_of(error: &ClientError) -> ErrorCode {
    error
        .query_error()
        .unwrap_or_else(|| panic!("not the server's error: {error:?}"))
        .code
}

#[tokio::test]
async fn a_query_returns_its_id_schema_and_compressed_rows() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    let result = client.execute("select").await.unwrap();
    assert_eq!(result.query_id.as_deref(), Some("q1"));
    assert_eq!(result.schema, numbers().schema());
    assert!(result.returns_rows());
    assert_eq!(result.collect().await.unwrap(), [numbers(), numbers()]);
    assert_eq!(server.seen.handshakes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_command_runs_once_and_returns_no_rows() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    let mut result = client.execute("insert").await.unwrap();
    assert_eq!(result.affected_rows, Some(7));
    assert!(!result.returns_rows());
    assert!(result.next_batch().await.unwrap().is_none());
    assert_eq!(*server.seen.statements.lock().unwrap(), ["insert"]);
    assert_eq!(client.execute_update("update").await.unwrap(), 42);
}

#[tokio::test]
async fn errors_arrive_typed_at_once_and_in_mid_stream() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    let error = client.execute("select * from x").await.unwrap_err();
    assert_eq!(code_of(&error), ErrorCode::TableNotFound);
    let position = error.query_error().unwrap().position;
    assert_eq!(
        position,
        Some(Position {
            line: 1,
            column: 15
        })
    );

    let mut result = client.execute("breaks").await.unwrap();
    assert!(result.next_batch().await.unwrap().is_some());
    let error = result.next_batch().await.unwrap_err();
    assert_eq!(
        (code_of(&error), error.exit_code()),
        (ErrorCode::ExecutorLost, 1)
    );
}

#[tokio::test]
async fn a_result_in_several_endpoints_is_never_read_in_part() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    let error = client.execute("two endpoints").await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn dropping_a_result_reaches_the_server() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    let mut result = client.execute("forever").await.unwrap();
    assert!(result.next_batch().await.unwrap().is_some());
    drop(result);
    let noticed = async {
        while !server.seen.stream_dropped.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed)
        .await
        .unwrap();
}

#[tokio::test]
async fn cancelling_tells_whether_there_was_a_query() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    assert!(client.cancel("it's").await.unwrap());
    assert!(!client.cancel("gone").await.unwrap());
}

#[tokio::test]
async fn metadata_calls_name_databases_and_tables() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    assert_eq!(client.databases().await.unwrap(), ["a", "b"]);
    let table = Table {
        database: "my_db".into(),
        name: "t".into(),
        table_type: "VIEW".into(),
    };
    assert_eq!(client.tables(Some("my_db")).await.unwrap(), [table]);
}

#[tokio::test]
async fn closing_ends_the_session() {
    let server = serve().await;
    let client = Client::connect(&server.url, ann()).await.unwrap();
    client.close().await.unwrap();
    assert!(server.seen.closed.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_wrong_password_and_an_absent_server_are_told_apart() {
    let mut server = serve().await;
    let wrong = ClientOptions {
        password: Some("guess".to_owned()),
        ..ann()
    };
    let error = Client::connect(&server.url, wrong).await.unwrap_err();
    assert!(matches!(error, ClientError::Login(_)), "{error:?}");
    assert_eq!(error.exit_code(), 2);

    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    server.stop().await;
    let error = Client::connect(&server.url, ann()).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .to_lowercase()
            .contains("connection refused"),
        "{error}"
    );
    let error = client.execute("select").await.unwrap_err();
    assert!(error.ends_session(), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("flight://{}", listener.local_addr().unwrap());
    let options = ClientOptions {
        connect_timeout: Duration::from_millis(100),
        ..ann()
    };
    let error = Client::connect(&url, options).await.unwrap_err();
    assert!(
        error.to_string().contains("no answer within 100 ms"),
        "{error}"
    );
}

#[tokio::test]
async fn the_token_and_the_password_are_never_printed() {
    let server = serve().await;
    let client = Client::connect(&server.url, ann()).await.unwrap();
    let printed = format!("{client:?} {:?}", ann());
    assert!(
        !printed.contains("token-of") && !printed.contains("secret"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_prepared_statement_takes_its_values_as_text() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    let result = client
        .execute_with("select $1", &[Some("42".to_owned())])
        .await;
    assert_eq!(result.unwrap().collect().await.unwrap().len(), 2);
    let error = client
        .execute_with("select $1", &[Some("x".to_owned())])
        .await
        .unwrap_err();
    assert_eq!(code_of(&error), ErrorCode::InvalidArgument);
    assert_eq!(error.exit_code(), 1);
}

#[tokio::test]
async fn progress_is_read_whatever_a_newer_server_says_besides() {
    let server = serve().await;
    let mut client = Client::connect(&server.url, ann()).await.unwrap();
    let progress = client.progress().await.unwrap();
    assert_eq!(progress.len(), 1);
    assert_eq!(
        (progress[0].state.as_str(), progress[0].tasks),
        ("RUNNING", 4)
    );
}

/// A certificate for this host, its key, and the authority that signed it, or nothing, loudly, where
/// `openssl` is missing.
fn certificate() -> Option<[Vec<u8>; 3]> {
    let directory = tempfile::tempdir().unwrap();
    let script = "
        set -e
        new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
        openssl req -x509 $new -keyout ca.key -out ca.pem -days 2 -subj /CN=tests
        openssl req $new -keyout key.pem -out request.pem -subj /CN=localhost
        echo subjectAltName=IP:127.0.0.1 > names
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial \\
            -out certificate.pem -days 2 -extfile names";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(directory.path())
        .output()
        .unwrap();
    if !output.status.success() {
        eprintln!("skipped: openssl cannot make a certificate: {output:?}");
        return None;
    }
    let files = ["certificate.pem", "key.pem", "ca.pem"];
    Some(files.map(|name| std::fs::read(directory.path().join(name)).unwrap()))
}

#[tokio::test]
async fn tls_trusts_the_authority_that_was_named_and_no_other() {
    let (Some([certificate, key, authority]), Some([_, _, other])) = (certificate(), certificate())
    else {
        return;
    };
    let identity = Identity::from_pem(certificate, key);
    let server = serve_with(Some(ServerTlsConfig::new().identity(identity))).await;
    let trusting = |authority: Option<Vec<u8>>| ClientOptions {
        ca_certificate_pem: authority,
        ..ann()
    };
    let mut client = Client::connect(&server.url, trusting(Some(authority)))
        .await
        .unwrap();
    assert!(client.execute("select").await.is_ok());
    for authority in [Some(other), None] {
        let error = Client::connect(&server.url, trusting(authority))
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    let plain = server.url.replace("flights://", "flight://");
    let error = Client::connect(&plain, ann()).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}
