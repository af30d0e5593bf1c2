//! The planner's table of operators against the operators that exist.

use super::tree;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The table.
const TABLE: &str = "planner/src/distribution/operators.rs";

/// The libraries whose operators a plan may hold.
const LIBRARIES: [&str; 7] = [
    "datafusion",
    "datafusion-catalog",
    "datafusion-datasource",
    "datafusion-distributed",
    "datafusion-functions-table",
    "datafusion-physical-optimizer",
    "datafusion-physical-plan",
];

/// Operators of the libraries that no plan of ours holds: those of their tests, of their benchmarks, and wrappers
/// that are named like what they wrap.
const NEVER_PLANNED: [&str; 5] = [
    "MetricsWrapperExec",
    "RowGeneratorExec",
    "SamplerExec",
    "URLEmitterExec",
    "PanicGuardExec",
];

/// Operators that the table does not know, each with where it is defined.
pub fn unknown() -> Vec<String> {
    let table = tree::read(TABLE);
    let mut files = Vec::new();
    for folder in folders() {
        collect(&folder, &mut files);
    }
    let mut findings = BTreeSet::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for name in defined(&text) {
            let is_known = table.contains(&format!("\"{name}\"")) || NEVER_PLANNED.contains(&name);
            if !is_known {
                findings.insert(format!("{name} in {}", path.display()));
            }
        }
    }
    findings.into_iter().collect()
}

/// The operators that a file defines outside of its tests.
fn defined(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter_map(|line| line.strip_prefix("impl ExecutionPlan for "));
    lines
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next())
        .filter(|name| name.ends_with("Exec"))
}

/// The folders of sources: those of the libraries, and our crates'.
fn folders() -> Vec<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1"])
        .args(["--filter-platform", &host()])
        .current_dir(tree::root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let packages = metadata["packages"].as_array().unwrap();
    let folders: Vec<_> = packages
        .iter()
        .filter(|package| {
            let name = package["name"].as_str().unwrap();
            LIBRARIES.contains(&name) || name.starts_with("skep-") && name != "skep-tests"
        })
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            manifest.parent().unwrap().join("src")
        })
        .collect();
    assert!(folders.len() > LIBRARIES.len(), "{folders:?}");
    folders
}

/// The platform of this machine: the libraries of others need not have been downloaded.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_for_tests = ["test", "test.rs", "tests", "test_utils", "tests.rs"].contains(&name);
        if path.is_dir() && !is_for_tests {
            collect(&path, files);
        } else if name.ends_with(".rs") && !is_for_tests {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_found() {
        let text = "impl ExecutionPlan for NewExec {\n}\nimpl ExecutionPlan for Barrier {}\n#[cfg(test)]\nmod tests { impl ExecutionPlan for TestExec {} }\n";
        assert_eq!(defined(text).collect::<Vec<_>>(), ["NewExec"]);
    }
}
