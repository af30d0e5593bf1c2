//! The port itself: TLS, connections that say nothing or nonsense, and too many of them.

use crate::fixture::{Client, Fixture, eventually, query, status};
use arrow_flight::sql::client::FlightSqlServiceClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use skep_flight_service::DoorOptions;
use skep_listener::{ListenerOptions, TlsError, TlsFiles, TlsKeeper};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// An authority that signs certificates.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` and its key, as PEM.
fn signed(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(directory: &Path, (certificate, key): &(String, String)) -> TlsFiles {
    let files = TlsFiles {
        certificate: directory.join("certificate.pem"),
        key: directory.join("key.pem"),
        client_authorities: None,
        node_authorities: None,
    };
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    files
}

async fn serving(files: TlsFiles) -> Fixture {
    let listening = ListenerOptions {
        connections_max: 100,
        tls: Some(TlsKeeper::start(files).await.unwrap()),
    };
    Fixture::listening(DoorOptions::default(), listening).await
}

async fn connect(fixture: &Fixture, tls: ClientTlsConfig) -> Result<Client, String> {
    let address = fixture.address.replace("http://", "https://");
    let endpoint = Endpoint::from_shared(address).unwrap();
    let endpoint = endpoint.tls_config(tls.domain_name("localhost")).unwrap();
    let channel = endpoint
        .connect()
        .await
        .map_err(|error| format!("{error:?}"))?;
    Ok(FlightSqlServiceClient::new(channel))
}

fn trusting(authority: &CertifiedIssuer<'static, KeyPair>) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()))
}

#[tokio::test]
async fn with_a_certificate_clients_use_tls_or_get_no_answer() {
    let directory = TempDir::new().unwrap();
    let authority = authority();
    let files = write(directory.path(), &signed(&authority, "localhost"));
    let fixture = serving(files).await;
    let mut client = connect(&fixture, trusting(&authority)).await.unwrap();
    client.handshake("ada", "secret").await.unwrap();
    query(&mut client, "SELECT 1").await.unwrap();
    assert!(
        connect(&fixture, trusting(&self::authority()))
            .await
            .is_err()
    );

    let mut plain = fixture.stranger().await;
    let error = plain.handshake("ada", "secret").await.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    let error = status(query(&mut plain, "SELECT 1").await.unwrap_err());
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!(*fixture.engine.users.lock(), ["ada"]);
}

#[tokio::test]
async fn a_changed_certificate_is_used_and_a_broken_one_is_not() {
    let directory = TempDir::new().unwrap();
    let (first, second) = (authority(), authority());
    let files = write(directory.path(), &signed(&first, "localhost"));
    let fixture = serving(files).await;
    connect(&fixture, trusting(&first)).await.unwrap();
    write(
        directory.path(),
        &("broken".to_owned(), "broken".to_owned()),
    );
    // It is looked at every second; what is asked meanwhile is answered with the one before.
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        connect(&fixture, trusting(&first)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    write(directory.path(), &signed(&second, "localhost"));
    let start = std::time::Instant::now();
    while connect(&fixture, trusting(&second)).await.is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it is never used"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(connect(&fixture, trusting(&first)).await.is_err());
}

#[tokio::test]
async fn clients_show_certificates_where_they_have_to() {
    let directory = TempDir::new().unwrap();
    let (servers, clients) = (authority(), authority());
    let mut files = write(directory.path(), &signed(&servers, "localhost"));
    let path = directory.path().join("clients.pem");
    std::fs::write(&path, clients.pem()).unwrap();
    files.client_authorities = Some(path);
    let fixture = serving(files).await;
    let (certificate, key) = signed(&clients, "ada");
    let known = trusting(&servers).identity(Identity::from_pem(certificate, key));
    let mut client = connect(&fixture, known).await.unwrap();
    query(&mut client, "SELECT 1").await.unwrap();
    let (certificate, key) = signed(&servers, "eve");
    let foreign = trusting(&servers).identity(Identity::from_pem(certificate, key));
    for stranger in [trusting(&servers), foreign] {
        // TLS 1.3 tells a client that it is refused only when it goes on.
        if let Ok(mut client) = connect(&fixture, stranger).await {
            assert!(query(&mut client, "SELECT 1").await.is_err());
        }
    }
    assert_eq!(fixture.runs("SELECT 1"), 1);
}

#[tokio::test]
async fn what_is_no_certificate_keeps_the_server_from_starting() {
    let directory = TempDir::new().unwrap();
    let good = signed(&authority(), "localhost");
    let other = signed(&authority(), "localhost");
    let missing = TlsFiles {
        certificate: directory.path().join("nothing.pem"),
        ..write(directory.path(), &good)
    };
    let start = async |files| TlsKeeper::start(files).await.err().unwrap();
    assert!(matches!(start(missing).await, TlsError::Read { .. }));
    let swapped = write(directory.path(), &(good.1.clone(), good.0.clone()));
    assert!(matches!(start(swapped).await, TlsError::Missing { .. }));
    let unfit = write(directory.path(), &(good.0.clone(), other.1));
    assert!(matches!(start(unfit).await, TlsError::Unusable { .. }));
}

#[tokio::test]
async fn too_many_connections_are_closed_and_the_others_are_served() {
    let listening = ListenerOptions {
        connections_max: 3,
        tls: None,
    };
    let fixture = Fixture::listening(DoorOptions::default(), listening).await;
    let mut client = fixture.client().await;
    let address = fixture.address.trim_start_matches("http://").to_owned();
    let mut idle = vec![];
    for _ in 0..50 {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    for _ in 0..5 {
        query(&mut client, "SELECT 1").await.unwrap();
    }
    let mut closed = 0;
    for stream in &mut idle {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut byte));
        closed += usize::from(!matches!(read.await, Ok(Ok(1..))));
    }
    assert!(closed >= 48, "{closed} were closed");
    drop(idle);
    // Nonsense is sent away at once, also where it begins like TLS or like HTTP/2.
    for nonsense in [&[22, 3, 1][..], b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1"] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut byte));
        assert!(!matches!(read.await.unwrap(), Ok(1..)), "{nonsense:?}");
    }
    // Their places are free again.
    let runs = fixture.runs("SELECT 1");
    assert_eq!(runs, 5);
    let mut next = fixture.client().await;
    query(&mut next, "SELECT 1").await.unwrap();
    eventually("the last query ran", || fixture.runs("SELECT 1") == 6).await;
}
