//! What this build is: for `skep --version`, the benchmark's report and the handshake of a cluster.

/// The release.
pub const SKEP: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, or `unknown`.
pub const COMMIT: &str = env!("COMMIT_AT_BUILD");

/// The version of DataFusion below it.
pub const DATAFUSION: &str = datafusion::DATAFUSION_VERSION;

/// The version of Arrow below it.
pub const ARROW: &str = arrow::ARROW_VERSION;

/// The answer to `skep --version`, without the program's name.
pub fn long() -> String {
    format!("{SKEP} (commit {COMMIT})\ndatafusion {DATAFUSION}\narrow {ARROW}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_every_part() {
        let lines = long();
        let lines: Vec<_> = lines.lines().collect();
        assert!(lines[0].starts_with(SKEP) && lines[0].contains("commit "));
        assert!(!COMMIT.is_empty() && !COMMIT.contains('\n'));
        assert!(lines[1].starts_with("datafusion 55."));
        assert!(lines[2].starts_with("arrow 59."));
    }
}
