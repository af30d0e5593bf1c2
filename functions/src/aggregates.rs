//! Functions that make one value of many rows.

mod by;
mod collected;
mod histogram;
mod moments;
mod percentiles;

use crate::registry::{Entry, Example, Family, Functions, Implementation};
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, AggregateUDFImpl};
use datafusion_spark::function::aggregate as spark;
use std::sync::Arc;

/// How a function is described.
pub(crate) struct Described {
    pub(crate) syntax: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) text: &'static str,
    pub(crate) examples: &'static [(&'static str, &'static str)],
}

impl Described {
    pub(crate) fn name(&self) -> &'static str {
        self.syntax.split('(').next().unwrap_or(self.syntax)
    }

    /// The entry of a function that all sessions know by this name.
    pub(crate) fn entry(self, function: impl AggregateUDFImpl + 'static) -> Entry {
        self.shared(Arc::new(AggregateUDF::from(function)))
    }

    fn shared(self, function: Arc<AggregateUDF>) -> Entry {
        let examples = self.examples.iter();
        Entry {
            name: self.name(),
            aliases: self.aliases.to_vec(),
            family: Family::Both,
            syntax: self.syntax.to_owned(),
            text: self.text.to_owned(),
            examples: examples
                .map(|(sql, value)| Example { sql, value })
                .collect(),
            implementation: Implementation::Aggregate(function),
        }
    }
}

/// The one row of an array, of which there is no other.
pub(crate) fn only(
    array: &dyn datafusion::arrow::array::Array,
) -> Result<datafusion::scalar::ScalarValue> {
    datafusion::scalar::ScalarValue::try_from_array(array, 0)
}

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    for (described, function) in [
        (
            Described {
                syntax: "collect_list(value)",
                aliases: &[],
                text: "The array of all values that are not NULL.",
                examples: &[(
                    "size(collect_list(x)) FROM (VALUES (1), (2), (1)) t(x)",
                    "3",
                )],
            },
            spark::collect_list(),
        ),
        (
            Described {
                syntax: "collect_set(value)",
                aliases: &[],
                text: "The array of all different values that are not NULL.",
                examples: &[(
                    "sort_array(collect_set(x)) FROM (VALUES (1), (2), (1)) t(x)",
                    "[1, 2]",
                )],
            },
            spark::collect_set(),
        ),
        (
            Described {
                syntax: "try_sum(number)",
                aliases: &[],
                text: "The sum, or NULL where it is beyond its type.",
                examples: &[(
                    "try_sum(x) FROM (VALUES (9223372036854775807), (1)) t(x)",
                    "NULL",
                )],
            },
            spark::try_sum(),
        ),
    ] {
        functions.add(described.shared(function));
    }
    by::add(functions);
    moments::add(functions);
    percentiles::add(functions);
    histogram::add(functions);
}
