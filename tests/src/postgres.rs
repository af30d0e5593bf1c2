//! A PostgreSQL server of a test's own, in a temporary directory, for coordinators that keep their
//! catalog in it. It is reached through a socket in that directory.

use crate::session::eventually;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long the server may take to answer, also after a crash.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to say whether it is ready.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// The version of the protocol that clients speak: 3.0.
const PROTOCOL_VERSION: u32 = 3 << 16;

/// A running server, which ends when it is dropped.
pub struct Postgres {
    server: Child,
    programs: PathBuf,
    directory: TempDir,
}

impl Postgres {
    /// Starts a server; `None`, with a loud message, where PostgreSQL is not installed.
    pub async fn start() -> Option<Self> {
        let Some(programs) = find_programs() else {
            eprintln!(
                "\n############################################################\n\
                 ## NOT TESTED: a catalog in PostgreSQL, which is not installed\n\
                 ## (Debian: apt-get install postgresql)\n\
                 ############################################################"
            );
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory");
        if is_root() {
            let owned = Command::new("chown")
                .arg("postgres")
                .arg(directory.path())
                .status();
            assert!(owned.expect("chown runs").success(), "chown failed");
        }
        let made = as_server_user(&programs.join("initdb"))
            .args([
                "--auth=trust",
                "--username=skep",
                "--no-sync",
                "--encoding=UTF8",
            ])
            .arg("--locale=C.UTF-8")
            .arg(directory.path().join("data"))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb failed: {made:?}");
        let server = spawn(&programs, directory.path());
        let started = Self {
            server,
            programs,
            directory,
        };
        started.wait().await;
        Some(started)
    }

    /// Where a coordinator finds its catalog.
    pub fn url(&self) -> String {
        let socket = self.directory.path().display().to_string();
        format!("postgres://skep@{}/postgres", socket.replace('/', "%2F"))
    }

    /// Kills the server in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.server.wait().expect("it has ended");
    }

    /// Starts it again on what it has left.
    pub async fn restart(&mut self) {
        // Its lock is taken to be somebody's for as long as one of its processes is still there.
        eventually("an answer after a crash", START_PATIENCE, async || {
            if self.server.try_wait().expect("its status").is_some() {
                self.server = spawn(&self.programs, self.directory.path());
            }
            self.answers().then_some(())
        })
        .await;
    }

    /// Has it and its processes stand still.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Has them go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Each of its processes is a group of its own.
    fn signal(&self, signal: &str) {
        let server = self.server.id();
        let children = format!("/proc/{server}/task/{server}/children");
        let children = std::fs::read_to_string(children).expect("a list of processes");
        let mut kill = Command::new("kill");
        kill.arg(signal).arg(server.to_string());
        // Some may have ended by now.
        let sent = kill.args(children.split_whitespace()).stderr(Stdio::null());
        sent.status().expect("kill runs");
    }

    async fn wait(&self) {
        let answers = async || self.answers().then_some(());
        eventually("an answer from PostgreSQL", START_PATIENCE, answers).await;
    }

    /// Whether it lets somebody in: while it starts it says that it does.
    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let socket = self.directory.path().join(".s.PGSQL.5432");
            let mut stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
            let mut message = PROTOCOL_VERSION.to_be_bytes().to_vec();
            message.extend(b"user\0skep\0database\0postgres\0\0");
            let length = u32::try_from(message.len() + 4).expect("a short message");
            stream.write_all(&length.to_be_bytes())?;
            stream.write_all(&message)?;
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            Ok(kind == *b"R")
        };
        ask().unwrap_or(false)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            self.signal("-KILL");
            let _ = self.server.wait();
        }
    }
}

fn spawn(programs: &Path, directory: &Path) -> Child {
    let log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(directory.join("log"))
        .expect("a log");
    as_server_user(&programs.join("postgres"))
        .arg("-D")
        .arg(directory.join("data"))
        .arg("-k")
        .arg(directory)
        .args(["-c", "listen_addresses=", "-c", "max_connections=50"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("postgres starts")
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
    let id = Command::new("id").arg("-u").output().expect("id runs");
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
