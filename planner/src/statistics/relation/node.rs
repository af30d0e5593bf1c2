//! A node of logical plans that says how many rows its input is taken to have.

use datafusion::common::{DFSchemaRef, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Extension, InvariantLevel};
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNodeCore};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// How a join that was decided on builds its left side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Build {
    /// On each node all of it.
    Broadcast,
    /// On each node its share of the keys.
    Partitioned,
}

/// Passes its input on, and says how many rows it is taken to have. It ends when joins are physical.
#[derive(Clone, Debug)]
pub struct Estimated {
    input: Arc<LogicalPlan>,
    rows: f64,
    row_bytes: f64,
    build: Option<Build>,
}

impl Estimated {
    /// Says it of `input`. Where that is the left side of a join that was decided on, `build` says how.
    pub fn plan(
        input: LogicalPlan,
        rows: f64,
        row_bytes: f64,
        build: Option<Build>,
    ) -> LogicalPlan {
        let node = Self {
            input: Arc::new(input),
            rows,
            row_bytes,
            build,
        };
        LogicalPlan::Extension(Extension {
            node: Arc::new(node),
        })
    }

    /// What it is said of.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// How many rows.
    pub fn rows(&self) -> f64 {
        self.rows
    }

    /// The bytes of each.
    pub fn row_bytes(&self) -> f64 {
        self.row_bytes
    }

    /// How it becomes a hash table, where that was decided.
    pub fn build(&self) -> Option<Build> {
        self.build
    }

    /// What is compared: the numbers by their bits.
    fn key(&self) -> (u64, u64, Option<Build>) {
        (self.rows.to_bits(), self.row_bytes.to_bits(), self.build)
    }
}

impl PartialEq for Estimated {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key() && self.input == other.input
    }
}

impl Eq for Estimated {}

impl Hash for Estimated {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for Estimated {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let by_input = self.input.partial_cmp(&other.input)?;
        Some(by_input.then(self.key().cmp(&other.key())))
    }
}

impl UserDefinedLogicalNodeCore for Estimated {
    fn name(&self) -> &str {
        "Estimated"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn check_invariants(&self, _check: InvariantLevel) -> Result<()> {
        Ok(())
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Estimated: rows={:.0}", self.rows)?;
        match self.build {
            Some(Build::Broadcast) => write!(f, ", built on each node"),
            Some(Build::Partitioned) => write!(f, ", built in parts"),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 1]>::try_from(inputs) {
            Ok([input]) => Ok(Self {
                input: Arc::new(input),
                ..self.clone()
            }),
            Err(_) => internal_err!("an estimate has one input"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}
