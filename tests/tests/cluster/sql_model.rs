//! Random statements against Skep and against a model in memory: after each of them both must hold the
//! same databases, tables, partitions and rows, and must have failed alike.
//!
//! The seed is printed. `SKEP_MODEL_SEED=n` runs that one, `SKEP_MODEL_RUNS=n` as many as that from it
//! on, and `SKEP_MODEL_STEPS=n` other than the usual number of statements.

mod model;
mod statements;

use model::{Contents, Model};
use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{batches, rows};
use statements::Statements;
use std::time::{Duration, Instant};

/// Statements of a run.
const STEPS: usize = 150;

/// After how many statements the coordinator is started again.
const RESTART_STEPS: usize = 40;

/// After how many statements all tables are read rather than the one that the statement was about.
const FULL_CHECK_STEPS: usize = 10;

/// After how much time a run of several seeds begins no more.
const TIME_MAX: Duration = Duration::from_secs(25);

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

#[tokio::test]
async fn skep_holds_what_a_model_holds() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("a time after 1970").as_nanos() as u64;
    let first = variable("SKEP_MODEL_SEED").unwrap_or(now % 1_000_000);
    let runs = variable("SKEP_MODEL_RUNS");
    let begin = Instant::now();
    for seed in first..first + runs.unwrap_or(2) {
        if runs.is_none() && begin.elapsed() > TIME_MAX {
            break;
        }
        println!("SKEP_MODEL_SEED={seed}");
        let setup = match seed % 3 {
            0 => Setup::executors(2),
            _ => Setup::standalone(),
        };
        run(seed, setup).await;
    }
}

async fn run(seed: u64, setup: Setup) {
    let files = tempfile::tempdir().expect("a directory");
    let setup = setup
        .with_root(files.path())
        .with("catalog.vacuum_interval=0s");
    let mut cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    let mut model = Model::default();
    let mut statements = Statements::new(seed, files.path());
    let steps = variable("SKEP_MODEL_STEPS").map_or(STEPS, |steps| steps as usize);
    let mut done = Vec::new();
    for step in 1..=steps {
        let statement = statements.next(&model);
        let expected = model.run(&statement);
        let sql = statement.to_sql();
        done.push(sql.clone());
        let history = || format!("SKEP_MODEL_SEED={seed}, step {step}:\n{}", done.join(";\n"));
        match (&expected, batches(&mut client, &sql).await) {
            (Ok(()), Err(error)) => panic!("{error}\n{}", history()),
            (Err(reason), Ok(_)) => panic!("it should have failed: {reason}\n{}", history()),
            _ => {}
        }
        if step % RESTART_STEPS == 0 {
            match step / RESTART_STEPS % 2 {
                0 => cluster.kill_coordinator().await,
                _ => cluster.restart_coordinator().await,
            }
            cluster.wait_for_active(cluster.setup.executors).await;
            client = cluster.connect().await;
        }
        let is_full = step % FULL_CHECK_STEPS == 0 || step == steps;
        let only = (!is_full).then(|| statement.table()).flatten();
        let (found, wanted) = (read(&mut client, &model, only).await, model.contents(only));
        assert_eq!(found, wanted, "{}", history());
    }
}

/// What Skep holds, in the model's form: the rows of one table only where one is given.
async fn read(client: &mut Client, model: &Model, only: Option<&(String, String)>) -> Contents {
    let mut contents = Contents::default();
    for row in rows(client, "SHOW DATABASES").await {
        let database = row[0].clone();
        let shown = rows(client, &format!("SHOW TABLES IN {database}")).await;
        let mut names: Vec<String> = shown.into_iter().map(|row| row[1].clone()).collect();
        names.sort();
        for name in &names {
            let key = (database.clone(), name.clone());
            if only.is_some_and(|only| *only != key) {
                continue;
            }
            let path = format!("{database}.{name}");
            if model.is_partitioned(&key) {
                let shown = rows(client, &format!("SHOW PARTITIONS {path}")).await;
                let mut shown: Vec<String> = shown.into_iter().map(|row| row[0].clone()).collect();
                shown.sort();
                contents.partitions.insert(key.clone(), shown);
            }
            // A view may be of a table that is gone.
            let read = batches(client, &format!("SELECT * FROM {path}")).await;
            let mut read = match read {
                Ok(read) => skep_tests::cells::rows(&read),
                Err(error) if model.is_view(&key) => {
                    let _ = error;
                    vec![vec!["broken".to_owned()]]
                }
                Err(error) => panic!("{path}: {error}"),
            };
            read.sort();
            contents.rows.insert(key, read);
        }
        contents.tables.insert(database, names);
    }
    contents
}
