//! The functions that SQL names: Skep's own, and those of other projects that mean what their manuals say.
//!
//! [`register_for_planning`] gives a session the functions of its dialect under the names that people use;
//! [`register_for_tasks`] gives one that runs tasks all of them, under their names in plans.

mod adopted;
mod aggregates;
mod arrays;
mod conditions;
mod dates;
mod hashes;
mod json;
mod lambdas;
mod lists;
mod maps;
mod numbers;
mod planner;
mod reading;
pub mod reference;
mod registry;
mod scalar;
mod strings;
mod types;
mod value;

pub use planner::{DialectPlanner, scalar_function};
pub use reading::WithLambdas;
pub use registry::{
    Dialect, Entry, Example, Family, Implementation, aggregate_names, entries, higher_order_names,
    register_for_planning, register_for_tasks,
};

/// Adds the functions of all modules.
fn add_all(functions: &mut registry::Functions) {
    dates::add(functions);
    strings::add(functions);
    numbers::add(functions);
    conditions::add(functions);
    hashes::add(functions);
    arrays::add(functions);
    maps::add(functions);
    json::add(functions);
    lambdas::add(functions);
    aggregates::add(functions);
    adopted::add(functions);
}
