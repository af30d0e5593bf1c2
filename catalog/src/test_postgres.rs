//! A PostgreSQL server for tests: of this test alone, in a temporary directory, reached through a
//! socket in it.

use crate::store::DatabaseUrl;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// How long the server may take to answer.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running server, which ends when it is dropped.
pub(crate) struct TestPostgres {
    server: Child,
    directory: TempDir,
    databases: AtomicU32,
}

impl TestPostgres {
    /// Starts a server; `None`, with a loud message, where PostgreSQL is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = find_programs() else {
            eprintln!(
                "\n############################################################\n\
                 ## NOT TESTED: the catalog on PostgreSQL, which is not installed\n\
                 ## (Debian: apt-get install postgresql)\n\
                 ############################################################"
            );
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        if is_root() {
            let mut chown = Command::new("chown");
            let owned = chown.arg("postgres").arg(directory.path()).status();
            assert!(owned.unwrap().success(), "chown failed");
        }
        let data = directory.path().join("data");
        let made = as_server_user(&programs.join("initdb"))
            .args([
                "--auth=trust",
                "--username=skep",
                "--no-sync",
                "--encoding=UTF8",
            ])
            .arg("--locale=C.UTF-8")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb failed: {made:?}");
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let server = as_server_user(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=200"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self {
            server,
            directory,
            databases: AtomicU32::new(0),
        };
        let started = tokio::time::timeout(START_PATIENCE, server.answers()).await;
        assert!(started.is_ok(), "{}", server.log());
        Some(server)
    }

    async fn answers(&self) {
        use sqlx::Connection;
        let url = self.url("postgres");
        while sqlx::PgConnection::connect(url.reveal()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn url(&self, database: &str) -> DatabaseUrl {
        let socket = self.directory.path().to_str().unwrap().replace('/', "%2F");
        let text = format!("postgres://skep@{socket}/{database}");
        text.parse().unwrap()
    }

    /// A database that nobody has used yet.
    pub(crate) async fn new_database(&self) -> DatabaseUrl {
        use sqlx::Connection;
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test{number}");
        let url = self.url("postgres");
        let mut connection = sqlx::PgConnection::connect(url.reveal()).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .unwrap();
        self.url(&name)
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        // What immediate shutdown is called: nothing here is to be kept.
        let pid = self.server.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.server.wait();
    }
}

/// Where `initdb` and `postgres` are: Debian does not put them into the path.
fn find_programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    places.extend(versions.flatten().map(|version| version.path().join("bin")));
    places
        .into_iter()
        .find(|place| place.join("initdb").exists() && place.join("postgres").exists())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// PostgreSQL refuses to run as root; its package makes a user for it.
fn as_server_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program);
    command
}
