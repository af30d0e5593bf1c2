//! Sessions with a cluster: statements, their rows as text, their errors, and waiting for conditions.

use crate::cells;
use arrow::record_batch::RecordBatch;
use skep_client::{Client, ClientError, ClientOptions};
use skep_protocol::QueryError;
use std::time::{Duration, Instant};

/// How long to wait before a condition is looked at again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `condition` has a value; fails after `limit`.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < limit, "no {what} within {limit:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Opens a session.
pub async fn connect(url: &str) -> Client {
    let client = Client::connect(url, ClientOptions::default()).await;
    client.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a statement and fetches all of its rows.
pub async fn batches(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, ClientError> {
    client.execute(sql).await?.collect().await
}

/// The start of a statement, for messages: some tests send megabytes.
fn excerpt(sql: &str) -> String {
    sql.chars().take(500).collect()
}

/// Runs a statement that must succeed, and returns its rows as text.
pub async fn rows(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    match batches(client, sql).await {
        Ok(batches) => cells::rows(&batches),
        Err(error) => panic!("{error}\n{}", excerpt(sql)),
    }
}

/// The one value of a statement that returns one.
pub async fn value(client: &mut Client, sql: &str) -> String {
    let rows = rows(client, sql).await;
    match rows.as_slice() {
        [row] if row.len() == 1 => row[0].clone(),
        other => panic!(
            "one value was expected instead of {other:?}\n{}",
            excerpt(sql)
        ),
    }
}

/// The rows of a statement by the names of its columns: the text in `columns`, in that order.
pub async fn columns(client: &mut Client, sql: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let batches = batches(client, sql).await;
    let batches = batches.unwrap_or_else(|error| panic!("{error}\n{}", excerpt(sql)));
    let mut found = Vec::new();
    for batch in &batches {
        let schema = batch.schema();
        let positions: Vec<usize> = columns
            .iter()
            .map(|name| {
                schema
                    .index_of(name)
                    .unwrap_or_else(|error| panic!("{error}: {sql}"))
            })
            .collect();
        let batch = batch.project(&positions).expect("the columns are there");
        found.extend(cells::rows(&[batch]));
    }
    found
}

/// Runs a statement that must fail, and returns the engine's error.
pub async fn error(client: &mut Client, sql: &str) -> QueryError {
    match batches(client, sql).await {
        Ok(batches) => panic!(
            "an error was expected instead of {:?}\n{}",
            cells::rows(&batches),
            excerpt(sql)
        ),
        Err(error) => engine_error(error),
    }
}

/// The engine's own error; anything else fails the test.
pub fn engine_error(error: ClientError) -> QueryError {
    match error {
        ClientError::Query(error) => error,
        other => panic!("an error of the engine was expected instead of: {other}"),
    }
}
