//! How alike texts are, how they sound, and what is checked by their digits.

use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, scalar};
use crate::value::{Argument, Boolean, Double, Int, Kind, Long, Output, Text, Texts, item};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::DataType;
use std::sync::Arc;

/// The American Soundex code, where H and W do not part letters of one digit.
fn soundex(text: &str) -> String {
    let digit = |letter: char| match letter.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => '1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
        'D' | 'T' => '3',
        'L' => '4',
        'M' | 'N' => '5',
        'R' => '6',
        'H' | 'W' => '-',
        _ => '0',
    };
    let mut letters = text.chars();
    let Some(first) = letters.next().filter(char::is_ascii_alphabetic) else {
        return text.to_owned();
    };
    let mut code = String::from(first.to_ascii_uppercase());
    let mut last = digit(first);
    for letter in letters.filter(char::is_ascii_alphabetic) {
        let next = digit(letter);
        if next == '-' {
            continue;
        }
        if next != '0' && next != last {
            code.push(next);
        }
        last = next;
        if code.len() == 4 {
            break;
        }
    }
    while code.len() < 4 {
        code.push('0');
    }
    code
}

/// Luhn's check of the last digit.
fn luhn(text: &str) -> bool {
    let digits: Option<Vec<u32>> = text.chars().map(|letter| letter.to_digit(10)).collect();
    let Some(digits) = digits.filter(|digits| !digits.is_empty()) else {
        return false;
    };
    let weighted = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match index % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        });
    weighted.sum::<u32>() % 10 == 0
}

/// Words of sentences: an array of arrays.
pub(super) fn sentences() -> Body {
    let returned = DataType::List(item(Texts::data_type()));
    Body::new(
        vec![Kind::Text],
        move |_| Ok(returned.clone()),
        |call| {
            let texts = Text::open(call.array(0)?)?;
            let (mut lists, mut lengths, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
            for row in 0..call.rows {
                let text = Text::at(&texts, row);
                nulls.push(text.is_some());
                let before = lists.len();
                for sentence in text.unwrap_or_default().split(['.', '!', '?']) {
                    let words = sentence
                        .split(|letter: char| !(letter.is_alphanumeric() || letter == '\''));
                    let words: Vec<Option<String>> = words
                        .filter(|word| !word.is_empty())
                        .map(|word| Some(word.to_owned()))
                        .collect();
                    if !words.is_empty() {
                        lists.push(Some(words));
                    }
                }
                lengths.push(lists.len() - before);
            }
            let words: ArrayRef = Texts::collect(lists);
            debug_assert!(words.as_list_opt::<i32>().is_some());
            Ok(Arc::new(ListArray::try_new(
                item(words.data_type().clone()),
                OffsetBuffer::from_lengths(lengths),
                words,
                Some(nulls.into()),
            )?))
        },
    )
    .and_more(Kind::Text)
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(
        scalar("soundex(text)", "The Soundex code of a text.")
            .example("soundex('Miller')", "M460")
            .body(rows!(|text: Text| -> Text { Ok(Some(soundex(text))) })),
    );
    functions.add(
        scalar(
            "luhn_check(digits)",
            "Whether the last of the digits is what Luhn's algorithm says.",
        )
        .example("luhn_check('8112189876')", "true")
        .body(rows!(|text: Text| -> Boolean { Ok(Some(luhn(text))) })),
    );
    functions.add(
        scalar(
            "levenshtein(a, b[, limit])",
            "How many letters have to be put in, left out or replaced to make one text of another; -1 where \
             that is more than limit.",
        )
        .example("levenshtein('kitten', 'sitting')", "3")
        .example("levenshtein('kitten', 'sitting', 2)", "-1")
        .body(rows!(|a: Text, b: Text| -> Int { Ok(Some(strsim::levenshtein(a, b) as i32)) }))
        .body(rows!(|a: Text, b: Text, limit: Long| -> Int {
            let distance = strsim::levenshtein(a, b) as i64;
            Ok(Some(if distance > limit { -1 } else { distance as i32 }))
        })),
    );
    functions.add(
        scalar(
            "jaro_winkler_similarity(a, b)",
            "How alike two texts are, 0 to 1, by Jaro and Winkler.",
        )
        .example(
            "round(jaro_winkler_similarity('martha', 'marhta'), 4)",
            "0.9611",
        )
        .body(rows!(|a: Text, b: Text| -> Double {
            Ok(Some(strsim::jaro_winkler(a, b)))
        })),
    );
}
