//! Errors as people read them: what went wrong, where it stands in the script, the line of SQL and a
//! caret under the place.

use crate::format::width;
use crate::variables::Substituted;
use skep_client::ClientError;
use skep_protocol::Position;
use skep_sql::ScriptStatement as Statement;
use std::fmt::Write;
use unicode_width::UnicodeWidthChar;

/// How much of a long line is shown around the place at most, and at least, in columns of a terminal.
const EXCERPT_WIDTH_MAX: usize = 100;
const EXCERPT_WIDTH_MIN: usize = 10;

const RED: &str = "\x1b[1;31m";
const PLAIN: &str = "\x1b[0m";

/// A statement and the script that it stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// The script's name; none for what was typed or given as an option.
    pub file: Option<&'a str>,
    /// The statement, whose positions are those of the script.
    pub statement: &'a Statement,
    /// What was sent of it, where it has variables.
    pub sent: Option<&'a Substituted>,
}

/// How errors are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether in colour.
    pub color: bool,
    /// How wide the terminal is, or may be taken to be.
    pub columns: usize,
}

/// The lines to show for a failed statement, or for an error that has none.
pub(crate) fn render(error: &ClientError, origin: Option<Origin<'_>>, style: Style) -> String {
    let server = error.query_error();
    let mut message = match (error, server) {
        (ClientError::Query(_), Some(server)) => server.message.clone(),
        _ => error.to_string(),
    };
    if let Some(node) = server.and_then(|server| server.node.as_ref()) {
        let _ = write!(message, " (on {node})");
    }
    let mut report = headline(&message, style.color);
    if let Some(origin) = origin {
        place(
            origin,
            server.and_then(|server| server.position),
            style,
            &mut report,
        );
    }
    report
}

/// The line of an error that is not the server's.
pub(crate) fn headline(message: &str, color: bool) -> String {
    let message = harmless(message);
    if color {
        format!("{RED}error:{PLAIN} {message}\n")
    } else {
        format!("error: {message}\n")
    }
}

/// Appends where the error is, as well as that is known. Writing into a text cannot fail.
fn place(origin: Origin<'_>, position: Option<Position>, style: Style, report: &mut String) {
    let Origin {
        file,
        statement,
        sent,
    } = origin;
    let position = match (position, sent) {
        (Some(position), Some(sent)) => Some(sent.original_position(&statement.text, position)),
        (position, _) => position,
    };
    let within = position.unwrap_or(Position { line: 1, column: 1 });
    let Position { line, column } = statement.position_in_script(within);
    match (file, position) {
        (Some(file), _) => {
            let _ = writeln!(report, "  at {file}:{line}:{column}");
        }
        (None, Some(_)) => {
            let _ = writeln!(report, "  at line {line}, column {column}");
        }
        (None, None) => {}
    }
    let Some(position) = position else {
        return;
    };
    let index = usize::try_from(position.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(text) = statement.text.lines().nth(index) else {
        return;
    };
    let number = line.to_string();
    let margin = number.len();
    let room = style.columns.saturating_sub(margin + 6);
    let room = room.clamp(EXCERPT_WIDTH_MIN, EXCERPT_WIDTH_MAX);
    let (excerpt, offset) = excerpt(text, position.column, room);
    let (on, off) = if style.color { (RED, PLAIN) } else { ("", "") };
    let _ = writeln!(report, "  {number} | {excerpt}");
    let _ = writeln!(report, "  {:margin$} | {:offset$}{on}^{off}", "", "");
}

/// The part of a line around a column (one-based, in characters) that fits into a width, and how far to
/// the right of its start that column is on a terminal.
fn excerpt(line: &str, column: u64, excerpt_width: usize) -> (String, usize) {
    let index = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let before: Vec<char> = line.chars().take(index).map(blank).collect();
    let mut room = excerpt_width * 2 / 3;
    let mut start = before.len();
    while start > 0 {
        let needed = before[start - 1].width().unwrap_or(0);
        if needed > room {
            break;
        }
        room -= needed;
        start -= 1;
    }
    let mut text = String::new();
    if start > 0 {
        text.push('…');
    }
    text.extend(&before[start..]);
    let offset = width(&text);
    let mut room = excerpt_width.saturating_sub(offset);
    for character in line.chars().skip(before.len()).map(blank) {
        let needed = character.width().unwrap_or(0);
        if needed > room {
            text.push('…');
            break;
        }
        room -= needed;
        text.push(character);
    }
    (text, offset)
}

/// Tabs and other control characters take one column here, and do nothing.
fn blank(character: char) -> char {
    if character.is_control() {
        ' '
    } else {
        character
    }
}

/// A message may quote data, which must not command the terminal.
fn harmless(message: &str) -> String {
    message
        .chars()
        .map(|c| if c == '\n' { c } else { blank(c) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_protocol::{ErrorCode, QueryError};
    use skep_sql::split;

    fn render(error: &ClientError, origin: Option<Origin<'_>>, color: bool) -> String {
        let columns = 120;
        super::render(error, origin, Style { color, columns })
    }

    fn failure(line: u64, column: u64) -> ClientError {
        let error = QueryError::new(ErrorCode::TableNotFound, "table 'foo' not found");
        ClientError::Query(error.at(Some(Position { line, column })))
    }

    #[test]
    fn a_caret_stands_under_the_place_in_the_file() {
        let script = "select 1;\n\n  select *\n    from foo;";
        let statement = &split(script)[1];
        let origin = Origin {
            file: Some("a.sql"),
            statement,
            sent: None,
        };
        assert_eq!(
            render(&failure(2, 10), Some(origin), false),
            "error: table 'foo' not found\n  at a.sql:4:10\n  4 |     from foo\n    |          ^\n"
        );
    }

    #[test]
    fn the_first_line_is_counted_from_where_the_statement_begins() {
        let statement = &split("select 1; select * from foo")[1];
        let origin = Origin {
            file: None,
            statement,
            sent: None,
        };
        assert_eq!(
            render(&failure(1, 15), Some(origin), false),
            "error: table 'foo' not found\n  at line 1, column 25\n  1 | select * from foo\n    \
             |               ^\n"
        );
    }

    #[test]
    fn the_caret_counts_columns_of_the_terminal() {
        let statement = &split("select '日本',\tfoo")[0];
        let report = render(
            &failure(1, 14),
            Some(Origin {
                file: None,
                statement,
                sent: None,
            }),
            false,
        );
        assert!(
            report.ends_with("  1 | select '日本', foo\n    |                ^\n"),
            "{report}"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let statement = &split(&format!(
            "select {}foo{}",
            "x, ".repeat(1000),
            " ".repeat(9999) + "y"
        ))[0];
        let report = render(
            &failure(1, 3008),
            Some(Origin {
                file: None,
                statement,
                sent: None,
            }),
            false,
        );
        let lines: Vec<_> = report.lines().collect();
        assert!(
            lines[2].starts_with("  1 | …") && lines[2].ends_with('…'),
            "{report}"
        );
        assert!(width(lines[2]) < 120, "{report}");
        let caret = lines[3].find('^').unwrap();
        let under: String = lines[2].chars().skip(caret).take(3).collect();
        assert_eq!(under, "foo");
    }

    #[test]
    fn places_beyond_the_text_do_no_harm() {
        let statement = &split("select")[0];
        let origin = Some(Origin {
            file: Some("-"),
            statement,
            sent: None,
        });
        assert!(render(&failure(1, 7), origin, false).ends_with("    |       ^\n"));
        assert!(render(&failure(9, 1), origin, false).ends_with("  at -:9:1\n"));
        assert!(render(&failure(1, u64::MAX), origin, false).ends_with("    |       ^\n"));
    }

    #[test]
    fn only_terminals_get_colour_and_nobody_gets_commands() {
        assert_eq!(headline("a\x1b[2Jb", false), "error: a [2Jb\n");
        assert_eq!(headline("x", true), "\x1b[1;31merror:\x1b[0m x\n");
    }

    #[test]
    fn an_error_without_a_place_names_the_statement_of_a_file() {
        let error = ClientError::Query(QueryError::new(ErrorCode::OutOfMemory, "memory ran out"));
        let statement = &split("select 1;\nselect 2")[1];
        let in_file = render(
            &error,
            Some(Origin {
                file: Some("a.sql"),
                statement,
                sent: None,
            }),
            false,
        );
        assert_eq!(in_file, "error: memory ran out\n  at a.sql:2:1\n");
        let typed = render(
            &error,
            Some(Origin {
                file: None,
                statement,
                sent: None,
            }),
            false,
        );
        assert_eq!(typed, "error: memory ran out\n");
    }
}
