//! Physical optimizer rules, applied before a plan is cut into stages.

pub(crate) mod bounds_pushdown;
pub(crate) mod compact_topk;
pub(crate) mod constant_partitions;
pub(crate) mod cooperate;
pub(crate) mod ordered_limits;
pub(crate) mod padded_constants;
pub(crate) mod pushdown;
pub(crate) mod rules;
pub(crate) mod waiting_joins;
