//! Nodes with certificates: they reach each other over TLS with certificates on both sides, and nothing else.

use bytes::Bytes;
use skep_protocol::ErrorCode;
use skep_protocol::QueryError;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::raw;
use skep_tests::session::{rows, value};
use skep_tests::tls::Certificate;
use tonic::transport::{Certificate as Pem, Channel, ClientTlsConfig, Endpoint};

/// The methods that nodes alone call.
const NODE_METHODS: [&str; 4] = [
    "/skep.v1.Cluster/Join",
    "/skep.v1.Cluster/ReadRows",
    "/skep.v1.Cluster/LogIn",
    "/skep.v1.Cluster/CheckReader",
];

/// A connection as clients make them.
async fn tls_channel(authority: &str, certificate: &Certificate) -> Channel {
    let pem = std::fs::read(&certificate.certificate).expect("the certificate");
    let tls = ClientTlsConfig::new().ca_certificate(Pem::from_pem(pem));
    let endpoint = Endpoint::from_shared(format!("https://{authority}")).expect("an address");
    let endpoint = endpoint.tls_config(tls).expect("a certificate");
    endpoint.connect().await.expect("a connection")
}

/// The addresses of the executors without their schemes.
async fn executors(cluster: &Cluster) -> Vec<String> {
    let executors = cluster.executors().await;
    let addresses = executors.into_iter().map(|executor| executor.address);
    addresses
        .map(|address| {
            let authority = address.strip_prefix("https://");
            authority
                .unwrap_or_else(|| panic!("{address} is not TLS"))
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn queries_run_between_nodes_that_show_each_other_certificates() {
    let directory = tempfile::tempdir().expect("a directory");
    let certificate = Certificate::make(directory.path()).await;
    let data = tempfile::tempdir().expect("a directory");
    let tables = dataset::small_tables(data.path());
    for setup in [Setup::executors(2), Setup::standalone()] {
        let setup = setup.with_certificate(&certificate).with_root(data.path());
        let cluster = Cluster::start(setup).await;
        let mut client = cluster.connect().await;
        for table in &tables {
            rows(&mut client, &table.create_statement()).await;
        }
        rows(&mut client, "SET skep.scan_partition_bytes = 1").await;
        let joined = "SELECT count(*) FROM numbers JOIN events ON id = number";
        assert_ne!(value(&mut client, joined).await, "0");
        executors(&cluster).await;
    }
}

#[tokio::test]
async fn without_a_nodes_certificate_nothing_that_nodes_do_is_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let certificate = Certificate::make(directory.path()).await;
    let cluster = Cluster::start(Setup::executors(1).with_certificate(&certificate)).await;
    let executor = executors(&cluster).await.remove(0);
    let calls: Vec<_> = NODE_METHODS
        .iter()
        .map(|method| (cluster.authority().to_owned(), *method))
        .chain([
            (executor.clone(), "/skep.v1.Tasks/Run"),
            (executor, "/arrow.flight.protocol.FlightService/DoGet"),
        ])
        .collect();
    for (authority, method) in calls {
        let plain = raw::connect(&authority).await;
        let as_client = tls_channel(&authority, &certificate).await;
        for channel in [plain, as_client] {
            let answer = raw::call(&channel, method, &[], vec![Bytes::new()]).await;
            let refused = QueryError::from_status(&answer.expect_err(method));
            assert_eq!(
                refused.code,
                ErrorCode::PermissionDenied,
                "{method}: {refused}"
            );
            assert!(refused.message.contains("TLS"), "{method}: {refused}");
        }
    }
}

#[tokio::test]
async fn an_executor_without_a_certificate_or_with_a_foreign_one_does_not_join() {
    let directory = tempfile::tempdir().expect("a directory");
    let certificate = Certificate::make(directory.path()).await;
    let other = tempfile::tempdir().expect("a directory");
    let foreign = Certificate::make(other.path()).await;
    let mut cluster = Cluster::start(Setup::executors(1).with_certificate(&certificate)).await;
    let plain = cluster.url.replace("flights://", "flight://");

    cluster.setup.certificate = None;
    let mut without = cluster.start_executor("127.0.0.1:0", &plain);
    let ended = without.ended().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("executor.tls_certificate"),
        "{}",
        ended.stderr
    );
    let mut without = cluster.start_executor("127.0.0.1:0", &cluster.url);
    assert_eq!(without.ended().await.code, Some(1));

    cluster.setup.certificate = Some(foreign);
    let mut stranger = cluster.start_executor("127.0.0.1:0", &cluster.url);
    stranger.line_with("trying again").await;
    cluster.setup.certificate = Some(certificate);
    assert_eq!(cluster.executors().await.len(), 1);
}
