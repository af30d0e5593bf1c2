//! What a run found out, as it is printed and written to JSON.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Serialize, Serializer};

use super::{ExecutorInfo, Machine, RunOptions, machine};
use crate::single::Timed;

/// What comparing a result came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Verification {
    /// Not compared, because nobody asked for it or there is no result.
    #[default]
    Skipped,
    /// As expected.
    Right,
    /// Not as expected: the first difference.
    Wrong(String),
}

impl Serialize for Verification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Verification::Skipped => serializer.serialize_none(),
            Verification::Right => serializer.serialize_bool(true),
            Verification::Wrong(_) => serializer.serialize_bool(false),
        }
    }
}

/// What is known of one query.
#[derive(Clone, Debug, Serialize)]
pub struct QueryReport {
    /// Its number.
    pub query: u8,
    /// The time of every iteration, in seconds, in order.
    pub seconds: Vec<f64>,
    /// The rows of its result.
    pub rows: Option<u64>,
    /// Whether its result was right; wrong in one iteration is wrong.
    pub verified: Verification,
    /// Why it failed, or where its result is wrong.
    pub error: Option<String>,
    /// The engine's names for its runs.
    pub query_ids: Vec<String>,
    /// The times on a single process, in seconds, where it was compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub single_seconds: Vec<f64>,
    #[serde(skip)]
    failed: bool,
}

impl QueryReport {
    pub(super) fn new(query: u8) -> QueryReport {
        QueryReport {
            query,
            seconds: Vec::new(),
            rows: None,
            verified: Verification::Skipped,
            error: None,
            query_ids: Vec::new(),
            single_seconds: Vec::new(),
            failed: false,
        }
    }

    pub(super) fn add(&mut self, timed: &Timed, verification: Verification) {
        self.seconds.push(timed.seconds);
        self.rows = Some(
            timed
                .batches
                .iter()
                .map(|batch| batch.num_rows() as u64)
                .sum(),
        );
        self.query_ids.extend(timed.query_id.clone());
        if let Verification::Wrong(difference) = &self.verified {
            tracing::debug!(query = self.query, %difference, "an earlier iteration was wrong");
            return;
        }
        if let Verification::Wrong(difference) = &verification {
            self.error = Some(difference.clone());
        }
        self.verified = verification;
    }

    pub(super) fn add_single(&mut self, seconds: f64) {
        self.single_seconds.push(seconds);
    }

    pub(super) fn fail(&mut self, error: &anyhow::Error) {
        self.failed = true;
        self.error = Some(format!("{error:#}"));
    }

    /// Whether every run of it returned rows that are right, as far as that was looked at.
    pub fn passed(&self) -> bool {
        !self.failed && !matches!(self.verified, Verification::Wrong(_))
    }

    /// Whether it ended in an error.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// The median of its times, in seconds.
    pub fn median(&self) -> Option<f64> {
        median(&self.seconds)
    }

    /// The shortest of its times, in seconds.
    pub fn minimum(&self) -> Option<f64> {
        self.seconds.iter().copied().reduce(f64::min)
    }

    /// The median of its times on a single process, in seconds.
    pub fn single_median(&self) -> Option<f64> {
        median(&self.single_seconds)
    }

    /// How many times as long it takes on the cluster as on a single process.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.median()? / self.single_median()?)
    }
}

/// The cluster beside a single process, over all queries that ran on both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SingleReport {
    /// The single process' cores.
    pub cores: usize,
    /// The sum of the queries' medians on the cluster, in seconds.
    pub cluster_seconds: f64,
    /// The same on the single process.
    pub single_seconds: f64,
    /// The ratio of the two sums.
    pub total_ratio: f64,
    /// The geometric mean of the queries' ratios.
    pub geometric_mean_ratio: f64,
}

impl SingleReport {
    fn new(cores: usize, queries: &[QueryReport]) -> Option<SingleReport> {
        let pairs: Vec<(f64, f64)> = queries
            .iter()
            .filter_map(|query| Some((query.median()?, query.single_median()?)))
            .collect();
        if pairs.is_empty() {
            return None;
        }
        let cluster_seconds: f64 = pairs.iter().map(|(cluster, _)| cluster).sum();
        let single_seconds: f64 = pairs.iter().map(|(_, single)| single).sum();
        let logarithms: f64 = pairs
            .iter()
            .map(|(cluster, single)| (cluster / single).ln())
            .sum();
        Some(SingleReport {
            cores,
            cluster_seconds,
            single_seconds,
            total_ratio: cluster_seconds / single_seconds,
            geometric_mean_ratio: (logarithms / pairs.len() as f64).exp(),
        })
    }
}

/// The versions that a run's times belong to.
#[derive(Clone, Debug, Serialize)]
pub struct Versions {
    /// Version and commit of `skep`.
    pub skep: String,
    /// DataFusion's version.
    pub datafusion: String,
    /// Arrow's version.
    pub arrow: String,
}

/// Everything that a run found out.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// Where it ran.
    pub machine: Machine,
    /// What ran.
    pub versions: Versions,
    /// What was run: scale, data, verification, and the engine's settings.
    pub settings: BTreeMap<String, String>,
    /// The queries, in the order that they ran in.
    pub queries: Vec<QueryReport>,
    /// The comparison with a single process, where it was asked for.
    pub single: Option<SingleReport>,
    /// `SHOW EXECUTORS` after the last query.
    pub executors: Vec<ExecutorInfo>,
    /// The most memory that this process has had resident, in bytes, where it is known: with an
    /// embedded engine the whole engine's, with a remote one only the benchmark's.
    pub peak_memory_bytes: Option<u64>,
    /// From the beginning of the run to its end, generating included, in seconds.
    pub elapsed_seconds: f64,
    /// Whether every query passed.
    pub passed: bool,
}

impl RunReport {
    pub(super) fn new(
        options: &RunOptions,
        queries: Vec<QueryReport>,
        executors: Vec<ExecutorInfo>,
        single_cores: Option<usize>,
        started: Instant,
    ) -> RunReport {
        RunReport {
            machine: Machine::this(),
            versions: Versions {
                skep: options.skep_version.clone(),
                datafusion: datafusion::DATAFUSION_VERSION.to_string(),
                arrow: arrow::ARROW_VERSION.to_string(),
            },
            settings: settings(options),
            single: single_cores.and_then(|cores| SingleReport::new(cores, &queries)),
            executors,
            peak_memory_bytes: machine::peak_memory_bytes(),
            elapsed_seconds: started.elapsed().as_secs_f64(),
            passed: queries.iter().all(QueryReport::passed),
            queries,
        }
    }

    /// Whether every query passed; if not, the process should exit with 1.
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// The report as indented JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

fn settings(options: &RunOptions) -> BTreeMap<String, String> {
    let verify = format!("{:?}", options.verify).to_lowercase();
    let queries: Vec<String> = options.queries.iter().map(u8::to_string).collect();
    let mut settings = options.settings.clone();
    settings.extend([
        ("scale".to_string(), options.scale.to_string()),
        ("queries".to_string(), queries.join(",")),
        ("iterations".to_string(), options.iterations.to_string()),
        ("url".to_string(), options.url.clone()),
        ("data".to_string(), options.data.url().to_string()),
        ("verify".to_string(), verify),
    ]);
    settings
}

/// The median, which for an even number of times is the mean of the middle two.
fn median(seconds: &[f64]) -> Option<f64> {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((sorted[sorted.len() / 2 - 1] + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(seconds: f64) -> Timed {
        Timed {
            seconds,
            batches: Vec::new(),
            query_id: Some("id".to_string()),
        }
    }

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn once_wrong_stays_wrong() {
        let mut report = QueryReport::new(6);
        report.add(&timed(0.2), Verification::Right);
        assert!(report.passed());
        report.add(&timed(0.1), Verification::Wrong("row 1".to_string()));
        report.add(&timed(0.3), Verification::Right);
        assert!(!report.passed());
        assert_eq!(report.error.as_deref(), Some("row 1"));
        assert_eq!((report.median(), report.minimum()), (Some(0.2), Some(0.1)));
        assert_eq!(report.query_ids.len(), 3);
    }

    #[test]
    fn a_failure_does_not_pass() {
        let mut report = QueryReport::new(6);
        report.fail(&anyhow::anyhow!("executor lost"));
        assert!(!report.passed() && report.failed());
        assert_eq!(report.median(), None);
    }

    #[test]
    fn ratios_are_totals_and_geometric_means() {
        let mut queries = Vec::new();
        for (cluster, single) in [(2.0, 1.0), (4.0, 8.0)] {
            let mut report = QueryReport::new(1);
            report.add(&timed(cluster), Verification::Skipped);
            report.add_single(single);
            queries.push(report);
        }
        queries.push(QueryReport::new(3));
        let single = SingleReport::new(2, &queries).expect("a comparison");
        assert_eq!((single.cluster_seconds, single.single_seconds), (6.0, 9.0));
        assert!((single.total_ratio - 6.0 / 9.0).abs() < 1e-12);
        assert!((single.geometric_mean_ratio - 1.0).abs() < 1e-12);
        assert_eq!(SingleReport::new(2, &queries[2..]), None);
    }
}
