//! The engine under test, behind its public Flight SQL door.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Serialize;
use skep_client::{Client, ClientOptions};

use crate::single::Timed;

/// A session with the engine.
pub(super) struct Cluster {
    client: Client,
}

/// A row of `SHOW EXECUTORS`: column names and values as text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ExecutorInfo(pub BTreeMap<String, String>);

impl ExecutorInfo {
    /// The executor's cores, where it says so.
    pub fn cores(&self) -> Option<usize> {
        self.0.get("cores")?.parse().ok()
    }
}

impl Cluster {
    pub async fn connect(url: &str, options: ClientOptions) -> anyhow::Result<Cluster> {
        let client = Client::connect(url, options).await;
        Ok(Cluster {
            client: client.with_context(|| format!("cannot use the engine at {url}"))?,
        })
    }

    /// Runs a query and fetches all of its rows. The time ends with the last row.
    pub async fn query(&mut self, sql: &str) -> anyhow::Result<Timed> {
        let started = Instant::now();
        let result = self.client.execute(sql).await?;
        let query_id = result.query_id.clone();
        let batches = result.collect().await?;
        Ok(Timed {
            seconds: started.elapsed().as_secs_f64(),
            batches,
            query_id,
        })
    }

    /// Runs a statement for its effect.
    pub async fn statement(&mut self, sql: &str) -> anyhow::Result<()> {
        let result = self.client.execute(sql).await;
        let result = result.with_context(|| format!("cannot run: {sql}"))?;
        result
            .collect()
            .await
            .with_context(|| format!("cannot run: {sql}"))?;
        Ok(())
    }

    /// A query's plan, as the engine prints it.
    pub async fn explain(&mut self, sql: &str) -> anyhow::Result<String> {
        let batches = self.query(&format!("EXPLAIN {sql}")).await?.batches;
        let rows = text_rows(&batches)?;
        let lines: Vec<String> = rows
            .into_iter()
            .map(|row| row.into_values().collect::<Vec<_>>().join("\n"))
            .collect();
        Ok(lines.join("\n"))
    }

    /// The executors as the engine lists them; none where it does not.
    pub async fn executors(&mut self) -> Vec<ExecutorInfo> {
        let rows = match self.query("SHOW EXECUTORS").await {
            Ok(timed) => text_rows(&timed.batches),
            Err(error) => Err(error),
        };
        match rows {
            Ok(rows) => rows.into_iter().map(ExecutorInfo).collect(),
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "the executors are not known");
                Vec::new()
            }
        }
    }

    /// Ends the session. The results are in: a failure to say goodbye changes nothing.
    pub async fn close(self) {
        if let Err(error) = self.client.close().await {
            tracing::debug!(%error, "the session was not closed");
        }
    }
}

/// Every value as text, by column name.
fn text_rows(batches: &[RecordBatch]) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let values = schema.fields().iter().zip(&columns);
            rows.push(
                values
                    .map(|(field, column)| (field.name().clone(), column.value(row).to_string()))
                    .collect(),
            );
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, StringArray};

    #[test]
    fn executors_are_read_by_column_name() {
        let batch = RecordBatch::try_from_iter([
            (
                "id",
                Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef,
            ),
            ("cores", Arc::new(Int32Array::from(vec![Some(2), None]))),
        ])
        .expect("a batch");
        let executors: Vec<_> = text_rows(&[batch])
            .expect("rows")
            .into_iter()
            .map(ExecutorInfo)
            .collect();
        assert_eq!(executors[0].cores(), Some(2));
        assert_eq!(executors[0].0["id"], "a");
        assert_eq!(executors[1].cores(), None);
    }
}
