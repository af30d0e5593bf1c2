//! Values as text: the same text in every format, and harmless on a terminal.

use super::FormatError;
use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};
use std::fmt::Write;
use unicode_width::UnicodeWidthChar;

/// How NULL looks to people, unless they want it otherwise.
pub(super) const NULL: &str = "NULL";

static OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_null(NULL)
    .with_duration_format(DurationFormat::Pretty)
    .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));

/// One column of a batch, ready to be read as text.
pub(super) struct Column<'a> {
    name: String,
    formatter: ArrayFormatter<'a>,
    nulls: Option<NullBuffer>,
    for_people: bool,
}

impl Column<'_> {
    /// Appends the value's text to `text`; false, and nothing appended, where it is NULL.
    pub(super) fn write(&self, row: usize, text: &mut String) -> Result<bool, FormatError> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(false);
        }
        let start = text.len();
        match self.formatter.value(row).write(text) {
            Ok(()) => Ok(true),
            Err(error) if self.for_people => {
                text.truncate(start);
                // Writing to a text cannot fail.
                let _ = write!(text, "error: {error}");
                Ok(true)
            }
            Err(source) => Err(FormatError::Column {
                column: self.name.clone(),
                source,
            }),
        }
    }
}

/// The columns of a batch. For people, a value without a text (a date beyond the calendar) says so in
/// its place; for programs, it is an error, since they would take the words for data.
pub(super) fn columns(
    batch: &RecordBatch,
    for_people: bool,
) -> Result<Vec<Column<'_>>, FormatError> {
    let schema = batch.schema();
    let named = schema.fields().iter().zip(batch.columns());
    named
        .map(|(field, array)| {
            let name = field.name().clone();
            match ArrayFormatter::try_new(array.as_ref(), &OPTIONS) {
                Ok(formatter) => Ok(Column {
                    name,
                    formatter,
                    nulls: array.logical_nulls(),
                    for_people,
                }),
                Err(source) => Err(FormatError::Column {
                    column: name,
                    source,
                }),
            }
        })
        .collect()
}

/// The texts of one column of a batch, `None` for NULL.
pub(crate) fn values(
    batch: &RecordBatch,
    column: usize,
) -> Result<Vec<Option<String>>, FormatError> {
    let columns = columns(batch, true)?;
    let Some(column) = columns.get(column) else {
        return Ok(Vec::new());
    };
    (0..batch.num_rows())
        .map(|row| {
            let mut text = String::new();
            Ok(column.write(row, &mut text)?.then_some(text))
        })
        .collect()
}

/// Whether values of the type are numbers, which stand to the right.
pub(crate) fn number_column(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => number_column(values),
        other => other.is_numeric(),
    }
}

/// Appends `text` with control and direction characters written as escapes, which a terminal could
/// take for commands or which hide what is there.
pub(crate) fn escape_into(text: &str, keep_line_ends: bool, escaped: &mut String) {
    for character in text.chars() {
        match character {
            '\n' if keep_line_ends => escaped.push('\n'),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            _ if is_harmful(character) => {
                // Writing to a text cannot fail.
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
}

/// [`escape_into`] as a text of its own.
pub(crate) fn escaped(text: &str, keep_line_ends: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape_into(text, keep_line_ends, &mut escaped);
    escaped
}

/// Whether a terminal could take the character for a command, or show what is not there.
pub(super) fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How many columns of a terminal the text takes.
pub(crate) fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    unicode_width::UnicodeWidthStr::width(text)
}

/// The text, cut to at most `limit` columns of a terminal; a `…` says that it was cut.
pub(super) fn cut(text: &mut String, limit: usize) {
    if text.len() <= limit || width(text) <= limit {
        return;
    }
    let mut taken = 0;
    let end = text.char_indices().find(|(_, character)| {
        taken += character.width().unwrap_or(0);
        taken >= limit
    });
    if let Some((end, _)) = end {
        text.truncate(end);
        text.push('…');
    }
}

/// The line in pieces of at most `limit` columns of a terminal, broken at spaces where that leaves
/// no piece less than half full. Put together, the pieces are the line.
pub(super) fn wrap(line: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(1);
    let mut pieces = Vec::new();
    let mut rest = line;
    while width(rest) > limit {
        let (mut taken, mut end, mut space) = (0, 0, None);
        for (at, character) in rest.char_indices() {
            let needed = character.width().unwrap_or(0);
            if taken + needed > limit && at > 0 {
                break;
            }
            taken += needed;
            end = at + character.len_utf8();
            if character == ' ' && taken * 2 > limit {
                space = Some(end);
            }
        }
        let (piece, remaining) = rest.split_at(space.unwrap_or(end));
        pieces.push(piece.to_owned());
        rest = remaining;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

/// The number with a comma between thousands. What is not a plain number stays as it is.
pub(super) fn group_digits(number: &str) -> String {
    let unsigned = number.trim_start_matches('-');
    let digits = unsigned
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(unsigned.len());
    let (whole, rest) = unsigned.split_at(digits);
    let mut grouped = number[..number.len() - unsigned.len()].to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped.push_str(rest);
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_get_no_commands_from_data() {
        assert_eq!(
            escaped("a\x1b[2Jb\u{9b}c\u{202e}", false),
            "a\\u{1b}[2Jb\\u{9b}c\\u{202e}"
        );
        assert_eq!(escaped("a\tb\r\nc", false), "a\\tb\\r\\nc");
        assert_eq!(escaped("a\nb", true), "a\nb");
    }

    #[test]
    fn cutting_counts_columns_and_not_bytes() {
        let cut_to = |text: &str, limit| {
            let mut text = text.to_owned();
            cut(&mut text, limit);
            text
        };
        assert_eq!(cut_to("abcdef", 6), "abcdef");
        assert_eq!(cut_to("abcdefg", 6), "abcde…");
        assert_eq!(cut_to("日本語日本語", 7), "日本語…");
        assert_eq!(cut_to("ééé", 3), "ééé");
    }

    #[test]
    fn wrapping_breaks_at_spaces_and_loses_nothing() {
        assert_eq!(wrap("short", 10), ["short"]);
        assert_eq!(wrap("the quick brown fox", 10), ["the quick ", "brown fox"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("日本語日本", 5), ["日本", "語日", "本"]);
        assert_eq!(wrap("日本", 1), ["日", "本"]);
        let long = "x y zz ".repeat(100);
        assert_eq!(wrap(&long, 13).concat(), long);
    }

    #[test]
    fn digits_are_grouped() {
        for (number, grouped) in [
            ("1", "1"),
            ("1234", "1,234"),
            ("-1234567.8901", "-1,234,567.8901"),
            ("123456", "123,456"),
            ("1e20", "1e20"),
            ("NaN", "NaN"),
            ("-inf", "-inf"),
        ] {
            assert_eq!(group_digits(number), grouped);
        }
    }
}
