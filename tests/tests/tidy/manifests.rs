//! The rules about manifests: what may depend on what, and where versions stand.

use super::source::Source;
use super::{rules, tree};
use serde_json::Value;
use std::process::Command;

/// What each crate may depend on among ours. The binary and the tests compose and may use all.
const ALLOWED: [(&str, &[&str]); 19] = [
    ("skep-protocol", &[]),
    ("skep-parquet-statistics", &[]),
    ("skep-functions", &[]),
    ("skep-runtime", &["skep-functions", "skep-protocol"]),
    ("skep-storage", &["skep-protocol"]),
    (
        "skep-exchange",
        &["skep-listener", "skep-protocol", "skep-runtime"],
    ),
    (
        "skep-sql",
        &["skep-functions", "skep-protocol", "skep-runtime"],
    ),
    ("skep-scheduler", &["skep-protocol"]),
    (
        "skep-catalog",
        &["skep-parquet-statistics", "skep-protocol"],
    ),
    ("skep-client", &["skep-protocol"]),
    ("skep-hive-text", &["skep-protocol", "skep-runtime"]),
    ("skep-listener", &["skep-protocol"]),
    (
        "skep-writer",
        &[
            "skep-hive-text",
            "skep-protocol",
            "skep-runtime",
            "skep-storage",
        ],
    ),
    (
        "skep-executor",
        &[
            "skep-exchange",
            "skep-hive-text",
            "skep-listener",
            "skep-parquet-statistics",
            "skep-protocol",
            "skep-runtime",
            "skep-storage",
            "skep-writer",
        ],
    ),
    (
        "skep-planner",
        &[
            "skep-catalog",
            "skep-exchange",
            "skep-functions",
            "skep-hive-text",
            "skep-protocol",
            "skep-runtime",
            "skep-sql",
            "skep-writer",
        ],
    ),
    (
        "skep-coordinator",
        &[
            "skep-catalog",
            "skep-exchange",
            "skep-hive-text",
            "skep-listener",
            "skep-planner",
            "skep-protocol",
            "skep-runtime",
            "skep-scheduler",
            "skep-sql",
            "skep-storage",
            "skep-writer",
        ],
    ),
    (
        "skep-flight-service",
        &["skep-coordinator", "skep-listener", "skep-protocol"],
    ),
    ("skep-shell", &["skep-client", "skep-protocol", "skep-sql"]),
    ("skep-tpch", &["skep-client", "skep-protocol"]),
];

/// Crates that use all others.
const COMPOSING: [&str; 2] = ["skep", "skep-tests"];

/// Who must do without which library.
const WITHOUT: [(&str, &str); 13] = [
    ("skep-protocol", "datafusion"),
    ("skep-listener", "datafusion"),
    ("skep-catalog", "datafusion"),
    ("skep-client", "datafusion"),
    ("skep-shell", "datafusion"),
    ("skep-coordinator", "datafusion-distributed"),
    ("skep-runtime", "datafusion-distributed"),
    ("skep-scheduler", "datafusion"),
    ("skep-scheduler", "tokio"),
    ("skep-flight-service", "datafusion-distributed"),
    ("skep-tpch", "datafusion-distributed"),
    ("skep-coordinator", "sqlx"),
    ("skep-executor", "sqlx"),
];

/// A crate of the workspace.
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it depends on, for whatever purpose.
    pub dependencies: Vec<String>,
}

/// The crates of the workspace, as cargo sees them.
pub fn members() -> Vec<Member> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--locked",
            "--format-version",
            "1",
        ])
        .current_dir(tree::root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| Member {
            name: text(package),
            dependencies: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .map(text)
                .collect(),
        })
        .collect()
}

/// Dependencies that do not point down.
pub fn wrong_dependencies(members: &[Member]) -> Vec<String> {
    let mut findings = Vec::new();
    for member in members {
        let name = member.name.as_str();
        if COMPOSING.contains(&name) {
            continue;
        }
        let allowed = ALLOWED.iter().find(|(crate_name, _)| *crate_name == name);
        let Some((_, allowed)) = allowed else {
            findings.push(format!("{name} has no place in the picture"));
            continue;
        };
        for dependency in member.dependencies.iter().map(String::as_str) {
            let is_ours = dependency == "skep" || dependency.starts_with("skep-");
            let is_refused = WITHOUT
                .iter()
                .any(|(who, what)| *who == name && is_part_of(dependency, what));
            if is_refused || is_ours && !allowed.contains(&dependency) {
                findings.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    findings
}

/// Whether `dependency` is `library` or, like `datafusion-sql`, a part of it.
fn is_part_of(dependency: &str, library: &str) -> bool {
    dependency == library || dependency.starts_with(&format!("{library}-"))
}

/// The manifests of the members, that of the binary among them, with their paths.
pub fn texts() -> Vec<(String, String)> {
    let root: toml::Table = tree::read("Cargo.toml").parse().unwrap();
    let members = root["workspace"]["members"].as_array().unwrap();
    let paths = members.iter().map(|member| match member.as_str().unwrap() {
        "." => "Cargo.toml".to_owned(),
        member => format!("{member}/Cargo.toml"),
    });
    let texts: Vec<_> = paths
        .map(|path| (path.clone(), tree::read(&path)))
        .collect();
    assert!(texts.len() >= ALLOWED.len());
    texts
}

/// Dependencies that are not inherited from the workspace.
pub fn own_versions(manifests: &[(String, String)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in manifests {
        let manifest: toml::Table = text.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, dependency) in dependencies {
                let inherits = dependency.get("workspace").and_then(toml::Value::as_bool);
                if inherits != Some(true) {
                    findings.push(format!(
                        "{path}: {name} is not inherited from the workspace"
                    ));
                }
            }
        }
    }
    findings
}

/// What is depended on for its features alone.
const FOR_FEATURES: [(&str, &str); 1] = [
    // A client reads compressed batches.
    ("client/Cargo.toml", "arrow-ipc"),
];

/// Dependencies that no source of their crate names. The sources that a build script makes are not seen: a
/// crate with one is left out.
pub fn unused_dependencies(manifests: &[(String, String)], sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in manifests {
        let folder = path.trim_end_matches("Cargo.toml");
        let is_own = |source: &&Source| match folder {
            "" => source.path.starts_with("src/"),
            _ => source.path.starts_with(folder),
        };
        let own: Vec<_> = sources.iter().filter(is_own).collect();
        if own.iter().any(|source| source.path.ends_with("build.rs")) {
            continue;
        }
        let manifest: toml::Table = text.parse().unwrap();
        for section in ["dependencies", "dev-dependencies"] {
            let dependencies = manifest.get(section).and_then(toml::Value::as_table);
            for name in dependencies.into_iter().flat_map(toml::Table::keys) {
                let named = format!("{}::", name.replace('-', "_"));
                let is_named =
                    |text: &str| text.lines().any(|line| rules::begins_word(line, &named));
                let has_features = FOR_FEATURES.contains(&(path.as_str(), name.as_str()));
                if !has_features && !own.iter().any(|source| is_named(&source.text)) {
                    findings.push(format!("{path}: no source names {name}"));
                }
            }
        }
    }
    findings
}

/// Members that do not take their lints from the workspace. The crate of tests is all test code, in
/// which panics are how a test fails, and has its own.
pub fn without_lints(manifests: &[(String, String)]) -> Vec<String> {
    let lints = |text: &str| -> Option<toml::Value> {
        let manifest: toml::Table = text.parse().unwrap();
        manifest.get("lints").cloned()
    };
    manifests
        .iter()
        .filter(|(path, _)| path != "tests/Cargo.toml")
        .filter(|(_, text)| {
            let inherits = lints(text).and_then(|lints| lints.get("workspace")?.as_bool());
            inherits != Some(true)
        })
        .map(|(path, _)| format!("{path}: no `[lints] workspace = true`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, dependency: &str) -> usize {
        let member = Member {
            name: name.to_owned(),
            dependencies: vec!["tokio".to_owned(), dependency.to_owned()],
        };
        wrong_dependencies(&[member]).len()
    }

    #[test]
    fn wrong_dependencies_are_found() {
        assert_eq!(findings("skep-coordinator", "skep-planner"), 0);
        assert_eq!(findings("skep-planner", "skep-coordinator"), 1);
        assert_eq!(findings("skep-coordinator", "datafusion-distributed"), 1);
        assert_eq!(findings("skep", "skep-executor"), 0);
        assert_eq!(findings("skep-coordinator", "skep-executor"), 1);
        assert_eq!(findings("skep-executor", "skep-coordinator"), 1);
        assert_eq!(findings("skep-executor", "skep-catalog"), 1);
        assert_eq!(findings("skep-shell", "skep-coordinator"), 1);
        assert_eq!(findings("skep-tpch", "skep-exchange"), 1);
        assert_eq!(findings("skep-catalog", "datafusion-common"), 1);
        assert_eq!(findings("skep-catalog", "datafusion"), 1);
        assert_eq!(findings("skep-protocol", "skep"), 1);
        assert_eq!(findings("skep-novelty", "serde"), 1);
    }

    #[test]
    fn unused_dependencies_are_found() {
        let text = "[dependencies]\nserde-json.workspace = true\nuuid.workspace = true\n";
        let manifests = [("a/Cargo.toml".to_owned(), text.to_owned())];
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let sources = Source::parse_all(vec![
            file("a/src/lib.rs", "use serde_json::Value;\n"),
            file("b/src/lib.rs", "use uuid::Uuid;\n"),
        ]);
        let found = unused_dependencies(&manifests, &sources);
        assert_eq!(found, ["a/Cargo.toml: no source names uuid"]);
    }

    #[test]
    fn own_versions_and_lints_are_found() {
        let manifest = |text: &str| vec![("a/Cargo.toml".to_owned(), text.to_owned())];
        let own = manifest(
            "[dependencies]\na = \"1\"\nb.workspace = true\n[dev-dependencies]\nc = { path = \"x\" }\n",
        );
        assert_eq!(own_versions(&own).len(), 2);
        assert_eq!(without_lints(&own).len(), 1);
        assert_eq!(
            without_lints(&manifest("[lints]\nworkspace = true\n")).len(),
            0
        );
    }
}
