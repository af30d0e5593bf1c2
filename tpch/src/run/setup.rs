//! Makes a run possible: the data where it is missing, the database, and its tables.

use anyhow::Context;

use super::RunOptions;
use super::cluster::Cluster;
use crate::generate::{self, GenerateOptions};
use crate::tables::Table;

/// Generates what is missing, and says which tables that was.
pub(super) async fn data(options: &RunOptions) -> anyhow::Result<Vec<Table>> {
    let data = &options.data;
    if !options.generate {
        let complete = generate::is_complete(data, options.scale).await?;
        anyhow::ensure!(
            complete,
            "there is no complete data of scale {} in {}: generate it with 'skep tpch generate'",
            options.scale,
            data.url()
        );
        return Ok(Vec::new());
    }
    let generation = GenerateOptions {
        parts: options.parts,
        progress: options.generate_progress.clone(),
        ..GenerateOptions::new(options.scale, data.clone())
    };
    let report = generate::generate(&generation)
        .await
        .context("cannot generate the data")?;
    Ok(report.generated)
}

/// Creates the database and the external tables, and makes the database the session's own.
/// Tables over files that were just written are created anew: what the catalog knows of the
/// files before them no longer holds, and what no file says is counted once.
pub(super) async fn tables(
    cluster: &mut Cluster,
    options: &RunOptions,
    database: &str,
    generated: &[Table],
) -> anyhow::Result<()> {
    for statement in statements(options, database, generated) {
        cluster.statement(&statement).await?;
    }
    Ok(())
}

fn statements(options: &RunOptions, database: &str, generated: &[Table]) -> Vec<String> {
    let mut statements = vec![format!("CREATE DATABASE IF NOT EXISTS {database}")];
    for table in Table::ALL {
        if generated.contains(&table) {
            statements.push(format!("DROP TABLE IF EXISTS {database}.{table}"));
        }
        statements.push(format!(
            "CREATE EXTERNAL TABLE IF NOT EXISTS {database}.{table} STORED AS PARQUET LOCATION '{}'",
            options.data.table_url(table).replace('\'', "''")
        ));
        if generated.contains(&table) {
            statements.push(format!(
                "ANALYZE TABLE {database}.{table} COMPUTE STATISTICS FOR ALL COLUMNS"
            ));
        }
    }
    statements.push(format!("USE {database}"));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataLocation;

    #[test]
    fn regenerated_tables_are_created_anew() {
        let data = DataLocation::parse("/it's/sf1", &[]).expect("a location");
        let options = RunOptions::new(1.0, "flight://localhost", data);
        let statements = statements(&options, "tpch_sf1", &[Table::Orders]);
        assert_eq!(statements.len(), 12);
        assert_eq!(statements[0], "CREATE DATABASE IF NOT EXISTS tpch_sf1");
        let orders: Vec<_> = statements
            .iter()
            .filter(|text| text.contains(".orders"))
            .collect();
        assert_eq!(orders[0], "DROP TABLE IF EXISTS tpch_sf1.orders");
        assert_eq!(
            orders[1],
            "CREATE EXTERNAL TABLE IF NOT EXISTS tpch_sf1.orders STORED AS PARQUET \
             LOCATION 'file:///it''s/sf1/orders/'"
        );
        assert_eq!(
            orders[2],
            "ANALYZE TABLE tpch_sf1.orders COMPUTE STATISTICS FOR ALL COLUMNS"
        );
        assert_eq!(statements[11], "USE tpch_sf1");
    }
}
