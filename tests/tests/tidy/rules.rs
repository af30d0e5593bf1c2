//! The rules about sources: each takes files and returns what is wrong with them.

use super::source::Source;

/// STYLE.md point 2.
const FILE_LINES_MAX: usize = 600;
/// STYLE.md point 2.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that do not open with `//!`, and files that stand in the wrong place.
pub fn without_header(sources: &[Source]) -> Vec<String> {
    let headless = sources
        .iter()
        .filter(|source| !source.text.starts_with("//! "));
    let headless = headless.map(|source| format!("{}: no `//!` on the first line", source.path));
    let misplaced = sources
        .iter()
        .filter(|source| source.path.ends_with("/mod.rs"));
    headless
        .chain(misplaced.map(|source| format!("{}: `foo.rs` stands beside `foo/`", source.path)))
        .collect()
}

/// Files that are too long.
pub fn long_files(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.line_count > FILE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, source.line_count))
        .collect()
}

/// Functions that are too long.
pub fn long_functions(sources: &[Source]) -> Vec<String> {
    let find = |source: &Source| -> Vec<String> {
        source
            .functions()
            .into_iter()
            .filter(|function| function.line_count >= FUNCTION_LINES_MAX)
            .map(|f| {
                format!(
                    "{}:{}: {} has {} lines",
                    source.path, f.line, f.name, f.line_count
                )
            })
            .collect()
    };
    sources.iter().flat_map(find).collect()
}

/// Code that ends the process or the task instead of returning an error.
pub fn panics(sources: &[Source]) -> Vec<String> {
    let words = [".unwrap()", "panic!(", "todo!(", "unimplemented!(", "dbg!("];
    sources
        .iter()
        .flat_map(|source| {
            let mut findings = occurrences(&source.path, &source.code, &words);
            findings.extend(expectations(source));
            findings
        })
        .collect()
}

/// Calls of `expect` with nothing but a literal, which is blank here: a parser's `expect(token)` is
/// something else.
fn expectations(source: &Source) -> Vec<String> {
    let calls = source.code.match_indices(".expect(");
    calls
        .filter(|(at, call)| {
            let behind = source.code[at + call.len()..].trim_start();
            behind.starts_with([')', ','])
        })
        .map(|(at, call)| {
            let line = 1 + source.code[..at].matches('\n').count();
            format!("{}:{line}: {call}", source.path)
        })
        .collect()
}

/// Comments that put work off.
pub fn notes_to_self(sources: &[Source]) -> Vec<String> {
    // In pieces, so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK:"),
    ];
    sources
        .iter()
        .flat_map(|source| occurrences(&source.path, &source.text, &words))
        .collect()
}

/// Files, folders and crates that could hold anything.
pub fn vague_names(sources: &[Source]) -> Vec<String> {
    let vague = [
        "util", "utils", "common", "helper", "helpers", "manager", "misc",
    ];
    sources
        .iter()
        .filter(|source| {
            let stem = source.path.trim_end_matches(".rs");
            stem.split(['/', '-', '_'])
                .any(|part| vague.contains(&part))
        })
        .map(|source| source.path.clone())
        .collect()
}

/// Libraries that read environment variables or the command line. Examples are programs, and the tests
/// with other projects' clients are told where these are.
pub fn environment_readers(sources: &[Source]) -> Vec<String> {
    let words = [
        "env::var(",
        "env::var_os(",
        "env::vars(",
        "env::vars_os(",
        "env::args(",
        "env::args_os(",
    ];
    sources
        .iter()
        .filter(|source| !source.path.starts_with("src/") && !source.path.ends_with("build.rs"))
        .filter(|source| !source.path.contains("/examples/"))
        .filter(|source| !source.path.starts_with("tests/tests/clients/"))
        .flat_map(|source| occurrences(&source.path, &source.code, &words))
        .collect()
}

/// Code that names the base library elsewhere than in the planner, in the exchange or in the worker.
pub fn base_library_users(sources: &[Source]) -> Vec<String> {
    let allowed = [
        "exchange/src/",
        "executor/src/worker.rs",
        "executor/src/worker/",
        "planner/src/",
    ];
    sources
        .iter()
        .filter(|source| !allowed.iter().any(|place| source.path.starts_with(place)))
        .flat_map(|source| occurrences(&source.path, &source.code, &["datafusion_distributed::"]))
        .collect()
}

fn occurrences(path: &str, text: &str, words: &[&str]) -> Vec<String> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            let words = words.iter().filter(move |word| begins_word(line, word));
            words.map(move |word| format!("{path}:{}: {word}", index + 1))
        })
        .collect()
}

/// Whether `word` occurs and is not the end of a longer word: `HashMap` does not hold `Map`.
pub fn begins_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_') || word.starts_with('.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Source::parse_all(files.collect())
    }

    #[test]
    fn headers_and_places_are_checked() {
        let found = without_header(&sources(&[
            ("a/src/a.rs", "//! Why.\n"),
            ("a/src/b/mod.rs", "use a;\n"),
        ]));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn sizes_are_checked() {
        let body = "    a();\n".repeat(FUNCTION_LINES_MAX - 2);
        let long = format!("fn long() {{\n{body}}}\n");
        let short = format!("fn short() {{\n{}}}\n", &body[9..]);
        let files = sources(&[("a/src/a.rs", &long), ("a/src/b.rs", &short)]);
        assert_eq!(long_functions(&files), ["a/src/a.rs:1: long has 70 lines"]);

        let long = "//\n".repeat(FILE_LINES_MAX + 1);
        let with_tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "//\n".repeat(FILE_LINES_MAX)
        );
        let files = sources(&[("a/src/a.rs", &long), ("a/src/b.rs", &with_tests)]);
        assert_eq!(long_files(&files), ["a/src/a.rs: 601 lines"]);
    }

    #[test]
    fn panics_are_found_in_code_only() {
        let text = "// x.unwrap()\nfn a() { b(\".unwrap()\").unwrap(); unwrap_or(c) }\n#[cfg(test)]\nmod tests { fn a() { b.unwrap() } }\n";
        assert_eq!(
            panics(&sources(&[("a/src/a.rs", text)])),
            ["a/src/a.rs:2: .unwrap()"]
        );
        let text =
            "fn a() {\n  parser.expect(Token::Comma);\n  b.expect(\n    \"there\",\n  );\n}\n";
        assert_eq!(
            panics(&sources(&[("a/src/a.rs", text)])),
            ["a/src/a.rs:3: .expect("]
        );
    }

    #[test]
    fn notes_are_found_in_tests_too() {
        let text = format!("// {} later\n", concat!("TO", "DO"));
        assert_eq!(notes_to_self(&sources(&[("a/tests/a.rs", &text)])).len(), 1);
    }

    #[test]
    fn vague_names_are_found() {
        let files = [
            ("a/src/utils.rs", ""),
            ("a/src/common/b.rs", ""),
            ("a/src/communal.rs", ""),
        ];
        assert_eq!(vague_names(&sources(&files)).len(), 2);
    }

    #[test]
    fn readers_of_the_environment_are_found() {
        let text = "fn a() { std::env::var(b) }\n";
        let found = environment_readers(&sources(&[("src/a.rs", text), ("shell/src/a.rs", text)]));
        assert_eq!(found, ["shell/src/a.rs:1: env::var("]);
    }

    #[test]
    fn users_of_the_base_library_are_found() {
        let text = "use datafusion_distributed::Worker;\n";
        let files = [
            ("executor/src/worker.rs", text),
            ("executor/src/server.rs", text),
            ("planner/src/check.rs", text),
            ("coordinator/src/results.rs", text),
        ];
        let found = base_library_users(&sources(&files));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
