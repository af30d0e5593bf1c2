//! Who gets a cluster's key: nobody but executors of the same user on the same machine, and of those that know the
//! secret, each once.

use futures::StreamExt;
use skep_protocol::proto::cluster_client::ClusterClient;
use skep_protocol::proto::{
    CoordinatorMessage, ExecutorMessage, Register, Registered, coordinator_message,
    executor_message,
};
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::version::this_version;
use skep_protocol::{ClusterKey, ErrorCode, QueryError};
use skep_tests::cluster::{Cluster, Setup, listening_url};
use skep_tests::process::{Process, arguments, binary, run};
use skep_tests::session::{columns, value};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

/// A user that owns nothing here.
const NOBODY: u32 = 65_534;

/// An address of this machine that others reach, where it has one.
fn outer_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses the address that it would send from.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

fn server_arguments(directory: &Path, command: &str, more: &[&str]) -> Vec<String> {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut all = arguments(&[
        command,
        "--listen",
        "0.0.0.0:0",
        "--insecure-let-anyone-in",
        "--memory-limit",
        "256MiB",
        "--data-dir",
        &path("data"),
        "--work-dir",
        &path("work"),
    ]);
    all.extend(arguments(more));
    all
}

async fn ended(arguments: &[String], home: &Path) -> skep_tests::process::Ended {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&arguments, home).await
}

/// What the coordinator at `authority` answers an executor that introduces itself like this.
async fn join(authority: &str, register: &Register) -> Result<Registered, QueryError> {
    let client = ClusterClient::connect(format!("http://{authority}")).await;
    let message = ExecutorMessage {
        message: Some(executor_message::Message::Register(register.clone())),
    };
    let messages = futures::stream::iter([message]).chain(futures::stream::pending());
    let mut answers = match client.expect("a connection").join(messages).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Err(QueryError::from_status(&status)),
    };
    match answers.message().await {
        Ok(Some(CoordinatorMessage {
            message: Some(coordinator_message::Message::Registered(registered)),
        })) => Ok(registered),
        Ok(other) => panic!("no registration: {other:?}"),
        Err(status) => Err(QueryError::from_status(&status)),
    }
}

/// An executor of the versions that the cluster has.
async fn register(cluster: &Cluster, id: &str) -> Register {
    Register {
        executor_id: id.to_owned(),
        address: "http://127.0.0.1:1".to_owned(),
        cores: 1,
        memory_limit_bytes: 1 << 30,
        version: Some(versions(cluster).await),
        issued_at_ms: unix_time_ms(),
        nonce: 7,
        ..Register::default()
    }
}

/// The coordinator names its versions when it refuses others, so that no test has to know them.
async fn versions(cluster: &Cluster) -> skep_protocol::proto::Version {
    let mut version = this_version("", "");
    for _ in 0..2 {
        let asked = Register {
            version: Some(version.clone()),
            ..Register::default()
        };
        let refused = join(cluster.authority(), &asked)
            .await
            .expect_err("no version");
        assert_eq!(refused.code, ErrorCode::VersionMismatch, "{refused}");
        let text = refused.message;
        let ours = text
            .split("the coordinator has ")
            .nth(1)
            .and_then(|rest| rest.split(':').next());
        let ours = ours.expect("its version").to_owned();
        match text.contains("datafusion version") {
            true => version.datafusion = ours,
            false => version.arrow = ours,
        }
    }
    version
}

#[tokio::test]
async fn beyond_loopback_a_coordinator_wants_a_secret_and_says_how_to_make_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    let refused = ended(&server_arguments(home, "coordinator", &[]), home).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for part in ["skep cluster init", "cluster.secret_file"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }

    let place = home.join("keys").display().to_string();
    let made = run(&["cluster", "init", "--directory", &place], home).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let file = home.join("keys/skep-cluster-secret");
    let mode = std::fs::metadata(&file).expect("the secret").mode();
    assert_eq!(mode & 0o777, 0o600);
    // What it prints is configuration, word for word.
    let (_, lines) = made
        .stdout
        .split_once("\n\n")
        .expect("lines of configuration");
    let config = home.join("skep.toml");
    std::fs::write(&config, lines).expect("written");
    let config = config.display().to_string();
    let again = run(&["cluster", "init", "--directory", &place], home).await;
    assert_eq!(again.code, Some(1), "{}", again.stdout);

    let with_secret = server_arguments(home, "coordinator", &["--config", &config]);
    let mut coordinator = Process::start("coordinator", home, &with_secret);
    let url = listening_url(&mut coordinator).await;
    let executor = |more: &[&str]| {
        let work = home.join("work").display().to_string();
        let mut all = arguments(&["executor", "--coordinator", &url, "--listen", "127.0.0.1:0"]);
        all.extend(arguments(&[
            "--work-dir",
            &work,
            "--memory-limit",
            "256MiB",
        ]));
        all.extend(arguments(more));
        all
    };
    let stranger = ended(&executor(&[]), home).await;
    assert_eq!(stranger.code, Some(1), "{}", stranger.stderr);
    assert!(stranger.stderr.contains("secret"), "{}", stranger.stderr);
    let mut member = Process::start("executor", home, &executor(&["--config", &config]));
    member.line_with("joined the cluster").await;
}

#[tokio::test]
async fn a_standalone_within_reach_makes_up_a_secret_for_its_own_executors() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path();
    let arguments = server_arguments(home, "standalone", &[]);
    let mut server = Process::start("standalone", home, &arguments);
    let url = listening_url(&mut server).await;
    let mut client = skep_tests::session::connect(&url).await;
    assert_eq!(value(&mut client, "SELECT 1").await, "1");
    let shown = columns(&mut client, "SHOW EXECUTORS", &["state"]).await;
    assert_eq!(shown, [["ACTIVE"], ["ACTIVE"]]);
    let work = home.join("other").display().to_string();
    let stranger = [
        "executor",
        "--coordinator",
        &url,
        "--listen",
        "127.0.0.1:0",
        "--work-dir",
        &work,
    ];
    let ended = run(&stranger, home).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[tokio::test]
async fn a_secret_is_told_to_nobody_and_a_registration_is_good_once() {
    let secret = "known to all nodes";
    let setup = Setup::executors(1).with(&format!("cluster.secret={secret}"));
    let cluster = Cluster::start(setup).await;
    let mut registration = register(&cluster, "stranger").await;
    let refused = join(cluster.authority(), &registration)
        .await
        .expect_err("no proof");
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
    registration.proof = ClusterKey::from_secret("another").prove_registration(&registration);
    let refused = join(cluster.authority(), &registration)
        .await
        .expect_err("another's proof");
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
    registration.proof = ClusterKey::from_secret(secret).prove_registration(&registration);
    let joined = join(cluster.authority(), &registration)
        .await
        .expect("a proof");
    assert!(joined.exchange_key.is_empty());
    let refused = join(cluster.authority(), &registration)
        .await
        .expect_err("a replay");
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
    assert!(refused.message.contains("before"), "{refused}");
}

#[tokio::test]
async fn without_a_secret_the_key_stays_on_the_machine() {
    let cluster = Cluster::start(Setup::executors(1)).await;
    let registration = register(&cluster, "same-user").await;
    let joined = join(cluster.authority(), &registration)
        .await
        .expect("the same user");
    assert!(ClusterKey::from_bytes(&joined.exchange_key).is_some());
    let with_secret = Register {
        proof: ClusterKey::from_secret("x").prove_registration(&registration),
        ..registration
    };
    let refused = join(cluster.authority(), &with_secret)
        .await
        .expect_err("a secret");
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
}

/// The engine's own port is on loopback, so this needs a server that listens everywhere; it has a secret, and gives
/// no key to one who comes over another address, whoever that is.
#[tokio::test]
async fn over_another_address_than_loopback_there_is_no_key() {
    let Some(address) = outer_address() else {
        return;
    };
    let cluster = Cluster::start_at(
        Setup::executors(0)
            .with("cluster.secret=known to all nodes")
            .with("server.insecure_let_anyone_in=true"),
        &format!("{address}:0"),
    )
    .await;
    let registration = register(&cluster, "e1").await;
    let refused = join(cluster.authority(), &registration)
        .await
        .expect_err("no key");
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
}

/// Only root may start a process as another user.
#[tokio::test]
async fn without_a_secret_another_user_of_the_machine_gets_no_key() {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        return;
    }
    let cluster = Cluster::start(Setup::executors(1)).await;
    let home = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o777)).expect("its mode");
    let program = home.path().join("skep");
    std::fs::copy(binary(), &program).expect("a copy that everybody may run");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("its mode");
    let mut stranger = std::process::Command::new(&program);
    stranger
        .args([
            "executor",
            "--coordinator",
            &cluster.url,
            "--listen",
            "127.0.0.1:0",
        ])
        .arg("--work-dir")
        .arg(home.path().join("work"))
        .env_clear()
        .env("HOME", home.path())
        .uid(NOBODY)
        .gid(NOBODY);
    let ended = tokio::task::spawn_blocking(move || stranger.output()).await;
    let ended = ended.expect("it ends").expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("same user") && said.contains("skep cluster init"),
        "{said}"
    );
    assert_eq!(cluster.executors().await.len(), 1);
}
