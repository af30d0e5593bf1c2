//! Checks that the tree keeps to STYLE.md and to the invariants of ARCHITECTURE.md, as far as a
//! program can see it. What clippy, rustfmt and cargo-deny check is left to them.
//!
//! Each rule is a plain function from sources or manifests to findings and has a test of its own
//! that it finds something.

mod manifests;
mod operators;
mod rings;
mod rules;
mod source;
mod tree;

use std::fmt::Write;

/// Fails with every finding on a line of its own, so that one run is enough to mend them all.
fn assert_none(rule: &str, findings: Vec<String>) {
    let mut message = format!("{rule}:\n");
    for finding in &findings {
        let _ = writeln!(message, "  {finding}");
    }
    assert!(findings.is_empty(), "{message}");
}

#[test]
fn every_source_file_says_why_it_exists() {
    assert_none(
        "a file opens with a `//!` comment",
        rules::without_header(&tree::sources()),
    );
}

#[test]
fn files_stay_small() {
    assert_none(
        "a file stays under 600 lines without its tests",
        rules::long_files(&tree::sources()),
    );
}

#[test]
fn functions_stay_small() {
    assert_none(
        "a function stays under 70 lines",
        rules::long_functions(&tree::sources()),
    );
}

#[test]
fn nothing_panics_on_purpose() {
    assert_none(
        "outside of tests, errors are returned",
        rules::panics(&tree::sources()),
    );
}

#[test]
fn nothing_is_left_for_later() {
    assert_none(
        "what is missing is an issue, not a comment",
        rules::notes_to_self(&tree::sources()),
    );
}

#[test]
fn names_say_what_is_inside() {
    assert_none(
        "modules and crates have telling names",
        rules::vague_names(&tree::sources()),
    );
}

#[test]
fn only_the_binary_reads_the_environment() {
    assert_none(
        "libraries get typed values",
        rules::environment_readers(&tree::sources()),
    );
}

#[test]
fn the_base_library_is_named_in_three_places() {
    assert_none(
        "only the planner, the exchange and the executor's worker know datafusion-distributed",
        rules::base_library_users(&tree::sources()),
    );
}

#[test]
fn dependencies_point_one_way() {
    assert_none(
        "crates depend on those below them",
        manifests::wrong_dependencies(&manifests::members()),
    );
}

#[test]
fn no_dependency_is_unused() {
    assert_none(
        "a crate depends on what its sources name",
        manifests::unused_dependencies(&manifests::texts(), &tree::sources()),
    );
}

#[test]
fn the_planner_knows_every_operator() {
    assert_none(
        "an operator has a row in the planner's table",
        operators::unknown(),
    );
}

#[test]
fn modules_form_no_rings() {
    assert_none(
        "modules know each other one way",
        rings::rings(&tree::sources()),
    );
}

#[test]
fn versions_are_only_in_the_root_manifest() {
    assert_none(
        "members inherit versions",
        manifests::own_versions(&manifests::texts()),
    );
}

#[test]
fn every_crate_has_the_same_lints() {
    assert_none(
        "members inherit lints",
        manifests::without_lints(&manifests::texts()),
    );
}

#[test]
fn the_readme_says_what_continuous_integration_runs() {
    let readme = tree::read("README.md");
    let tests = tree::commands(&readme, "cargo test");
    assert_eq!(tests.len(), 1, "one command runs the tests: {tests:?}");
    let script = tree::read(".ci/run");
    let steps: Vec<_> = script
        .lines()
        .map(|line| line.trim_start_matches("step ").trim())
        .collect();
    assert!(
        steps.contains(&tests[0].as_str()),
        ".ci/run does not run `{}`",
        tests[0]
    );
    let runs = tree::commands(&readme, "cargo run --release -- tpch run --scale 1");
    assert!(
        !runs.is_empty(),
        "the README does not say how to run the benchmark"
    );
}
