//! From a physical plan to stages and tasks, and the proof that they compute what the plan means.

pub(crate) mod bulk_scan;
pub(crate) mod client_rows;
pub(crate) mod direct;
pub(crate) mod distribute;
pub(crate) mod operators;
pub(crate) mod place_head;
pub(crate) mod plan_check;
pub(crate) mod routing;
pub(crate) mod sendable;
pub(crate) mod sent_plans;
pub(crate) mod streams;
