//! `\demo`: a small TPC-H database and a query on it, for those who have no data at hand.

use super::{Flow, Place, Shell};

/// A query that is understood at a glance and still joins, groups and sorts.
const QUERY: &str = "\
SELECT n_name AS nation, count(*) AS orders, round(sum(o_totalprice)) AS revenue
FROM orders
  JOIN customer ON c_custkey = o_custkey
  JOIN nation ON n_nationkey = c_nationkey
WHERE o_orderdate >= DATE '1997-01-01'
GROUP BY n_name
ORDER BY revenue DESC
LIMIT 5";

impl Shell {
    pub(super) async fn demo(&mut self, place: Place<'_>) -> Flow {
        let Some(data) = self.servers.demo.clone() else {
            let message = "\\demo makes its data beside the engine, which only `skep` without \
                           --connect can; on a server, use `skep tpch generate` and CREATE EXTERNAL TABLE";
            return self.fail(message, place).await;
        };
        self.tell("making TPC-H data of about 10 MB …\n").await;
        let made = tokio::select! {
            made = data.make() => made,
            () = self.runner.interrupts.next() => {
                self.tell("cancelled\n").await;
                return Flow::Cancelled;
            }
        };
        let statements = match made {
            Ok(statements) => statements,
            Err(message) => return self.fail(&message, place).await,
        };
        let was_quiet = std::mem::replace(&mut self.runner.screen.quiet, true);
        for statement in &statements {
            let flow = self.own_statement(statement, &[], place).await;
            if flow != Flow::On {
                self.runner.screen.quiet = was_quiet;
                return flow;
            }
        }
        self.runner.screen.quiet = was_quiet;
        let database = self.runner.database().to_owned();
        self.tell(&format!(
            "database {database} is there and in use\n\n{QUERY};\n\n"
        ))
        .await;
        let flow = self.own_statement(QUERY, &[], place).await;
        self.tell("now try \\dt, \\d lineitem, \\profile or a query of your own\n")
            .await;
        flow
    }
}
