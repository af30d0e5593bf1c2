//! The files of the checkout.

use super::source::Source;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

/// The text of a file.
pub fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file.
pub fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root(), &mut paths);
    let texts = paths.into_iter().map(|path| {
        let name = path
            .strip_prefix(root())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (name, text)
    });
    let sources = Source::parse_all(texts.collect());
    assert!(
        sources.len() > 50,
        "only {} files were found",
        sources.len()
    );
    sources
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_str().unwrap();
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" {
                collect(&path, paths);
            }
        } else if name.ends_with(".rs") {
            paths.push(path);
        }
    }
    paths.sort();
}

/// The lines of a Markdown page that are commands beginning with `prefix`.
pub fn commands(page: &str, prefix: &str) -> Vec<String> {
    let mut commands: Vec<_> = page
        .lines()
        .map(|line| line.trim().trim_start_matches("$ "))
        .filter(|line| line.starts_with(prefix))
        .map(|line| line.split(" #").next().unwrap().trim().to_owned())
        .collect();
    commands.sort();
    commands.dedup();
    commands
}
