//! Executors that come before the coordinator, leave, come back, are restarted with it or refused.

use futures::StreamExt;
use skep_protocol::proto::cluster_client::ClusterClient;
use skep_protocol::proto::{ExecutorMessage, Register, Version, executor_message};
use skep_protocol::version::PROTOCOL_VERSION;
use skep_protocol::{ErrorCode, QueryError};
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::session::{columns, error, eventually, rows, value};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// A port that nobody listens on just now.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    address.to_string()
}

#[tokio::test]
async fn an_executor_may_start_before_the_coordinator() {
    let other = Cluster::start(Setup::executors(0)).await;
    let address = free_address();
    let mut executor = other.start_executor("127.0.0.1:0", &format!("flight://{address}"));
    executor.line_with("trying again").await;
    let mut cluster = Cluster::start_at(Setup::executors(0), &address).await;
    cluster.wait_for_active(1).await;
    cluster.executors.push(executor);
    let mut client = cluster.connect().await;
    assert_eq!(value(&mut client, "SELECT 1").await, "1");
}

#[tokio::test]
async fn an_executor_may_leave_and_come_back() {
    let mut cluster = Cluster::start(Setup::executors(2)).await;
    let address = cluster.executors().await[0].address.clone();
    let listen = address.trim_start_matches("http://").to_owned();
    let index = cluster
        .executors
        .iter()
        .position(|executor| executor.stderr().contains(&listen))
        .expect("an executor names its address");
    cluster.executors[index].crash().await;
    let missed = Instant::now();
    cluster.wait_for_active(1).await;
    assert!(
        missed.elapsed() < Duration::from_secs(5),
        "noticed too late"
    );
    let again = cluster.start_executor(&listen, &cluster.url);
    cluster.executors[index] = again;
    cluster.wait_for_active(2).await;
}

#[tokio::test]
async fn an_executor_that_is_told_to_end_leaves_at_once() {
    let mut cluster = Cluster::start(Setup::executors(2)).await;
    let ended = cluster.executors[0].terminate().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    cluster.wait_for_active(1).await;
}

#[tokio::test]
async fn a_restarted_coordinator_has_its_executors_and_its_tables() {
    let data = tempfile::tempdir().expect("a directory");
    let tables = dataset::small_tables(data.path());
    let mut cluster = Cluster::start(Setup::executors(2).with_root(data.path())).await;
    let mut client = cluster.connect().await;
    rows(&mut client, "CREATE DATABASE kept COMMENT 'over restarts'").await;
    rows(&mut client, "USE kept").await;
    for table in &tables {
        rows(&mut client, &table.create_statement()).await;
    }
    let sql = "SELECT count(*) FROM kept.numbers JOIN kept.events ON id = number";
    let before = value(&mut client, sql).await;
    cluster.restart_coordinator().await;
    cluster.wait_for_active(2).await;
    let mut client = cluster.connect().await;
    assert_eq!(value(&mut client, sql).await, before);
    let partitions = rows(&mut client, "SHOW PARTITIONS kept.events").await;
    assert_eq!(partitions.len(), 6);
}

#[tokio::test]
async fn without_an_executor_a_query_waits_a_bounded_time_and_says_so() {
    let data = tempfile::tempdir().expect("a directory");
    let tables = dataset::small_tables(data.path());
    let setup = Setup::executors(0)
        .with("cluster.executor_wait=1s")
        .with_root(data.path());
    let mut cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    rows(&mut client, &tables[0].create_statement()).await;
    let started = Instant::now();
    let failed = error(&mut client, "SELECT count(*) FROM numbers").await;
    let waited = started.elapsed();
    assert_eq!(failed.code, ErrorCode::NoExecutors);
    assert!(failed.message.contains("no executor"), "{failed}");
    assert!(waited > Duration::from_millis(900) && waited < Duration::from_secs(5));
    // What needs no executor goes on, and the first executor makes everything work.
    assert_eq!(value(&mut client, "SELECT 1 + 1").await, "2");
    cluster.add_executor();
    cluster.wait_for_active(1).await;
    assert_eq!(
        value(&mut client, "SELECT count(*) FROM numbers").await,
        "40"
    );
}

#[tokio::test]
async fn show_executors_says_what_each_is_and_does() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let mut client = cluster.connect().await;
    let names = [
        "id",
        "address",
        "state",
        "cores",
        "memory_used",
        "memory_limit",
        "running_tasks",
        "version",
        "last_heartbeat",
    ];
    let shown = columns(&mut client, "SHOW EXECUTORS", &names).await;
    assert_eq!(shown.len(), 2);
    for executor in &shown {
        assert!(executor.iter().all(|cell| cell != "NULL"), "{executor:?}");
        assert_eq!(executor[2], "ACTIVE");
        assert_eq!(
            (executor[3].as_str(), executor[5].as_str()),
            ("1", "536870912")
        );
    }
    assert_ne!(shown[0][0], shown[1][0]);
}

/// What the coordinator says to an executor that introduces itself like this.
async fn registration(cluster: &Cluster, register: Register) -> Result<(), QueryError> {
    let url = cluster.url.replace("flight://", "http://");
    let mut client = ClusterClient::connect(url).await.expect("a connection");
    let message = ExecutorMessage {
        message: Some(executor_message::Message::Register(register)),
    };
    let messages = futures::stream::iter([message]).chain(futures::stream::pending());
    match client.join(messages).await {
        Ok(_) => Ok(()),
        Err(status) => Err(QueryError::from_status(&status)),
    }
}

#[tokio::test]
async fn an_executor_of_another_version_is_refused() {
    let cluster = Cluster::start(Setup::executors(1)).await;
    let mut client = cluster.connect().await;
    let shown = columns(&mut client, "SHOW EXECUTORS", &["version"]).await;
    let other = Version {
        skep: "99.0.0".to_owned(),
        protocol: PROTOCOL_VERSION,
        datafusion: "1.0.0".to_owned(),
        arrow: "1.0.0".to_owned(),
    };
    let register = Register {
        executor_id: "other".to_owned(),
        address: "http://127.0.0.1:1".to_owned(),
        cores: 1,
        memory_limit_bytes: 1 << 30,
        version: Some(other),
        ..Register::default()
    };
    let refused = registration(&cluster, register).await.expect_err("refused");
    assert_eq!(refused.code, ErrorCode::VersionMismatch);
    for version in ["99.0.0", shown[0][0].as_str()] {
        assert!(refused.message.contains(version), "{refused}");
    }
    assert_eq!(cluster.executors().await.len(), 1);
}

#[tokio::test]
async fn an_executor_with_another_secret_is_refused_and_ends() {
    let cluster = Cluster::start(Setup::executors(1).with("cluster.secret=one")).await;
    let mut stranger = cluster.stranger("cluster.secret=two");
    let ended = stranger.ended().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("secret"), "{}", ended.stderr);
    assert_eq!(cluster.executors().await.len(), 1);
}

#[tokio::test]
async fn a_drained_executor_finishes_its_query() {
    let data = dataset::tpch(0.05).await;
    let setup = Setup::executors(2).with_root(&dataset::directory_of(&data));
    let mut cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for table in dataset::tpch_tables(&data) {
        rows(&mut client, &table.create_statement()).await;
    }
    rows(&mut client, "SET skep.scan_partition_bytes = 1").await;
    let sql = "SELECT count(*) FROM lineitem a JOIN lineitem b ON a.l_suppkey = b.l_suppkey";
    let mut other = cluster.connect().await;
    let running = async { value(&mut client, sql).await };
    let draining = async {
        eventually("running tasks", Duration::from_secs(20), async || {
            let all = columns(&mut other, "SHOW EXECUTORS", &["running_tasks"]).await;
            all.iter().all(|row| row[0] != "0").then_some(())
        })
        .await;
        cluster.executors[0].terminate().await
    };
    let (counted, ended) = tokio::join!(running, draining);
    assert!(counted.parse::<u64>().expect("a number") > 1_000_000);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
