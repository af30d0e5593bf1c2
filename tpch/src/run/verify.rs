//! Finds out whether a result is right.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::Context;
use arrow::record_batch::RecordBatch;

use super::report::Verification;
use super::{RunOptions, Verify};
use crate::answers;
use crate::compare::{Expected, compare};
use crate::generate::cores;
use crate::queries::{query_with_limit, result_order};
use crate::single::Single;
use crate::value::Rows;

/// By how much the oracle raises a query's limit to see the rows that are tied at it.
const LIMIT_RAISE: usize = 100;

/// Refuses a way to verify that the scale does not allow.
pub(super) fn check(verify: Verify, scale: f64) -> anyhow::Result<()> {
    if verify == Verify::Answers && !answers::scales().contains(&scale) {
        let scales: Vec<String> = answers::scales().iter().map(f64::to_string).collect();
        anyhow::bail!(
            "no answers are kept for scale {scale}, only for {}: verify with 'oracle'",
            scales.join(" and ")
        );
    }
    Ok(())
}

/// Knows the expected result of each query that it was asked about.
pub(super) struct Verifier {
    source: Source,
    scale: f64,
    expected: HashMap<u8, Expected>,
}

enum Source {
    Answers,
    Oracle(Single),
    None,
}

impl Verifier {
    pub async fn new(options: &RunOptions) -> anyhow::Result<Verifier> {
        let source = match options.verify {
            Verify::Answers => Source::Answers,
            Verify::Oracle => Source::Oracle(Single::start(cores(), &options.data).await?),
            Verify::None => Source::None,
        };
        Ok(Verifier {
            source,
            scale: options.scale,
            expected: HashMap::new(),
        })
    }

    /// Compares a result with the expected one. An error means that nothing can be compared.
    pub async fn verify(
        &mut self,
        number: u8,
        batches: &[RecordBatch],
    ) -> anyhow::Result<Verification> {
        let expected = match self.expected.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => match expected(&self.source, number, self.scale).await? {
                Some(expected) => entry.insert(expected),
                None => return Ok(Verification::Skipped),
            },
        };
        let actual = match Rows::from_batches(batches) {
            Ok(actual) => actual,
            Err(error) => return Ok(Verification::Wrong(error.to_string())),
        };
        Ok(match compare(expected, &actual, result_order(number)) {
            Ok(()) => Verification::Right,
            Err(mismatch) => Verification::Wrong(mismatch.to_string()),
        })
    }
}

async fn expected(source: &Source, number: u8, scale: f64) -> anyhow::Result<Option<Expected>> {
    match source {
        Source::None => Ok(None),
        Source::Answers => {
            let rows = answers::answer(number, scale)?;
            let rows = rows.with_context(|| format!("no answer is kept for query {number}"))?;
            // The files list all rows tied at a limit.
            Ok(Some(Expected {
                rows,
                ties_complete: true,
            }))
        }
        Source::Oracle(single) => {
            let order = result_order(number);
            let limit = order.limit.unwrap_or_default() + LIMIT_RAISE;
            let sql = query_with_limit(number, scale, limit);
            let sql = sql.with_context(|| format!("there is no query {number}"))?;
            let result = single.query(&sql).await;
            let batches = result
                .with_context(|| format!("query {number} on the oracle"))?
                .batches;
            let rows = Rows::from_batches(&batches)?;
            Ok(Some(Expected::from_raised_limit(rows, order, limit)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_without_answers_points_to_the_oracle() {
        let error = check(Verify::Answers, 3.0)
            .expect_err("no answers")
            .to_string();
        assert!(
            error.contains("scale 3") && error.contains("'oracle'"),
            "{error}"
        );
        for verify in [Verify::Oracle, Verify::None] {
            check(verify, 3.0).expect("any scale");
        }
        check(Verify::Answers, 1.0).expect("kept");
    }
}
