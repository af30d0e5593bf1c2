//! The first lines: where one is, and for somebody new three things to type.

use crate::format::width;
use crate::options::ShellOptions;

/// The lines, for a terminal of so many columns.
pub(super) fn text(options: &ShellOptions, columns: usize) -> String {
    let server = &options.server;
    let server = server.name.as_deref().unwrap_or(&server.url);
    let mut text = format!("Skep {}, {server}\n", options.version);
    let is_known = |file: &std::path::PathBuf| file.exists();
    if options.history_file.as_ref().is_some_and(is_known) {
        text.push_str("\\? help, \\q leave\n");
        return text;
    }
    let first = match options.demo {
        Some(_) => ("\\demo", "a small TPC-H database and a query on it"),
        None => ("\\dt", "the tables that there are"),
    };
    text.push_str("Three things to type:\n");
    for (typed, what) in [
        first,
        ("SELECT 1 + 1;", "any SQL, with ; at its end"),
        ("\\?", "all commands of the shell (\\q leaves)"),
    ] {
        let line = format!("  {typed:<15} {what}");
        match width(&line) <= columns {
            true => text.push_str(&line),
            false => text.push_str(&format!("  {typed}")),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_new_is_told_three_things() {
        let mut options = ShellOptions {
            version: "1.2.3".to_owned(),
            ..ShellOptions::default()
        };
        options.server.name = Some("embedded engine".to_owned());
        let first = text(&options, 80);
        assert!(first.starts_with("Skep 1.2.3, embedded engine\nThree things to type:\n  \\dt"));
        assert_eq!(first.lines().count(), 5);
        assert!(
            text(&options, 20)
                .lines()
                .skip(1)
                .all(|line| line.len() <= 22)
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        options.history_file = Some(file.path().to_owned());
        assert_eq!(text(&options, 80).lines().count(), 2);
    }
}
