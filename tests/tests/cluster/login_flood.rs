//! A flood of logins: a user with the right password is let in meanwhile.

use skep_client::{Client, ClientOptions};
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{rows, value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many guess at a time.
const FLOODING: usize = 100;

/// How long a good login may take.
const PATIENCE: Duration = Duration::from_secs(2);

async fn log_in(url: &str, user: &str, password: &str) -> Result<Client, skep_client::ClientError> {
    let options = ClientOptions {
        user: user.to_owned(),
        password: Some(password.to_owned()),
        connect_timeout: Duration::from_secs(60),
        ..ClientOptions::default()
    };
    Client::connect(url, options).await
}

/// Guesses passwords of the users that `user` names until it is dropped, and counts the refusals.
struct Flood {
    refused: Arc<AtomicU64>,
    is_let_in: Arc<AtomicBool>,
    _guessing: JoinSet<()>,
}

impl Flood {
    fn start(url: &str, user: impl Fn(u64) -> String + Clone + Send + 'static) -> Self {
        let (refused, is_let_in) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut guessing = JoinSet::new();
        for number in 0..FLOODING as u64 {
            let (url, user) = (url.to_owned(), user.clone());
            let (refused, is_let_in) = (Arc::clone(&refused), Arc::clone(&is_let_in));
            guessing.spawn(async move {
                for attempt in number * 1_000_000.. {
                    match log_in(&url, &user(attempt), &format!("guess {attempt}")).await {
                        Ok(_) => is_let_in.store(true, Ordering::Relaxed),
                        Err(_) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
        }
        Self {
            refused,
            is_let_in,
            _guessing: guessing,
        }
    }

    /// Waits until it is in full swing.
    async fn swells(&self) {
        let counted = || self.refused.load(Ordering::Relaxed);
        skep_tests::session::eventually("refusals", Duration::from_secs(20), async || {
            (counted() > 20).then_some(())
        })
        .await;
    }
}

async fn log_in_within_patience(cluster: &Cluster, user: &str, password: &str) {
    let started = Instant::now();
    let mut client = log_in(&cluster.url, user, password)
        .await
        .expect("a good login");
    let elapsed = started.elapsed();
    assert!(elapsed < PATIENCE, "{user} waited {elapsed:?}");
    assert_eq!(value(&mut client, "SELECT 1").await, "1");
}

/// All from one address, which is the worst of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_login_in_a_flood_takes_no_two_seconds() {
    let mut cluster = Cluster::start(Setup::executors(0).with_admin("geheim")).await;
    let mut admin = cluster.connect().await;
    for user in ["ada", "bob"] {
        rows(
            &mut admin,
            &format!("CREATE USER {user} PASSWORD 'geheim of {user}'"),
        )
        .await;
    }
    // Whose password is known from their making, for users that do not exist, and for those who do.
    let floods: [fn(u64) -> String; 3] = [
        |attempt| format!("user {attempt}"),
        |attempt| ["ada", "admin"][attempt as usize % 2].to_owned(),
        |_| "ada".to_owned(),
    ];
    for user in floods {
        let flood = Flood::start(&cluster.url, user);
        flood.swells().await;
        log_in_within_patience(&cluster, "ada", "geheim of ada").await;
        log_in_within_patience(&cluster, "bob", "geheim of bob").await;
        assert!(!flood.is_let_in.load(Ordering::Relaxed));
    }
    // A server that has just started knows nothing of passwords but their hashes.
    cluster.restart_coordinator().await;
    let flood = Flood::start(&cluster.url, |_| "ada".to_owned());
    flood.swells().await;
    log_in_within_patience(&cluster, "bob", "geheim of bob").await;
    log_in_within_patience(&cluster, "admin", "geheim").await;
}

#[tokio::test]
async fn a_refusal_takes_as_long_whether_the_name_or_the_password_is_wrong() {
    let cluster = Cluster::start(Setup::executors(0).with_admin("geheim")).await;
    let refusal = async |user: &str| {
        let started = Instant::now();
        let refused = log_in(&cluster.url, user, "wrong")
            .await
            .expect_err("refused");
        (started.elapsed(), refused.to_string())
    };
    let (of_password, said) = refusal("admin").await;
    let (of_name, also_said) = refusal("nobody").await;
    assert_eq!(said, also_said);
    let difference = of_password.abs_diff(of_name);
    assert!(
        difference < Duration::from_millis(150),
        "{of_password:?}, {of_name:?}"
    );
}
