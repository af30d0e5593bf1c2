//! Regular expressions, in the syntax of the `regex` crate: Java's without looking around and back.

use crate::registry::Functions;
use crate::rows;
use crate::scalar::scalar;
use crate::value::{Boolean, Int, Long, Text, Texts};
use datafusion::common::exec_err;
use datafusion::error::Result;
use regex::{Captures, Regex};

/// The expression that was used last, so that it is compiled once.
#[derive(Default)]
struct Compiled(Option<(String, Regex)>);

impl Compiled {
    fn get(&mut self, pattern: &str) -> Result<&Regex> {
        let known = self.0.take().filter(|(known, _)| known == pattern);
        let compiled = match known {
            Some(known) => known,
            None => match Regex::new(pattern) {
                Ok(regex) => (pattern.to_owned(), regex),
                Err(_) => return exec_err!("'{pattern}' is not a regular expression"),
            },
        };
        Ok(&self.0.insert(compiled).1)
    }
}

fn group<'a>(captures: &Captures<'a>, index: i64, pattern: &str) -> Result<&'a str> {
    let count = captures.len();
    match usize::try_from(index) {
        Ok(index) if index < count => Ok(captures.get(index).map_or("", |found| found.as_str())),
        _ => exec_err!("the regular expression '{pattern}' has no group {index}"),
    }
}

fn extract(
    compiled: &mut Compiled,
    text: &str,
    pattern: &str,
    index: i64,
) -> Result<Option<String>> {
    match compiled.get(pattern)?.captures(text) {
        Some(captures) => Ok(Some(group(&captures, index, pattern)?.to_owned())),
        None => Ok(Some(String::new())),
    }
}

fn extract_all(
    compiled: &mut Compiled,
    text: &str,
    pattern: &str,
    index: i64,
) -> Result<Option<Vec<Option<String>>>> {
    let found = compiled.get(pattern)?.captures_iter(text);
    let groups = found.map(|captures| Ok(Some(group(&captures, index, pattern)?.to_owned())));
    groups.collect::<Result<Vec<_>>>().map(Some)
}

/// A replacement as Java writes it, where `$1` is a group and a backslash takes the meaning from what
/// follows.
fn expand(replacement: &str, captures: &Captures) -> String {
    let mut text = String::new();
    let mut letters = replacement.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.extend(letters.next()),
            '$' => {
                let mut index = None;
                while let Some(digit) = letters.peek().and_then(|next| next.to_digit(10)) {
                    let longer = index.unwrap_or(0) * 10 + digit as usize;
                    if index.is_some() && longer >= captures.len() {
                        break;
                    }
                    index = Some(longer);
                    letters.next();
                }
                match index {
                    Some(index) => text.push_str(captures.get(index).map_or("", |f| f.as_str())),
                    None => text.push('$'),
                }
            }
            other => text.push(other),
        }
    }
    text
}

fn replace(
    compiled: &mut Compiled,
    text: &str,
    pattern: &str,
    with: &str,
    start: i64,
) -> Result<Option<String>> {
    let Ok(skipped) = usize::try_from(start - 1) else {
        return exec_err!("the position {start} is not positive");
    };
    let Some((offset, _)) = text.char_indices().nth(skipped).or_else(|| {
        // The end is a place where an empty text is found.
        (skipped == 0).then_some((0, ' '))
    }) else {
        return Ok(Some(text.to_owned()));
    };
    let (head, tail) = text.split_at(offset);
    let replaced = compiled
        .get(pattern)?
        .replace_all(tail, |captures: &Captures| expand(with, captures));
    Ok(Some(format!("{head}{replaced}")))
}

/// The parts between what the expression finds: at most `limit` where that is positive.
fn split(
    compiled: &mut Compiled,
    text: &str,
    pattern: &str,
    limit: i64,
) -> Result<Vec<Option<String>>> {
    let regex = compiled.get(pattern)?;
    let parts_max = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    let mut parts = Vec::new();
    let mut start = 0;
    for found in regex.find_iter(text) {
        if parts_max.is_some_and(|max| parts.len() + 1 >= max) {
            break;
        }
        // Where nothing is found before the first letter or behind the last, nothing is split off.
        if found.is_empty() && (found.start() == 0 || found.end() == text.len()) {
            continue;
        }
        parts.push(Some(
            text.get(start..found.start())
                .unwrap_or_default()
                .to_owned(),
        ));
        start = found.end();
    }
    parts.push(Some(text.get(start..).unwrap_or_default().to_owned()));
    Ok(parts)
}

pub(super) fn add(functions: &mut Functions) {
    add_matching(functions);
    add_extraction(functions);
    add_replacement(functions);
    add_search(functions);
    add_split(functions);
}

fn add_matching(functions: &mut Functions) {
    functions.add(
        scalar(
            "rlike(text, pattern)",
            "Whether a regular expression is found in a text.",
        )
        .aliases(&["regexp"])
        .example(r"rlike('100 apples', '[0-9]+ a')", "true")
        .body(rows!(let mut compiled = Compiled::default();
        |text: Text, pattern: Text| -> Boolean {
            Ok(Some(compiled.get(pattern)?.is_match(text)))
        })),
    );
}

fn add_extraction(functions: &mut Functions) {
    functions.add(
        scalar(
            "regexp_extract(text, pattern[, group])",
            "What a group, the first, of a regular expression matches where it is first found; an empty text \
             where it is not.",
        )
        .example("regexp_extract('100-200', '([0-9]+)-([0-9]+)', 1)", "100")
        .body(rows!(let mut compiled = Compiled::default();
            |text: Text, pattern: Text| -> Text { extract(&mut compiled, text, pattern, 1) }))
        .body(rows!(let mut compiled = Compiled::default();
            |text: Text, pattern: Text, index: Long| -> Text {
                extract(&mut compiled, text, pattern, index)
            })),
    );
    functions.add(
        scalar(
            "regexp_extract_all(text, pattern[, group])",
            "What a group, the first, of a regular expression matches wherever it is found.",
        )
        .example(
            "regexp_extract_all('100-200, 300-400', '([0-9]+)-([0-9]+)', 1)",
            "[100, 300]",
        )
        .body(rows!(let mut compiled = Compiled::default();
            |text: Text, pattern: Text| -> Texts { extract_all(&mut compiled, text, pattern, 1) }))
        .body(rows!(let mut compiled = Compiled::default();
        |text: Text, pattern: Text, index: Long| -> Texts {
            extract_all(&mut compiled, text, pattern, index)
        })),
    );
}

fn add_replacement(functions: &mut Functions) {
    functions.add(
        scalar(
            "regexp_replace(text, pattern, replacement[, start])",
            "The text with everything that a regular expression finds, from start on, replaced; `$1` is what \
             its first group matches.",
        )
        .hive()
        .example("regexp_replace('100-200', '([0-9]+)', 'num')", "num-num")
        .body(rows!(let mut compiled = Compiled::default();
            |text: Text, pattern: Text, with: Text| -> Text {
                replace(&mut compiled, text, pattern, with, 1)
            }))
        .body(rows!(let mut compiled = Compiled::default();
            |text: Text, pattern: Text, with: Text, start: Long| -> Text {
                replace(&mut compiled, text, pattern, with, start)
            })),
    );
}

fn add_search(functions: &mut Functions) {
    functions.add(
        scalar(
            "regexp_substr(text, pattern)",
            "The first that a regular expression finds, or NULL.",
        )
        .example(
            "regexp_substr('Steven Jones and Stephen Smith', 'Ste(v|ph)en')",
            "Steven",
        )
        .body(rows!(let mut compiled = Compiled::default();
        |text: Text, pattern: Text| -> Text {
            Ok(compiled.get(pattern)?.find(text).map(|found| found.as_str().to_owned()))
        })),
    );
    functions.add(
        scalar(
            "regexp_instr(text, pattern[, group])",
            "The position at which a regular expression is first found; 0 where it is not.",
        )
        .hive()
        .example("regexp_instr('user@spark.apache.org', '@[^.]*')", "5")
        .body(rows!(let mut compiled = Compiled::default();
            |text: Text, pattern: Text| -> Int { position(&mut compiled, text, pattern) }))
        .body(rows!(let mut compiled = Compiled::default();
        |text: Text, pattern: Text, group: Long| -> Int {
            position(&mut compiled, text, pattern)
        })),
    );
    functions.add(
        scalar(
            "regexp_like(text, pattern)",
            "Whether a regular expression is found in a text.",
        )
        .hive()
        .example("regexp_like('abc', '^a')", "true")
        .body(rows!(let mut compiled = Compiled::default();
        |text: Text, pattern: Text| -> Boolean {
            Ok(Some(compiled.get(pattern)?.is_match(text)))
        })),
    );
    functions.add(
        scalar(
            "regexp_count(text, pattern)",
            "How often a regular expression is found in a text.",
        )
        .hive()
        .example(
            "regexp_count('Steven Jones and Stephen Smith', 'Ste(v|ph)en')",
            "2",
        )
        .body(rows!(let mut compiled = Compiled::default();
        |text: Text, pattern: Text| -> Int {
            Ok(Some(compiled.get(pattern)?.find_iter(text).count() as i32))
        })),
    );
}

fn add_split(functions: &mut Functions) {
    functions.add(
        scalar(
            "split(text, pattern[, limit])",
            "The parts of a text between what a regular expression finds, at most limit of them.",
        )
        .example("split('oneAtwoBthreeC', '[ABC]')", "[one, two, three, ]")
        .example("split('oneAtwoBthreeC', '[ABC]', 2)", "[one, twoBthreeC]")
        .body(rows!(let mut compiled = Compiled::default();
        |text: Text, pattern: Text| -> Texts {
            split(&mut compiled, text, pattern, -1).map(Some)
        }))
        .body(rows!(let mut compiled = Compiled::default();
        |text: Text, pattern: Text, limit: Long| -> Texts {
            split(&mut compiled, text, pattern, limit).map(Some)
        })),
    );
}

fn position(compiled: &mut Compiled, text: &str, pattern: &str) -> Result<Option<i32>> {
    let found = compiled.get(pattern)?.find(text);
    Ok(Some(found.map_or(0, |found| {
        let before = text.get(..found.start()).unwrap_or_default();
        before.chars().count() as i32 + 1
    })))
}
