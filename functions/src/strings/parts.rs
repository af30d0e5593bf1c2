//! Parts of texts, where they are, and texts made of others. Positions count characters from 1.

use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Scalar, scalar};
use crate::value::{Boolean, Bytes, BytesOnly, Int, Long, Text};
use datafusion::common::exec_err;

/// The largest text that a function makes, in bytes.
const BYTES_MAX: usize = 1 << 30;

/// Where a part begins and ends, of `length` items: a start of 0 is the first, a negative one counts from
/// the end.
fn range(length: usize, start: i64, count: i64) -> (usize, usize) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let begin = match start {
        1.. => start - 1,
        0 => 0,
        _ => length.saturating_add(start),
    };
    let end = begin.saturating_add(count.max(0)).clamp(0, length);
    let begin = begin.clamp(0, end);
    (begin as usize, end as usize)
}

fn part(text: &str, start: i64, count: i64) -> String {
    let (begin, end) = range(text.chars().count(), start, count);
    text.chars().skip(begin).take(end - begin).collect()
}

fn bytes_part(bytes: &[u8], start: i64, count: i64) -> Vec<u8> {
    let (begin, end) = range(bytes.len(), start, count);
    bytes.get(begin..end).unwrap_or_default().to_vec()
}

/// The position of `part` from `start` on; 0 where it is not there.
pub(super) fn locate(part: &str, text: &str, start: i64) -> i32 {
    let Some(skipped) = start.checked_sub(1).and_then(|s| usize::try_from(s).ok()) else {
        return 0;
    };
    let offset = match text.char_indices().nth(skipped) {
        Some((offset, _)) => offset,
        None if skipped == text.chars().count() => text.len(),
        None => return 0,
    };
    let rest = text.get(offset..).unwrap_or_default();
    match rest.find(part) {
        Some(found) => {
            let before = rest.get(..found).unwrap_or_default().chars().count();
            (skipped + before + 1) as i32
        }
        None => 0,
    }
}

/// Fills up with `fill` to `length` items, or cuts to as many.
fn padded<T: Copy>(items: &[T], length: i64, fill: &[T], at_start: bool) -> Vec<T> {
    let length = usize::try_from(length).unwrap_or(0).min(BYTES_MAX);
    if items.len() >= length {
        return items.iter().take(length).copied().collect();
    }
    let missing = length - items.len();
    let fill = fill.iter().cycle().take(match fill.is_empty() {
        true => 0,
        false => missing,
    });
    match at_start {
        true => fill.copied().chain(items.iter().copied()).collect(),
        false => items.iter().copied().chain(fill.copied()).collect(),
    }
}

fn pad_text(text: &str, length: i64, fill: &str, at_start: bool) -> String {
    let (text, fill): (Vec<char>, Vec<char>) = (text.chars().collect(), fill.chars().collect());
    padded(&text, length, &fill, at_start).into_iter().collect()
}

fn pad(syntax: &'static str, text: &'static str, at_start: bool) -> Scalar {
    scalar(syntax, text)
        .hive()
        .body(rows!(|bytes: BytesOnly, length: Long| -> Bytes {
            Ok(Some(padded(bytes, length, &[0], at_start)))
        }))
        .body(rows!(|bytes: BytesOnly,
                     length: Long,
                     fill: Bytes|
         -> Bytes {
            Ok(Some(padded(bytes, length, fill, at_start)))
        }))
        .body(rows!(|text: Text, length: Long| -> Text {
            Ok(Some(pad_text(text, length, " ", at_start)))
        }))
        .body(rows!(|text: Text, length: Long, fill: Text| -> Text {
            Ok(Some(pad_text(text, length, fill, at_start)))
        }))
}

pub(super) fn add(functions: &mut Functions) {
    add_substrings(functions);
    add_positions(functions);
    add_padding(functions);
    add_cases(functions);
    add_containment(functions);
    add_made(functions);
}

fn add_substrings(functions: &mut Functions) {
    functions.add(
        scalar(
            "substr(text, start[, length])",
            "The part of a text or of bytes that begins at a position; a negative start counts from the end.",
        )
        .hive()
        .aliases(&["substring", "mid"])
        .example("substr('Spark SQL', -3)", "SQL")
        .example("substr('Spark SQL', 5, 1)", "k")
        .body(rows!(|bytes: BytesOnly, start: Long| -> Bytes {
            Ok(Some(bytes_part(bytes, start, i64::MAX)))
        }))
        .body(rows!(|bytes: BytesOnly, start: Long, count: Long| -> Bytes {
            Ok(Some(bytes_part(bytes, start, count)))
        }))
        .body(rows!(|text: Text, start: Long| -> Text { Ok(Some(part(text, start, i64::MAX))) }))
        .body(rows!(|text: Text, start: Long, count: Long| -> Text {
            Ok(Some(part(text, start, count)))
        })),
    );
    functions.add(
        scalar(
            "left(text, length)",
            "The first characters of a text; none for a negative length.",
        )
        .hive()
        .example("left('Spark SQL', 3)", "Spa")
        .body(rows!(|bytes: BytesOnly, count: Long| -> Bytes {
            Ok(Some(bytes_part(bytes, 1, count)))
        }))
        .body(rows!(|text: Text, count: Long| -> Text {
            Ok(Some(part(text, 1, count)))
        })),
    );
    functions.add(
        scalar(
            "right(text, length)",
            "The last characters of a text; none for a negative length.",
        )
        .hive()
        .example("right('Spark SQL', 3)", "SQL")
        .body(rows!(|text: Text, count: Long| -> Text {
            let skipped = text.chars().count() as i64 - count.max(0);
            Ok(Some(part(text, skipped.max(0) + 1, count)))
        })),
    );
}

fn add_positions(functions: &mut Functions) {
    functions.add(
        scalar(
            "locate(part, text[, start])",
            "The position of a part in a text, from start on; 0 where it is not there.",
        )
        .example("locate('bar', 'foobarbar', 5)", "7")
        .body(rows!(|part: Text, text: Text| -> Int {
            Ok(Some(locate(part, text, 1)))
        }))
        .body(rows!(|part: Text, text: Text, start: Long| -> Int {
            Ok(Some(locate(part, text, start)))
        })),
    );
    functions.add(
        scalar(
            "instr(text, part)",
            "The position of a part in a text; 0 where it is not there.",
        )
        .hive()
        .example("instr('SparkSQL', 'SQL')", "6")
        .body(rows!(|text: Text, part: Text| -> Int {
            Ok(Some(locate(part, text, 1)))
        })),
    );
}

fn add_padding(functions: &mut Functions) {
    functions.add(
        pad(
            "lpad(text, length[, fill])",
            "The text filled up at its start to a length, or cut to it.",
            true,
        )
        .example("lpad('hi', 5, '??')", "???hi"),
    );
    functions.add(
        pad(
            "rpad(text, length[, fill])",
            "The text filled up at its end to a length, or cut to it.",
            false,
        )
        .example("rpad('hi', 1, '??')", "h"),
    );
}

fn add_cases(functions: &mut Functions) {
    functions.add(
        scalar("lcase(text)", "The text in small letters.")
            .example("lcase('SparkSql')", "sparksql")
            .body(rows!(|text: Text| -> Text {
                Ok(Some(text.to_lowercase()))
            })),
    );
    functions.add(
        scalar("ucase(text)", "The text in capital letters.")
            .example("ucase('SparkSql')", "SPARKSQL")
            .body(rows!(|text: Text| -> Text {
                Ok(Some(text.to_uppercase()))
            })),
    );
}

fn add_containment(functions: &mut Functions) {
    functions.add(
        scalar(
            "startswith(text, start)",
            "Whether a text or bytes begin with others.",
        )
        .example("startswith('Spark SQL', 'Spark')", "true")
        .body(rows!(|text: BytesOnly, part: Bytes| -> Boolean {
            Ok(Some(text.starts_with(part)))
        }))
        .body(rows!(|text: Text, part: Text| -> Boolean {
            Ok(Some(text.starts_with(part)))
        })),
    );
    functions.add(
        scalar(
            "endswith(text, end)",
            "Whether a text or bytes end with others.",
        )
        .example("endswith('Spark SQL', 'SQL')", "true")
        .body(rows!(|text: BytesOnly, part: Bytes| -> Boolean {
            Ok(Some(text.ends_with(part)))
        }))
        .body(rows!(|text: Text, part: Text| -> Boolean {
            Ok(Some(text.ends_with(part)))
        })),
    );
    functions.add(
        scalar(
            "contains(text, part)",
            "Whether a text or bytes contain others.",
        )
        .hive()
        .example("contains('Spark SQL', 'Spark')", "true")
        .body(rows!(|text: BytesOnly, part: Bytes| -> Boolean {
            let found = part.is_empty() || text.windows(part.len()).any(|window| window == part);
            Ok(Some(found))
        }))
        .body(rows!(|text: Text, part: Text| -> Boolean {
            Ok(Some(text.contains(part)))
        })),
    );
}

/// An empty part is nowhere.
fn replaced(text: &str, part: &str, other: &str) -> String {
    match part.is_empty() {
        true => text.to_owned(),
        false => text.replace(part, other),
    }
}

fn add_made(functions: &mut Functions) {
    add_position(functions);
    add_replace(functions);
    add_space(functions);
    add_mask(functions);
    add_overlay(functions);
    add_sentences(functions);
}

fn add_position(functions: &mut Functions) {
    functions.add(
        scalar(
            "position(part, text[, start])",
            "The position of a part in a text, from start on; 0 where it is not there.",
        )
        .hive()
        .example("position('bar', 'foobarbar', 5)", "7")
        .body(rows!(|part: Text, text: Text| -> Int {
            Ok(Some(locate(part, text, 1)))
        }))
        .body(rows!(|part: Text, text: Text, start: Long| -> Int {
            Ok(Some(locate(part, text, start)))
        })),
    );
}

fn add_replace(functions: &mut Functions) {
    functions.add(
        scalar(
            "replace(text, part[, other])",
            "The text with another in the place of each part, or without the part.",
        )
        .hive()
        .example("replace('ABCabc', 'abc')", "ABC")
        .body(rows!(|text: Text, part: Text| -> Text {
            Ok(Some(replaced(text, part, "")))
        }))
        .body(rows!(|text: Text, part: Text, other: Text| -> Text {
            Ok(Some(replaced(text, part, other)))
        })),
    );
}

fn add_space(functions: &mut Functions) {
    functions.add(
        scalar("space(count)", "So many spaces.")
            .example("concat(space(2), '1')", "  1")
            .body(rows!(|count: Long| -> Text {
                let count = usize::try_from(count).unwrap_or(0);
                match count <= BYTES_MAX {
                    true => Ok(Some(" ".repeat(count))),
                    false => exec_err!("a text of {count} spaces is too long"),
                }
            })),
    );
}

fn add_mask(functions: &mut Functions) {
    functions.add(
        scalar(
            "mask(text[, upper, lower, digit, other])",
            "The text with X for capital letters, x for small ones and n for digits, or with what is given \
             for them; NULL leaves them as they are.",
        )
        .example("mask('AbCD123-@$#')", "XxXXnnn-@$#")
        .example("mask('AbCD123-@$#', 'Q', 'q', 'd', 'o')", "QqQQdddoooo")
        .body(masked(0))
        .body(masked(1))
        .body(masked(2))
        .body(masked(3))
        .body(masked(4)),
    );
}

fn add_overlay(functions: &mut Functions) {
    functions.add(
        scalar(
            "overlay(text, replacement, start[, length])",
            "The text with another in the place of length characters from start on, or of as many as it has.",
        )
        .hive()
        .example("overlay('Spark SQL', 'ANSI ', 7, 0)", "Spark ANSI SQL")
        .body(rows!(|bytes: BytesOnly, other: Bytes, start: Long| -> Bytes {
            Ok(Some(overlaid(bytes, other, start, other.len() as i64)))
        }))
        .body(rows!(|bytes: BytesOnly, other: Bytes, start: Long, length: Long| -> Bytes {
            Ok(Some(overlaid(bytes, other, start, length)))
        }))
        .body(rows!(|text: Text, other: Text, start: Long| -> Text {
            let (text, other): (Vec<char>, Vec<char>) = (text.chars().collect(), other.chars().collect());
            Ok(Some(overlaid(&text, &other, start, other.len() as i64).iter().collect()))
        }))
        .body(rows!(|text: Text, other: Text, start: Long, length: Long| -> Text {
            let (text, other): (Vec<char>, Vec<char>) = (text.chars().collect(), other.chars().collect());
            let length = if length < 0 { other.len() as i64 } else { length };
            Ok(Some(overlaid(&text, &other, start, length).iter().collect()))
        })),
    );
}

fn add_sentences(functions: &mut Functions) {
    functions.add(
        scalar(
            "sentences(text[, language, country])",
            "The words of each sentence of a text.",
        )
        .example(
            "array_join(sentences('Hi there! Good morning.')[0], '+')",
            "Hi+there",
        )
        .body(super::similarity::sentences()),
    );
}

fn overlaid<T: Copy>(items: &[T], other: &[T], start: i64, length: i64) -> Vec<T> {
    let begin = usize::try_from(start - 1).unwrap_or(0).min(items.len());
    let end = begin
        .saturating_add(usize::try_from(length).unwrap_or(0))
        .min(items.len());
    let head = items.iter().take(begin);
    let tail = items.iter().skip(end);
    head.chain(other).chain(tail).copied().collect()
}

/// An overload of `mask` with so many further arguments.
fn masked(given: usize) -> crate::scalar::Body {
    use crate::value::{Argument, Kind, Output};
    let kinds = vec![Kind::Text; given + 1];
    crate::scalar::Body::new(
        kinds,
        |_| Ok(<Text as Output>::data_type()),
        move |call| {
            let texts = Text::open(call.array(0)?)?;
            let mut replacements = Vec::new();
            for index in 1..=given {
                replacements.push(Text::open(call.array(index)?)?);
            }
            let rows = (0..call.rows).map(|row| {
                let replacement = |index: usize, usual: Option<char>| match replacements.get(index)
                {
                    None => usual,
                    Some(column) => Text::at(column, row).and_then(|text| text.chars().next()),
                };
                let (upper, lower) = (replacement(0, Some('X')), replacement(1, Some('x')));
                let (digit, other) = (replacement(2, Some('n')), replacement(3, None));
                let mask = |letter: char| {
                    let class = match letter {
                        _ if letter.is_uppercase() => upper,
                        _ if letter.is_lowercase() => lower,
                        _ if letter.is_numeric() => digit,
                        _ => other,
                    };
                    class.unwrap_or(letter)
                };
                Text::at(&texts, row).map(|text| text.chars().map(mask).collect::<String>())
            });
            Ok(<Text as Output>::collect(rows.collect()))
        },
    )
}
