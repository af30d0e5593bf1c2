//! Expressions that may fail are evaluated only for rows that the conditions before them let pass.
//!
//! `WHERE y <> 0 AND x / y > 1` must not divide by zero, whatever a batch holds. DataFusion's AND, OR and the
//! operators around them do not promise that: it evaluates both sides of AND for a whole batch unless few rows
//! pass the left one, reorders and splits conjunctions, pushes each part of them as deep as its columns allow,
//! and moves projections below filters. So a condition that may fail ([`failure`]) is made to carry the
//! conditions that guard it: `y <> 0 AND guarded(y <> 0, x / y > 1)`. Wherever it goes then, it is evaluated on
//! selected rows only; the guards stand beside it as before, to be pushed down and to prune. Nothing is changed
//! where nothing may fail.
//!
//! - [`GuardConditions`] does that to the conditions of filters and joins and to aggregates with FILTER.
//! - [`OrderedFilters`] keeps a condition that may fail from passing joins and filters that stood below it.
//! - [`constants`] hides constants that have no value from those who would compute them.
//! - [`lower`] writes the calls of `guarded` as CASE when a plan becomes physical, since CASE evaluates its
//!   branches on selected rows. It must not happen earlier: the optimizer writes CASE as AND.
//! - [`barriers`] does in physical plans what [`OrderedFilters`] does in logical ones.
//!
//! Decision: A condition that may fail carries the conditions before it; CASE is written only when plans become
//! physical, since the optimizer turns it back into AND. New functions that cannot fail belong into `TOTAL` in
//! `guards/failure.rs`.

pub(crate) mod barriers;
mod call;
mod conditions;
mod constants;
pub(crate) mod failure;
mod lower;
mod ordered;

pub(crate) use conditions::GuardConditions;
pub(crate) use lower::GuardedPlanner;
pub(crate) use ordered::OrderedFilters;

#[cfg(test)]
mod tests;
