//! The patterns of `LIKE … ESCAPE` and `SIMILAR TO`, written as those that the base library matches with: LIKE
//! patterns with a backslash as their escape character, and regular expressions.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use std::fmt;
use std::sync::{Arc, LazyLock};

/// The name of the function that [`like_pattern`] is in SQL.
pub const LIKE_PATTERN: &str = "skep_like_pattern";

/// The name of the function that [`similar_pattern`] is in SQL.
pub const SIMILAR_PATTERN: &str = "skep_similar_pattern";

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// Nothing follows the last escape character.
    EndsInEscape,
    /// The escape is more than one character.
    LongEscape,
    /// A bracket or a parenthesis has no end, or no beginning.
    Unbalanced,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndsInEscape => "a pattern must not end in its escape character",
            Self::LongEscape => "ESCAPE takes one character, or '' for none",
            Self::Unbalanced => {
                "a bracket or parenthesis in a SIMILAR TO pattern has no counterpart"
            }
        })
    }
}

/// The one character of an ESCAPE; none where it is empty.
fn escape_character(escape: &str) -> Result<Option<char>, PatternError> {
    let mut letters = escape.chars();
    match (letters.next(), letters.next()) {
        (first, None) => Ok(first),
        _ => Err(PatternError::LongEscape),
    }
}

/// A LIKE pattern with `escape` as one with a backslash instead.
///
/// # Errors
/// Where the pattern ends in the escape character, or that is more than one.
pub fn like_pattern(pattern: &str, escape: &str) -> Result<String, PatternError> {
    let escape = escape_character(escape)?;
    let mut result = String::with_capacity(pattern.len() + 2);
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let is_escaped = Some(letter) == escape;
        let letter = match is_escaped {
            true => letters.next().ok_or(PatternError::EndsInEscape)?,
            false => letter,
        };
        if letter == '\\' || is_escaped && matches!(letter, '%' | '_') {
            result.push('\\');
        }
        result.push(letter);
    }
    Ok(result)
}

/// A SIMILAR TO pattern as a regular expression that matches the whole of a text.
///
/// # Errors
/// As [`like_pattern`]; where brackets have no counterpart.
pub fn similar_pattern(pattern: &str, escape: &str) -> Result<String, PatternError> {
    let mut translation = Translation {
        escape: escape_character(escape)?,
        result: "(?s)^(?:".to_owned(),
        open: Vec::new(),
        last: None,
    };
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        translation.take(letter, &mut letters)?;
    }
    if !translation.open.is_empty() {
        return Err(PatternError::Unbalanced);
    }
    translation.result.push_str(")$");
    Ok(translation.result)
}

/// A pattern as far as it has been read.
struct Translation {
    escape: Option<char>,
    result: String,
    /// Where the groups that are open begin.
    open: Vec<usize>,
    /// Where the last element begins, and whether it has been repeated.
    last: Option<(usize, bool)>,
}

impl Translation {
    fn take(&mut self, letter: char, letters: &mut std::str::Chars) -> Result<(), PatternError> {
        let start = self.result.len();
        if Some(letter) == self.escape {
            let escaped = letters.next().ok_or(PatternError::EndsInEscape)?;
            push_literal(&mut self.result, escaped);
            self.last = Some((start, false));
            return Ok(());
        }
        match letter {
            '%' => self.result.push_str("(?:.*)"),
            '_' => self.result.push('.'),
            '(' => {
                self.open.push(start);
                self.result.push_str("(?:");
                self.last = None;
                return Ok(());
            }
            ')' => {
                let opened = self.open.pop().ok_or(PatternError::Unbalanced)?;
                self.result.push(')');
                self.last = Some((opened, false));
                return Ok(());
            }
            '|' => {
                self.result.push('|');
                self.last = None;
                return Ok(());
            }
            '*' | '+' | '?' => {
                self.repeat(&letter.to_string());
                return Ok(());
            }
            '{' => {
                let (count, rest) = letters
                    .as_str()
                    .split_once('}')
                    .ok_or(PatternError::Unbalanced)?;
                let count = format!("{{{}}}", count.trim());
                *letters = rest.chars();
                self.repeat(&count);
                return Ok(());
            }
            '[' => self.class(letters)?,
            other => push_literal(&mut self.result, other),
        }
        self.last = Some((start, false));
        Ok(())
    }

    /// Repeats the last element. A second repetition is one of the first, which it would only change to a
    /// reluctant one otherwise.
    fn repeat(&mut self, count: &str) {
        if let Some((start, true)) = self.last {
            self.result.insert_str(start, "(?:");
            self.result.push(')');
        }
        self.result.push_str(count);
        if let Some((_, is_repeated)) = &mut self.last {
            *is_repeated = true;
        }
    }

    /// `[a-z]`, `[^a-z]` and `[[:alpha:]_]`.
    fn class(&mut self, letters: &mut std::str::Chars) -> Result<(), PatternError> {
        self.result.push('[');
        let rest = letters.as_str();
        let rest = match rest.strip_prefix('^') {
            Some(rest) => {
                self.result.push('^');
                rest
            }
            None => rest,
        };
        let mut rest = rest.chars();
        let mut is_first = true;
        loop {
            let letter = rest.next().ok_or(PatternError::Unbalanced)?;
            if Some(letter) == self.escape {
                let escaped = rest.next().ok_or(PatternError::EndsInEscape)?;
                push_in_class(&mut self.result, escaped, true);
            } else if letter == ']' && !is_first {
                break;
            } else if letter == '[' && rest.as_str().starts_with(':') {
                let (name, behind) = rest
                    .as_str()
                    .split_once(":]")
                    .ok_or(PatternError::Unbalanced)?;
                self.result.push_str(&format!("[{}:]", name.to_lowercase()));
                rest = behind.chars();
            } else {
                push_in_class(&mut self.result, letter, false);
            }
            is_first = false;
        }
        self.result.push(']');
        *letters = rest;
        Ok(())
    }
}

/// A letter that stands for itself in a regular expression.
fn push_literal(result: &mut String, letter: char) {
    if letter.is_ascii_punctuation() {
        result.push('\\');
    }
    result.push(letter);
}

/// A letter between brackets, where `-` makes a range unless it is escaped.
fn push_in_class(result: &mut String, letter: char, is_escaped: bool) {
    if letter.is_ascii_punctuation() && (letter != '-' || is_escaped) {
        result.push('\\');
    }
    result.push(letter);
}

/// One of the two as a function of a pattern and an escape.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PatternFunction {
    name: &'static str,
    signature: Signature,
}

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 2]> = LazyLock::new(|| {
    [LIKE_PATTERN, SIMILAR_PATTERN].map(|name| {
        Arc::new(ScalarUDF::from(PatternFunction {
            name,
            signature: Signature::new(TypeSignature::String(2), Volatility::Immutable),
        }))
    })
});

/// The functions.
pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    FUNCTIONS.iter().cloned()
}

impl ScalarUDFImpl for PatternFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let all_scalar = args.args.iter().all(is_scalar);
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = arrays
            .iter()
            .map(|array| cast(array, &DataType::Utf8))
            .collect::<Result<Vec<ArrayRef>, _>>()?;
        let [patterns, escapes] = texts.as_slice() else {
            return Err(exec_datafusion_err!("{} takes two texts", self.name));
        };
        let translate = match self.name {
            LIKE_PATTERN => like_pattern,
            _ => similar_pattern,
        };
        let (patterns, escapes) = (patterns.as_string::<i32>(), escapes.as_string::<i32>());
        let pairs = patterns.iter().zip(escapes.iter());
        let translated = pairs
            .map(|(pattern, escape)| match (pattern, escape) {
                (Some(pattern), Some(escape)) => translate(pattern, escape)
                    .map(Some)
                    .map_err(|error| exec_datafusion_err!("{error}")),
                _ => Ok(None),
            })
            .collect::<Result<StringArray>>()?;
        if all_scalar && translated.len() == 1 {
            let scalar = datafusion::common::ScalarValue::try_from_array(&translated, 0)?;
            return Ok(ColumnarValue::Scalar(scalar));
        }
        Ok(ColumnarValue::Array(Arc::new(translated)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_patterns_have_a_backslash_as_their_escape() {
        for (pattern, escape, expected) in [
            ("a!_b", "!", Ok("a\\_b")),
            ("50!%%", "!", Ok("50\\%%")),
            ("a!!b", "!", Ok("a!b")),
            ("a!b", "!", Ok("ab")),
            ("c:\\dir", "!", Ok("c:\\\\dir")),
            ("a\\_b", "\\", Ok("a\\_b")),
            ("a\\_b", "", Ok("a\\\\_b")),
            ("a%%b", "%", Ok("a\\%b")),
            ("äß_", "ß", Ok("ä\\_")),
            ("a!", "!", Err(PatternError::EndsInEscape)),
            ("a", "!!", Err(PatternError::LongEscape)),
        ] {
            let found = like_pattern(pattern, escape);
            assert_eq!(found, expected.map(str::to_owned), "{pattern} {escape}");
        }
    }

    #[test]
    fn similar_patterns_match_the_whole() {
        for (pattern, expected) in [
            ("foo", "(?s)^(?:foo)$"),
            ("%(b|d)_", "(?s)^(?:(?:.*)(?:b|d).)$"),
            ("a.c$", "(?s)^(?:a\\.c\\$)$"),
            ("[^a-z%]{2,3}", "(?s)^(?:[^a-z\\%]{2,3})$"),
            ("a+?", "(?s)^(?:(?:a+)?)$"),
            ("(ab)*+", "(?s)^(?:(?:(?:ab)*)+)$"),
            ("\\%\\(", "(?s)^(?:\\%\\()$"),
            ("[[:ALPHA:]_]", "(?s)^(?:[[:alpha:]\\_])$"),
            ("[]a]", "(?s)^(?:[\\]a])$"),
        ] {
            assert_eq!(similar_pattern(pattern, "\\").as_deref(), Ok(expected));
        }
        for (pattern, error) in [
            ("(a", PatternError::Unbalanced),
            ("a)", PatternError::Unbalanced),
            ("[a", PatternError::Unbalanced),
            ("a{2", PatternError::Unbalanced),
            ("a\\", PatternError::EndsInEscape),
        ] {
            assert_eq!(similar_pattern(pattern, "\\"), Err(error), "{pattern}");
        }
    }
}
