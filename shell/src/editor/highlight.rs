//! SQL in colours, and the bracket that belongs to the one at the cursor.

use skep_sql::{Dialect, Kind, Piece};
use std::ops::Range;

const PLAIN: &str = "\x1b[0m";
const KEYWORD: &str = "\x1b[1;34m";
const TEXT: &str = "\x1b[32m";
const NUMBER: &str = "\x1b[36m";
const COMMENT: &str = "\x1b[2m";
const PARAMETER: &str = "\x1b[35m";
const BRACKET: &str = "\x1b[1;7m";
const COMMAND: &str = "\x1b[36m";

/// The line in colours; `before` are the lines of its statement before it, which may leave a quote
/// open. Takes as much room as the line itself.
pub(super) fn line(before: &str, line: &str, cursor: usize, dialect: Dialect) -> String {
    if before.is_empty() && line.trim_start().starts_with('\\') {
        let end = line.find(char::is_whitespace).unwrap_or(line.len());
        return format!("{COMMAND}{}{PLAIN}{}", &line[..end], &line[end..]);
    }
    let whole = format!("{before}{line}");
    let shift = before.len();
    let pieces = skep_sql::pieces(&whole, dialect);
    let brackets = matching(&whole, &pieces, shift + cursor);
    let mut colored = String::with_capacity(line.len() * 2);
    let mut copied = shift;
    for piece in &pieces {
        let range = piece.range.start.max(shift)..piece.range.end;
        if range.is_empty() || piece.range.end <= shift {
            continue;
        }
        let Some(color) = color_of(&whole, piece, &brackets) else {
            continue;
        };
        colored.push_str(&whole[copied..range.start]);
        colored.push_str(color);
        colored.push_str(&whole[range.clone()]);
        colored.push_str(PLAIN);
        copied = range.end;
    }
    colored.push_str(&whole[copied..]);
    colored
}

fn color_of(whole: &str, piece: &Piece, brackets: &[Range<usize>]) -> Option<&'static str> {
    match piece.kind {
        Kind::Word if skep_sql::is_keyword(&whole[piece.range.clone()]) => Some(KEYWORD),
        Kind::Word | Kind::QuotedName | Kind::Space => None,
        Kind::Text => Some(TEXT),
        Kind::Number => Some(NUMBER),
        Kind::Comment => Some(COMMENT),
        Kind::Parameter => Some(PARAMETER),
        Kind::Symbol if brackets.contains(&piece.range) => Some(BRACKET),
        Kind::Symbol => None,
    }
}

/// The bracket at the cursor, or just before it, and the one that belongs to it.
fn matching(whole: &str, pieces: &[Piece], cursor: usize) -> Vec<Range<usize>> {
    let symbol = |piece: &Piece| match piece.kind {
        Kind::Symbol => whole[piece.range.clone()].chars().next(),
        _ => None,
    };
    let is_bracket = |piece: &&Piece| matches!(symbol(piece), Some('(' | ')' | '[' | ']'));
    let at = |place: usize| {
        let found = pieces.iter().position(|piece| piece.range.start == place);
        found.filter(|index| is_bracket(&&pieces[*index]))
    };
    let Some(index) = at(cursor).or_else(|| at(cursor.checked_sub(1)?)) else {
        return Vec::new();
    };
    let (open, close) = match symbol(&pieces[index]) {
        Some('(' | ')') => ('(', ')'),
        _ => ('[', ']'),
    };
    let forward = symbol(&pieces[index]) == Some(open);
    let mut depth = 0_usize;
    let mut search = |piece: &&Piece| {
        match symbol(piece) {
            Some(symbol) if symbol == open => depth = if forward { depth + 1 } else { depth - 1 },
            Some(symbol) if symbol == close => depth = if forward { depth - 1 } else { depth + 1 },
            _ => return false,
        }
        depth == 0
    };
    let other = match forward {
        true => pieces[index..].iter().find(&mut search),
        false => pieces[..=index].iter().rev().find(&mut search),
    };
    match other {
        Some(other) => vec![pieces[index].range.clone(), other.range.clone()],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(colored: &str) -> String {
        let mut shown = String::new();
        let mut rest = colored;
        while let Some(start) = rest.find('\x1b') {
            shown.push_str(&rest[..start]);
            let end = rest[start..].find('m').unwrap();
            rest = &rest[start + end + 1..];
        }
        shown + rest
    }

    #[test]
    fn the_line_stays_the_same_under_its_colours() {
        for text in [
            "select 'a', 1 -- x",
            "\\dt orders",
            "é = $1 and (b)",
            "",
            "'open",
        ] {
            assert_eq!(
                shown(&line("", text, 3.min(text.len()), Dialect::Standard)),
                text
            );
            assert_eq!(
                shown(&line("select 'a\n", text, 0, Dialect::Standard)),
                text
            );
        }
    }

    #[test]
    fn a_quote_of_the_line_before_colours_this_one() {
        let colored = line("select 'a\n", "b' from t", 0, Dialect::Standard);
        assert_eq!(colored, format!("{TEXT}b'{PLAIN} {KEYWORD}from{PLAIN} t"));
    }

    #[test]
    fn the_other_bracket_is_shown() {
        let both = |text: &str, cursor| {
            line("", text, cursor, Dialect::Standard)
                .matches(BRACKET)
                .count()
        };
        assert_eq!(both("f(a, (b))", 9), 2);
        assert_eq!(both("f(a, (b))", 1), 2);
        assert_eq!(both("f(a, ')'", 1), 0);
        assert_eq!(both("f(a", 3), 0);
        assert_eq!(both(")", 1), 0);
    }
}
