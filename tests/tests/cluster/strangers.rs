//! A stranger's connections: every method of every port with random bytes, with bytes that were recorded, and with
//! messages that are larger than anybody may send who has not said who they are.

use bytes::Bytes;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use skep_protocol::access_token::AccessToken;
use skep_protocol::node_call::{NODE_CALL_HEADER, STRANGERS_MESSAGE_BYTES_MAX};
use skep_protocol::proto::{
    DirectTicket, ExchangeTicket, Register, RowsRequest, Setting, StartTask, TaskCommand, TaskId,
    task_command,
};
use skep_protocol::task_grant::TASK_GRANT_HEADER;
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{ClusterKey, ErrorCode, QueryError};
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::raw::{self, COORDINATOR_METHODS, EXECUTOR_METHODS};
use skep_tests::session::{columns, value};
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use tonic::{Code, Status};

const SECRET: &str = "known to all nodes";

/// How many random messages each method is sent.
const MESSAGES_EACH: usize = 60;

/// A cluster whose users log in, with its executor's address and id.
async fn guarded() -> (Cluster, String, String) {
    let setup = Setup::executors(1)
        .with(&format!("cluster.secret={SECRET}"))
        .with_admin("geheim");
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    let shown = columns(&mut client, "SHOW EXECUTORS", &["address", "id"]).await;
    let address = shown[0][0].trim_start_matches("http://").to_owned();
    (cluster, address, shown[0][1].clone())
}

/// The connections to both ports, with the methods of each.
async fn ports(cluster: &Cluster, executor: &str) -> [(Channel, &'static [&'static str]); 2] {
    [
        (
            raw::connect(cluster.authority()).await,
            &COORDINATOR_METHODS,
        ),
        (raw::connect(executor).await, &EXECUTOR_METHODS),
    ]
}

/// A refusal is an answer of the server's own, and no accident.
fn assert_refused(answer: Result<Vec<Bytes>, Status>, what: &str) {
    let status = match answer {
        Err(status) => status,
        Ok(answer) => panic!("{what} was answered with {answer:?}"),
    };
    let is_accident = matches!(status.code(), Code::Ok | Code::Unavailable | Code::Unknown);
    assert!(!is_accident, "{what}: {status:?}");
    assert!(!status.message().contains("panic"), "{what}: {status:?}");
}

fn random_bytes(random: &mut StdRng, length: usize) -> Bytes {
    (0..length).map(|_| random.random::<u8>()).collect()
}

/// What somebody may have recorded who once saw the cluster's messages: all of it has been used, has expired, or
/// is for something else.
fn recorded(key: &ClusterKey) -> Vec<Bytes> {
    let task = || TaskId {
        query_id: "20261123_230512_00001_k3f9q".into(),
        attempt_id: vec![7; 16].into(),
        stage: 1,
        task: 0,
    };
    let query = "20261123_230512_00001_k3f9q".parse().expect("an id");
    let expired = AccessToken {
        user: "admin".into(),
        password_fingerprint: vec![1; 16],
        session: vec![2; 16],
        expires_at_ms: 1,
    };
    let rows = RowsRequest {
        ticket: Some(key.rows_ticket(&query, 1)),
        compression: "none".into(),
    };
    vec![
        key.sign_ticket(&ExchangeTicket {
            task: Some(task()),
            expires_at_ms: 1,
            compression: "none".into(),
            ..ExchangeTicket::default()
        }),
        key.sign_direct(&DirectTicket {
            task: Some(task()),
            user: "admin".into(),
            needs_token: true,
            expires_at_ms: u64::MAX,
            ..DirectTicket::default()
        }),
        key.sign_direct(&DirectTicket {
            task: Some(task()),
            user: "admin".into(),
            expires_at_ms: u64::MAX,
            ..DirectTicket::default()
        }),
        Bytes::from(expired.sign(key)),
        rows.encode_to_vec().into(),
        key.seal(b"login", b"\x0a\x05admin").expect("sealed"),
        Bytes::from(Register::default().encode_to_vec()),
        Bytes::new(),
    ]
}

/// Puts `content` into the first field of a message, where tickets and sealed messages are.
fn in_a_field(content: &Bytes) -> Bytes {
    let mut message = vec![0x0a];
    prost::encode_length_delimiter(content.len(), &mut message).expect("a length");
    message.extend_from_slice(content);
    message.into()
}

#[tokio::test]
async fn no_method_answers_random_or_recorded_bytes() {
    let (cluster, executor, _) = guarded().await;
    let mut random = StdRng::seed_from_u64(12);
    let key = ClusterKey::from_secret(SECRET);
    let foreign = ClusterKey::random();
    for (channel, methods) in ports(&cluster, &executor).await {
        for method in methods {
            let mut messages = recorded(&key);
            messages.extend(recorded(&foreign));
            for _ in 0..MESSAGES_EACH {
                let length = random.random_range(0..300);
                let mut message = random_bytes(&mut random, length);
                if random.random_bool(0.5) {
                    // Close to something that is right.
                    let recorded = recorded(&key);
                    let mut close = recorded[random.random_range(0..recorded.len())].to_vec();
                    if !close.is_empty() {
                        let at = random.random_range(0..close.len());
                        close[at] ^= 1 << random.random_range(0..8);
                    }
                    message = close.into();
                }
                messages.push(message);
            }
            for message in messages {
                let wrapped = in_a_field(&message);
                for message in [message, wrapped] {
                    let what = format!("{method} with {message:?}");
                    let answer = raw::call(&channel, method, &[], vec![message]).await;
                    assert_refused(answer, &what);
                }
            }
        }
    }
    let mut client = cluster.connect().await;
    assert_eq!(value(&mut client, "SELECT 1").await, "1");
    assert_eq!(cluster.executors().await.len(), 1);
}

#[tokio::test]
async fn random_and_foreign_credentials_open_nothing() {
    let (cluster, executor, executor_id) = guarded().await;
    let mut random = StdRng::seed_from_u64(13);
    let foreign = ClusterKey::random();
    let start = start_task();
    let now = unix_time_ms();
    for (channel, methods) in ports(&cluster, &executor).await {
        for method in methods {
            let mut credentials = vec![
                (NODE_CALL_HEADER, Bytes::from(foreign.node_credential(now))),
                (
                    TASK_GRANT_HEADER,
                    foreign.grant_task(&start, &executor_id, now),
                ),
            ];
            for header in [NODE_CALL_HEADER, TASK_GRANT_HEADER, "auth-token-bin"] {
                for length in [0, 1, 40, 200] {
                    credentials.push((header, random_bytes(&mut random, length)));
                }
            }
            for credential in credentials {
                let what = format!("{method} with {credential:?}");
                let message = command(&start);
                let answer = raw::call(&channel, method, &[credential], vec![message]).await;
                assert_refused(answer, &what);
            }
        }
    }
}

#[tokio::test]
async fn of_a_stranger_no_large_message_is_read() {
    let (cluster, executor, _) = guarded().await;
    let mut coordinator = cluster.coordinator.peak_memory_mib();
    let mut executors = cluster.executors[0].peak_memory_mib();
    // A message that would be one large field. Of a few methods the first message is read at all.
    let large = in_a_field(&Bytes::from(vec![b'x'; 200 << 20]));
    for (channel, methods) in ports(&cluster, &executor).await {
        for method in methods {
            let started = Instant::now();
            let answer = raw::call(&channel, method, &[], vec![large.clone()]).await;
            let status = answer.expect_err(method);
            assert_ne!(status.code(), Code::Ok, "{method}");
            assert!(started.elapsed() < Duration::from_secs(5), "{method}");
        }
    }
    coordinator = cluster.coordinator.peak_memory_mib() - coordinator;
    executors = cluster.executors[0].peak_memory_mib() - executors;
    assert!(
        coordinator < 64 && executors < 64,
        "{coordinator} MiB, {executors} MiB"
    );
    // Just above and just below.
    let channel = raw::connect(&executor).await;
    let method = "/arrow.flight.protocol.FlightService/DoGet";
    for (bytes, code) in [
        (STRANGERS_MESSAGE_BYTES_MAX - 100, Code::PermissionDenied),
        (STRANGERS_MESSAGE_BYTES_MAX + 1, Code::OutOfRange),
    ] {
        let message = in_a_field(&Bytes::from(vec![b'x'; bytes]));
        let status = raw::call(&channel, method, &[], vec![message])
            .await
            .expect_err("refused");
        assert_eq!(status.code(), code, "{status:?}");
    }
}

/// A task that cannot be run, but may be started as far as its grant goes.
fn start_task() -> StartTask {
    StartTask {
        task: Some(TaskId {
            query_id: "20261123_230512_00001_k3f9q".into(),
            attempt_id: vec![7; 16].into(),
            stage: 1,
            task: 0,
        }),
        task_count: 1,
        plan: Bytes::from_static(b"no plan"),
        target_address: "http://127.0.0.1:1".into(),
        query_started_at_ns: 1,
        settings: vec![Setting {
            key: "a".into(),
            value: "b".into(),
        }],
        direct_schema: Bytes::new(),
    }
}

fn command(start: &StartTask) -> Bytes {
    let command = TaskCommand {
        message: Some(task_command::Message::Start(start.clone())),
    };
    command.encode_to_vec().into()
}

/// How an executor answers a task with that grant.
async fn run(channel: &Channel, start: &StartTask, grant: Bytes) -> QueryError {
    let headers = [(TASK_GRANT_HEADER, grant)];
    let answer = raw::call(
        channel,
        "/skep.v1.Tasks/Run",
        &headers,
        vec![command(start)],
    )
    .await;
    QueryError::from_status(&answer.expect_err("it cannot run"))
}

#[tokio::test]
async fn a_task_runs_once_where_it_was_granted_and_as_it_was_granted() {
    let (_cluster, executor, id) = guarded().await;
    let channel = raw::connect(&executor).await;
    let key = ClusterKey::from_secret(SECRET);
    let start = start_task();
    let now = unix_time_ms();
    let grant = key.grant_task(&start, &id, now);
    let first = run(&channel, &start, grant.clone()).await;
    assert_ne!(first.code, ErrorCode::PermissionDenied, "{first}");
    let again = run(&channel, &start, grant).await;
    assert_eq!(again.code, ErrorCode::PermissionDenied);
    assert!(again.message.contains("before"), "{again}");

    let mut other_settings = start.clone();
    other_settings.settings[0].value = "c".into();
    let grants = [
        ("settings", other_settings, key.grant_task(&start, &id, now)),
        (
            "executor",
            start.clone(),
            key.grant_task(&start, "another", now),
        ),
        (
            "time",
            start.clone(),
            key.grant_task(&start, &id, now - 10 * 60 * 1000),
        ),
        (
            "key",
            start.clone(),
            ClusterKey::random().grant_task(&start, &id, now),
        ),
    ];
    for (what, start, grant) in grants {
        let refused = run(&channel, &start, grant).await;
        assert_eq!(
            refused.code,
            ErrorCode::PermissionDenied,
            "{what}: {refused}"
        );
    }
    let mut longer = start.clone();
    longer.plan = vec![b'x'; 1 << 20].into();
    let refused = run(&channel, &longer, key.grant_task(&start, &id, now)).await;
    assert!(refused.message.contains("too large"), "{refused}");
}
