//! Real `skep` processes. What they write is kept and shown when a test fails.

use crate::session::eventually;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a process may take to say that it is ready.
const READY_PATIENCE: Duration = Duration::from_secs(20);

/// How much of a process's output is shown when a test fails, in bytes.
const SHOWN_BYTES_MAX: usize = 8 * 1024;

/// Processes are numbered, so that each has its own file of output.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// The program under test: cargo puts it beside the directory of the tests' own programs.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let path = test
        .parent()
        .and_then(Path::parent)
        .expect("two directories")
        .join("skep");
    assert!(
        path.exists(),
        "{} is missing: test the whole workspace, or build it first",
        path.display()
    );
    path
}

/// A running `skep`, which is killed when it is dropped.
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// `skep` with `arguments` and nothing of this process's environment.
fn command(arguments: &[String], home: &Path) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Arguments as processes take them.
pub fn arguments(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

/// Runs `skep` to its end.
pub async fn run(parts: &[&str], home: &Path) -> Ended {
    let running = command(&arguments(parts), home).output();
    let output = tokio::time::timeout(Duration::from_secs(60), running).await;
    let output = output.unwrap_or_else(|_| panic!("skep {parts:?} did not end"));
    let output = output.expect("skep starts");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Process {
    /// Starts `skep` with `arguments`; its output goes to a file in `directory`, which is its home too.
    pub fn start(name: &str, directory: &Path, arguments: &[String]) -> Self {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let output = directory.join(format!("{number}-{name}.log"));
        let file = File::create(&output).expect("a file for the output");
        let child = command(arguments, directory)
            .stdout(Stdio::null())
            .stderr(Stdio::from(file))
            .spawn();
        Self {
            name: name.to_owned(),
            child: child.expect("skep starts"),
            output,
        }
    }

    /// The process's id in the system.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    /// The most memory that it has had at one time, in MiB, where the system tells (Linux).
    pub fn peak_memory_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.expect("the line is there")
            .parse::<u64>()
            .expect("a number")
            / 1024
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        let bytes = std::fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has written a line with `part`, and returns that line.
    pub async fn line_with(&mut self, part: &str) -> String {
        eventually(
            &format!("'{part}' from {}", self.name),
            READY_PATIENCE,
            async || {
                let written = self.stderr();
                let found = written.lines().find(|line| line.contains(part));
                if found.is_none()
                    && let Ok(Some(status)) = self.child.try_wait()
                {
                    panic!("{} ended with {status}:\n{written}", self.name);
                }
                found.map(str::to_owned)
            },
        )
        .await
    }

    /// Ends it at once, as a crash would.
    pub async fn crash(&mut self) {
        self.child.kill().await.expect("a process can be killed");
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(&mut self) -> Ended {
        self.signal("-TERM");
        self.ended().await
    }

    /// Has it stand still until it is resumed.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Has it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Sends it a signal, by the signal's name as `kill` takes it.
    pub fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let told = std::process::Command::new("kill")
            .args([signal, &id])
            .status();
        assert!(
            told.expect("kill runs").success(),
            "{} cannot be sent {signal}",
            self.name
        );
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Ended {
        let waiting = tokio::time::timeout(READY_PATIENCE, self.child.wait());
        let status = waiting
            .await
            .unwrap_or_else(|_| panic!("{} does not end", self.name));
        Ended {
            code: status.expect("its status is known").code(),
            stdout: String::new(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let written = self.stderr();
            let start = written.floor_char_boundary(written.len().saturating_sub(SHOWN_BYTES_MAX));
            eprintln!("--- {} wrote:\n{}", self.name, &written[start..]);
        }
    }
}
