//! All functions, with the names that each family has for them.
//!
//! Plans travel to executors with the names of functions. One whose meaning depends on the family has a name
//! of its own for that, `hive_substr`, under which every node knows it; a session of the family knows it as
//! `substr`, too.

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF};
use std::sync::{Arc, LazyLock};

/// Which sessions know a function by its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// All: no other function has its name.
    Both,
    /// Those of Hive's dialect: the other has another function of that name.
    Hive,
}

impl Family {
    /// The name in plans.
    pub(crate) fn internal_name(self, name: &str) -> String {
        match self {
            Self::Both => name.to_owned(),
            Self::Hive => format!("hive_{name}"),
        }
    }
}

/// What a session's SQL is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL's and DuckDB's names and meanings.
    #[default]
    Ansi,
    /// Hive's and Spark's.
    Hive,
}

/// An expression and the text of its value.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The expression.
    pub sql: &'static str,
    /// Its value.
    pub value: &'static str,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What people call it.
    pub name: &'static str,
    /// And other names.
    pub aliases: Vec<&'static str>,
    /// Where it has these names.
    pub family: Family,
    /// How it is called.
    pub syntax: String,
    /// What it does.
    pub text: String,
    /// Uses, in Hive's dialect.
    pub examples: Vec<Example>,
    /// The function itself.
    pub implementation: Implementation,
}

/// A function itself.
#[derive(Clone, Debug)]
pub enum Implementation {
    /// A value for each row.
    Scalar(Arc<ScalarUDF>),
    /// A value for many rows.
    Aggregate(Arc<AggregateUDF>),
    /// A value for each row, with a lambda among its arguments.
    HigherOrder(Arc<HigherOrderUDF>),
}

/// What modules add their functions to.
#[derive(Default)]
pub struct Functions(Vec<Entry>);

impl Functions {
    /// One more.
    pub fn add(&mut self, entry: impl Into<Entry>) {
        self.0.push(entry.into());
    }
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let mut functions = Functions::default();
    crate::add_all(&mut functions);
    functions.0
});

/// All functions.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

impl Entry {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }

    /// Makes it known under its names in plans, and, where it is `shown`, under those that people use.
    fn register(&self, registry: &mut dyn FunctionRegistry, shown: bool) -> Result<()> {
        let aliases = || -> Vec<&'static str> { self.names().collect() };
        let is_renamed = shown && self.family == Family::Hive;
        match &self.implementation {
            Implementation::Scalar(function) => {
                let function = match is_renamed {
                    true => Arc::new(function.as_ref().clone().with_aliases(aliases())),
                    false => Arc::clone(function),
                };
                registry.register_udf(function)?;
            }
            Implementation::Aggregate(function) => {
                let function = match is_renamed {
                    true => Arc::new(function.as_ref().clone().with_aliases(aliases())),
                    false => Arc::clone(function),
                };
                registry.register_udaf(function)?;
            }
            Implementation::HigherOrder(function) => {
                let function = match is_renamed {
                    true => Arc::new(function.as_ref().clone().with_aliases(aliases())),
                    false => Arc::clone(function),
                };
                registry.register_higher_order_function(function)?;
            }
        }
        Ok(())
    }
}

/// Makes the functions known to a session that runs tasks: by their names in plans.
///
/// # Errors
/// The registry's, where it takes no functions.
pub fn register_for_tasks(registry: &mut dyn FunctionRegistry) -> Result<()> {
    ENTRIES
        .iter()
        .try_for_each(|entry| entry.register(registry, false))
}

/// Makes the functions known to a session that plans statements of `dialect`, which may have planned those
/// of another before.
///
/// # Errors
/// The registry's, where it takes no functions.
pub fn register_for_planning(registry: &mut dyn FunctionRegistry, dialect: Dialect) -> Result<()> {
    if dialect == Dialect::Ansi {
        restore_defaults(registry)?;
    }
    let is_shown = |entry: &Entry| dialect == Dialect::Hive || entry.family == Family::Both;
    ENTRIES
        .iter()
        .try_for_each(|entry| entry.register(registry, is_shown(entry)))
}

/// Gives names that Hive's functions may have taken back to DataFusion's.
fn restore_defaults(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let taken: Vec<&str> = ENTRIES
        .iter()
        .filter(|entry| entry.family == Family::Hive)
        .flat_map(Entry::names)
        .collect();
    let is_taken = |name: &str, aliases: &[String]| {
        taken.contains(&name) || aliases.iter().any(|alias| taken.contains(&alias.as_str()))
    };
    let scalars = datafusion::functions::all_default_functions();
    let nested = datafusion::functions_nested::all_default_nested_functions();
    for function in scalars.into_iter().chain(nested) {
        if is_taken(function.name(), function.aliases()) {
            registry.register_udf(function)?;
        }
    }
    for function in all_default_aggregate_functions() {
        if is_taken(function.name(), function.aliases()) {
            registry.register_udaf(function)?;
        }
    }
    Ok(())
}

/// The names of functions that take lambdas.
pub fn higher_order_names() -> impl Iterator<Item = &'static str> {
    let entries = ENTRIES.iter();
    entries
        .filter(|entry| matches!(entry.implementation, Implementation::HigherOrder(_)))
        .flat_map(Entry::names)
}

/// The names of aggregates.
pub fn aggregate_names() -> impl Iterator<Item = &'static str> {
    let entries = ENTRIES.iter();
    entries
        .filter(|entry| matches!(entry.implementation, Implementation::Aggregate(_)))
        .flat_map(Entry::names)
}
