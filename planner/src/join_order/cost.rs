//! What a join costs, and which of its sides is built and how the rows come together.
//!
//! Costs are nanoseconds of one core on each node, roughly as they were measured with TPC-H at scale 10. Only
//! their proportions matter.

use super::region::JoinKind;

/// Putting a row into a hash table: its hash, its place and its copy.
const BUILD_ROW: f64 = 80.0;
const BUILD_BYTE: f64 = 0.5;
/// Looking a row up in a hash table that fits into a core's cache, and in one that does not.
const PROBE_ROW: f64 = 12.0;
const PROBE_ROW_LARGE: f64 = 45.0;
/// How many bytes of a hash table a core's cache holds, and what a row takes in it beside its own bytes.
const CACHE_BYTES: f64 = 1024.0 * 1024.0;
const ENTRY_BYTES: f64 = 24.0;
/// Making a row of the result.
const OUTPUT_ROW: f64 = 8.0;
const OUTPUT_BYTE: f64 = 0.25;
/// Moving a row to another node: partitioning, encoding and decoding.
const MOVED_ROW: f64 = 15.0;
const MOVED_BYTE: f64 = 0.8;
/// Comparing a pair of rows one by one.
const PAIR: f64 = 2.0;

/// What a cluster is, as far as costs depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// How many nodes there are.
    pub nodes: f64,
    /// What may be sent to all nodes at most, in bytes and rows.
    pub broadcast_bytes_max: f64,
    pub broadcast_rows_max: f64,
}

/// One input of a join.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Its rows.
    pub rows: f64,
    /// The bytes of each.
    pub row_bytes: f64,
}

impl Input {
    fn bytes(self) -> f64 {
        self.rows * self.row_bytes
    }
}

/// How a join is carried out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Method {
    /// Whether the operator's left side becomes the hash table; otherwise its right side does.
    pub builds_left: bool,
    /// Whether the hash table is made on every node, of all rows of its side.
    pub is_broadcast: bool,
    /// What it costs.
    pub cost: f64,
}

impl Machine {
    /// The cheapest way to join `left` and `right`, in the order of the operator. With `has_key`, partners are
    /// looked up.
    pub fn cheapest(
        &self,
        kind: JoinKind,
        has_key: bool,
        (left, right): (Input, Input),
        output: Input,
    ) -> Method {
        let output_cost = (output.rows * OUTPUT_ROW + output.bytes() * OUTPUT_BYTE) / self.nodes;
        let choices = [true, false]
            .into_iter()
            .flat_map(|builds_left| [true, false].map(|is_broadcast| (builds_left, is_broadcast)));
        let mut best: Option<Method> = None;
        for (builds_left, is_broadcast) in choices {
            let (build, probe) = match builds_left {
                true => (left, right),
                false => (right, left),
            };
            let cost = match (has_key, is_broadcast) {
                (true, true) if !self.may_broadcast(kind, builds_left, build) => continue,
                (true, true) => self.broadcast(build, probe),
                (true, false) => self.partitioned(build, probe),
                (false, true) => self.pairs(build, probe),
                (false, false) => continue,
            };
            let cost = cost + output_cost;
            if best.is_none_or(|best| cost < best.cost) {
                best = Some(Method {
                    builds_left,
                    is_broadcast,
                    cost,
                });
            }
        }
        best.unwrap_or(Method {
            builds_left: true,
            is_broadcast: false,
            cost: self.partitioned(left, right) + output_cost,
        })
    }

    /// Whether every node may have a copy of the side that is built: no row of it must come from it itself.
    fn may_broadcast(&self, kind: JoinKind, builds_left: bool, build: Input) -> bool {
        let is_safe = match kind {
            JoinKind::Inner => true,
            JoinKind::Full => false,
            JoinKind::Semi | JoinKind::Anti | JoinKind::Mark | JoinKind::Left => !builds_left,
        };
        is_safe && build.rows < self.broadcast_rows_max && build.bytes() < self.broadcast_bytes_max
    }

    fn broadcast(&self, build: Input, probe: Input) -> f64 {
        let moved = build.rows * MOVED_ROW + build.bytes() * MOVED_BYTE;
        moved + built(build) + probed(probe.rows / self.nodes, build)
    }

    fn partitioned(&self, build: Input, probe: Input) -> f64 {
        let share = |input: Input| Input {
            rows: input.rows / self.nodes,
            ..input
        };
        let (build, probe) = (share(build), share(probe));
        let moved = |input: Input| input.rows * MOVED_ROW + input.bytes() * MOVED_BYTE;
        moved(build) + moved(probe) + built(build) + probed(probe.rows, build)
    }

    fn pairs(&self, build: Input, probe: Input) -> f64 {
        let moved = build.rows * MOVED_ROW + build.bytes() * MOVED_BYTE;
        moved + build.rows * probe.rows / self.nodes * PAIR
    }
}

fn built(build: Input) -> f64 {
    build.rows * BUILD_ROW + build.bytes() * BUILD_BYTE
}

fn probed(rows: f64, build: Input) -> f64 {
    let is_small = build.rows * (build.row_bytes + ENTRY_BYTES) < CACHE_BYTES;
    rows * if is_small { PROBE_ROW } else { PROBE_ROW_LARGE }
}
