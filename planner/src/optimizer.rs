//! Logical optimizer rules: the base library's, wrapped where they go wrong, and Skep's own.

pub(crate) mod flat_unions;
pub(crate) mod guards;
pub(crate) mod leaves;
pub(crate) mod null_aware_joins;
pub(crate) mod rules;
