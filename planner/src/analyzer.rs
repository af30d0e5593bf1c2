//! Analyzer rules: what a statement means, decided on the logical plan before the optimizer sees it.

pub(crate) mod aggregate_orders;
pub(crate) mod checked_arithmetic;
pub(crate) mod decimal_sums;
pub(crate) mod distribute_by;
pub(crate) mod float_keys;
pub(crate) mod interval_operators;
pub(crate) mod interval_order;
pub(crate) mod microseconds;
pub(crate) mod nested_types;
pub(crate) mod null_fields;
pub(crate) mod numeric_types;
pub(crate) mod set_multiplicity;
pub(crate) mod sql_types;
pub(crate) mod subqueries;
pub(crate) mod window_arguments;
pub(crate) mod window_flags;

#[cfg(test)]
mod every_function;
