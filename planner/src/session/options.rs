//! The settings of Skep's own that a session may change.

use datafusion::common::{
    DataFusionError, config_err, config_field, config_namespace, extensions_options,
};
use datafusion::config::ConfigExtension;
use skep_sql::Dialect;
use std::fmt;
use std::str::FromStr;

config_field!(JoinOrder);

/// Who decides in which order tables are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JoinOrder {
    /// The planner, by what it estimates the orders to cost.
    #[default]
    Cost,
    /// Whoever wrote the statement.
    AsWritten,
}

impl fmt::Display for JoinOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cost => "cost",
            Self::AsWritten => "as_written",
        })
    }
}

impl FromStr for JoinOrder {
    type Err = DataFusionError;

    fn from_str(name: &str) -> Result<Self, DataFusionError> {
        match name.to_ascii_lowercase().as_str() {
            "cost" => Ok(Self::Cost),
            "as_written" => Ok(Self::AsWritten),
            _ => config_err!("the join orders are cost and as_written"),
        }
    }
}

config_namespace! {
    /// Settings that begin with `skep.flight.`.
    pub struct FlightOptions {
        /// Whether results have the engine's own types: views, dictionaries, timestamps of any unit and
        /// decimals of any width. Not every client knows them.
        pub native_types: bool, default = false
        /// Whether clients read results from the executors themselves, in several shares without an order.
        /// Where a result has an order, or no executor has a part in it, it comes from here all the same.
        pub direct: bool, default = false
    }
}

config_namespace! {
    /// Settings that begin with `skep.sql.`.
    pub struct SqlOptions {
        /// What is meant where standard SQL and Hive disagree: `standard` or `hive`.
        pub dialect: Dialect, default = Dialect::Standard
    }
}

extensions_options! {
    /// Settings that begin with `skep.`.
    pub struct SkepOptions {
        /// How many bytes of memory a query may use on one node; 0 for as much as the node has.
        pub query_memory_limit_bytes: usize, default = 0
        /// How many seconds a query may run; 0 for as long as the server allows.
        pub query_run_time_max_s: usize, default = 0
        /// How often a query is started, where its attempts fail for reasons that are not its own: an executor
        /// or a connection is lost, a disk is full, the storage fails. 1 for once.
        pub query_attempts_max: usize, default = 4
        /// How many bytes of a result are held back before the first row is sent: as long as none was sent, the
        /// query can be started again. A result that is complete is sent at once. 0 for sending every row as
        /// soon as it is there.
        pub result_holdback: usize, default = 16777216
        /// How many tasks a stage may have; 0 for as many as there are executors.
        pub stage_tasks_max: usize, default = 0
        /// How many bytes of files one partition of a scan is expected to read. A scan of less than
        /// that times the partitions of an executor runs on one executor.
        pub scan_partition_bytes: usize, default = 16777216
        /// Whether the smaller side of a join may be sent to all tasks instead of being distributed.
        pub broadcast_joins: bool, default = true
        /// Whether groups are merged once more before they are sent to other executors.
        pub partial_reduce: bool, default = false
        /// Whether a plan is refused that would arrive at executors other than it was sent. It takes time, and
        /// is meant for tests.
        pub verify_sent_plans: bool, default = false
        /// In which order tables are joined: by what it is estimated to cost (`cost`), or as the statement has
        /// them (`as_written`).
        pub join_order: JoinOrder, default = JoinOrder::Cost
        /// How results are sent to Flight SQL clients.
        pub flight: FlightOptions, default = FlightOptions::default()
        /// How statements are read.
        pub sql: SqlOptions, default = Default::default()
    }
}

impl ConfigExtension for SkepOptions {
    const PREFIX: &'static str = "skep";
}
