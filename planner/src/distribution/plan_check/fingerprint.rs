//! How an operator of a distributed plan is recognised in the physical plan that it was made from.
//!
//! Distributing rebuilds every inner node, so that pointers to them do not survive; the leaves do,
//! and so does the shape. An operator is therefore known by its name, the leaves below it and the
//! number of operators below it, not counting those that distributing adds or drops.

use crate::distribution::operators::{bare_name, operator_of};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion_distributed::{DistributedLeafExec, NetworkBoundaryExt};
use std::collections::HashSet;
use std::sync::Arc;

/// One operator, as recognised in another distribution of the same physical plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OperatorKey {
    name: String,
    /// Addresses of the leaves, ascending. They are compared only while the physical plan lives.
    leaves: Vec<usize>,
    operators: usize,
}

/// A set of operators, recognisable in every distribution of one physical plan (the same `Arc`s).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    pub(super) operators: HashSet<OperatorKey>,
}

impl Fingerprint {
    /// The operators of the stage with that top operator.
    pub(super) fn of_stage(root: &Arc<dyn ExecutionPlan>) -> Self {
        let mut found = Self::default();
        found.collect(root, false);
        found
    }

    /// The operators below `node`, in all stages.
    pub(super) fn of_everything_below(node: &Arc<dyn ExecutionPlan>) -> Self {
        let mut found = Self::default();
        found.collect(node, true);
        found
    }

    /// The operators of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.operators.extend(other.operators);
        self
    }

    fn collect(&mut self, node: &Arc<dyn ExecutionPlan>, across_boundaries: bool) {
        let boundary = node.is_network_boundary();
        if boundary && !across_boundaries {
            return;
        }
        if !boundary {
            self.operators.insert(key(node));
        }
        for child in node.children() {
            self.collect(child, across_boundaries);
        }
    }
}

/// The operator's key.
pub(super) fn key(node: &Arc<dyn ExecutionPlan>) -> OperatorKey {
    let mut shape = Shape::default();
    shape.add(node);
    shape.leaves.sort_unstable();
    let name = match node.downcast_ref::<DistributedLeafExec>() {
        Some(leaf) => bare_name(leaf.original().name()),
        None => bare_name(node.name()),
    };
    OperatorKey {
        name: name.to_owned(),
        leaves: shape.leaves,
        operators: shape.operators,
    }
}

#[derive(Default)]
struct Shape {
    leaves: Vec<usize>,
    operators: usize,
}

impl Shape {
    fn add(&mut self, node: &Arc<dyn ExecutionPlan>) {
        self.operators += usize::from(!comes_and_goes(node));
        let children = node.children();
        if children.is_empty() {
            let leaf = match node.downcast_ref::<DistributedLeafExec>() {
                Some(leaf) => leaf.original(),
                None => node,
            };
            self.leaves.push(Arc::as_ptr(leaf).cast::<()>() as usize);
        }
        for child in children {
            self.add(child);
        }
    }
}

/// Operators that the distributed planner adds to a plan or takes out of it.
fn comes_and_goes(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is_network_boundary()
        || operator_of(node.as_ref()).is_incidental()
        || node
            .downcast_ref::<AggregateExec>()
            .is_some_and(|aggregate| *aggregate.mode() == AggregateMode::PartialReduce)
}
