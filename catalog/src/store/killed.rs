//! Many processes write at the same time, and some of them are killed, and the server, too: what is
//! there afterwards is what was acknowledged, whole commits only.

use super::contract::{definition, two_files};
use super::{CatalogStore, Change, FileChanges, postgres, sqlite};
use crate::error::CatalogError;
use crate::model::{DataFile, TableFiles};
use crate::test_postgres::TestPostgres;
use crate::test_random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// How a process is told that it is one of the writers, and where it writes.
const VARIABLE: &str = "SKEP_TEST_WRITER";

/// How many files each commit adds.
const FILES_PER_COMMIT: usize = 3;

const WRITERS: usize = 5;
const COMMITS: usize = 150;
const COMMITS_PER_KILL: usize = 15;
const PATIENCE: Duration = Duration::from_secs(240);

async fn open(location: &str) -> Result<Arc<dyn CatalogStore>, CatalogError> {
    match location.starts_with("postgres://") {
        true => postgres::open(&location.parse()?).await,
        false => sqlite::open(Path::new(location)).await,
    }
}

/// What each writer runs; nothing where it is run as a test.
#[tokio::test]
async fn writer() {
    let Ok(task) = std::env::var(VARIABLE) else {
        return;
    };
    let (name, location) = task.split_once(' ').unwrap();
    let store = open(location).await.unwrap();
    for number in 0.. {
        let id = format!("{name}-{number}");
        match commit(&*store, &id).await {
            Ok(()) => println!("acknowledged {id}"),
            Err(CatalogError::OutcomeUnknown { .. }) => println!("unknown {id}"),
            Err(_) => {
                println!("failed {id}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn commit(store: &dyn CatalogStore, id: &str) -> Result<(), CatalogError> {
    let pattern = &two_files().files[0];
    let files = (0..FILES_PER_COMMIT).map(|number| DataFile {
        path: format!("{id}/{number}"),
        partition: None,
        ..pattern.clone()
    });
    let added = TableFiles {
        partitions: Arc::default(),
        files: files.collect(),
    };
    loop {
        let state = store.load().await?;
        let change = Change::UpdateTable {
            id: state.tables[0].id,
            definition: definition("t"),
            files: FileChanges {
                added: added.clone(),
                ..FileChanges::default()
            },
        };
        match store.commit(state.version, &[change]).await {
            Err(CatalogError::Conflict) => {}
            outcome => return outcome.map(|_| ()),
        }
    }
}

/// The writers, and what they say.
struct Writers {
    location: String,
    started: usize,
    running: Vec<Child>,
    sender: mpsc::Sender<String>,
    lines: mpsc::Receiver<String>,
    readers: tokio::task::JoinSet<()>,
}

impl Writers {
    fn new(location: String) -> Self {
        let (sender, lines) = mpsc::channel(1024);
        Self {
            location,
            started: 0,
            running: Vec::new(),
            sender,
            lines,
            readers: tokio::task::JoinSet::new(),
        }
    }

    fn start(&mut self) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::killed::writer", "--nocapture"])
            .env(VARIABLE, format!("w{} {}", self.started, self.location))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let sender = self.sender.clone();
        self.readers.spawn(async move {
            // A line that was cut when its writer was killed was not said.
            while let Ok(Some(line)) = lines.next_line().await {
                if sender.send(line).await.is_err() {
                    return;
                }
            }
        });
        self.started += 1;
        self.running.push(child);
    }

    /// SIGKILL.
    async fn kill(&mut self, index: usize) {
        self.running.swap_remove(index).kill().await.unwrap();
    }
}

/// What was said of each commit.
async fn run(location: String, mut disturb: impl AsyncFnMut(usize)) -> BTreeMap<String, String> {
    let mut random = Random::from_environment(1);
    let mut writers = Writers::new(location);
    for _ in 0..WRITERS {
        writers.start();
    }
    let mut said = BTreeMap::new();
    let mut acknowledged = 0;
    let mut note = |line: String| {
        let Some((what, id)) = line.split_once(' ') else {
            return false;
        };
        if matches!(what, "acknowledged" | "unknown" | "failed") {
            said.insert(id.to_owned(), what.to_owned());
        }
        what == "acknowledged"
    };
    while acknowledged < COMMITS {
        let line = tokio::time::timeout(PATIENCE, writers.lines.recv()).await;
        if !note(line.expect("a writer writes").unwrap()) {
            continue;
        }
        acknowledged += 1;
        if acknowledged.is_multiple_of(COMMITS_PER_KILL) {
            writers.kill(random.below(WRITERS)).await;
            writers.start();
            disturb(acknowledged / COMMITS_PER_KILL).await;
        }
    }
    while !writers.running.is_empty() {
        writers.kill(0).await;
    }
    let Writers {
        sender, mut lines, ..
    } = writers;
    drop(sender);
    // What they had said before they were killed counts.
    while let Some(line) = lines.recv().await {
        note(line);
    }
    said
}

async fn check(store: &dyn CatalogStore, said: &BTreeMap<String, String>) {
    let state = store.load().await.unwrap();
    let files = store
        .load_files(state.tables[0].id, state.version)
        .await
        .unwrap();
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in &files.files {
        let (id, number) = file.path.split_once('/').unwrap();
        assert!(found.entry(id).or_default().insert(number));
    }
    for (id, numbers) in &found {
        assert_eq!(numbers.len(), FILES_PER_COMMIT, "{id} is whole");
        assert_ne!(said.get(*id).map(String::as_str), Some("failed"), "{id}");
    }
    for (id, what) in said {
        assert!(what != "acknowledged" || found.contains_key(&**id), "{id}");
    }
    // The first made the table, the others are the writers'.
    let commits = state.version.0 - super::FIRST_VERSION.0 - 1;
    assert_eq!(commits, found.len() as u64);
}

async fn prepare(location: &str) -> Arc<dyn CatalogStore> {
    let store = open(location).await.unwrap();
    let base = store.version().await.unwrap();
    let create = Change::CreateTable {
        definition: definition("t"),
        files: TableFiles::default(),
    };
    store.commit(base, &[create]).await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_writers_leave_whole_commits_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.sqlite");
    let location = path.to_str().unwrap().to_owned();
    let store = prepare(&location).await;
    let said = run(location, async |_| {}).await;
    check(&*store, &said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_writers_and_servers_leave_whole_commits_in_postgres() {
    let Some(mut server) = TestPostgres::start().await else {
        return;
    };
    let location = server.new_database().await.reveal().to_owned();
    drop(prepare(&location).await);
    let said = run(location.clone(), async |kills| {
        if kills.is_multiple_of(4) {
            server.kill_and_restart().await;
        }
    })
    .await;
    check(&*open(&location).await.unwrap(), &said).await;
}
