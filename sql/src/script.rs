//! Where one statement of a script ends and the next begins, and where each stands, so that a script
//! or an editor's lines can be sent statement by statement and errors can be reported in the file.
//!
//! It knows quotes, comments, dollar quotes, `BEGIN … END` and the backslash commands that may end a
//! statement in place of its semicolon, and no more grammar than that. Text goes in line by line and
//! statements come out as they are completed, so that a long script is never held whole.

mod blocks;

use crate::dialect::Dialect;
use crate::lexer::{Kind, Lexer, Mode};
use blocks::Blocks;
use skep_protocol::Position;
use std::collections::VecDeque;

/// A statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptStatement {
    /// Its text from its first word on, without the semicolon and without comments before it.
    pub text: String,
    /// Where its first character stands in the script.
    pub start: Position,
    /// Whether a semicolon or a command ended it, rather than the end of the script.
    pub complete: bool,
    /// The command that ended it in place of a semicolon, such as `\g FILE`: the rest of that line. A
    /// command that follows a semicolon on its line is a statement without text.
    pub command: Option<String>,
}

impl ScriptStatement {
    /// A place in this statement as a place in the script.
    pub fn position_in_script(&self, within: Position) -> Position {
        if within.line <= 1 {
            let column = self
                .start
                .column
                .saturating_add(within.column.saturating_sub(1));
            Position {
                line: self.start.line,
                column,
            }
        } else {
            let line = self.start.line.saturating_add(within.line - 1);
            Position {
                line,
                column: within.column,
            }
        }
    }
}

/// What an unfinished statement waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Its semicolon.
    Statement,
    /// A closing parenthesis.
    Parenthesis,
    /// The end of a text in `'`.
    SingleQuote,
    /// The end of a name in `"`.
    DoubleQuote,
    /// The end of a name in `` ` ``.
    Backtick,
    /// The end of a `/* comment */`.
    Comment,
    /// The end of a text in `$tag$`.
    DollarQuote,
    /// The END of a BEGIN.
    Block,
}

/// Splits a script into statements, line by line.
#[derive(Debug)]
pub struct Splitter {
    lexer: Lexer,
    parentheses: usize,
    blocks: Blocks,
    current: Option<(String, Position)>,
    position: Position,
    ready: VecDeque<ScriptStatement>,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(Dialect::default())
    }
}

impl Splitter {
    /// At the beginning of a script that is read in `dialect`, until a `SET` in it chooses another one.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            lexer: Lexer::new(dialect),
            parentheses: 0,
            blocks: Blocks::default(),
            current: None,
            position: Position { line: 1, column: 1 },
            ready: VecDeque::new(),
        }
    }

    /// What follows is read in this dialect.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.lexer.dialect = dialect;
    }

    /// Takes in more of the script: one or several whole lines, each with its line end. Only the last
    /// line of a script may lack one.
    pub fn push(&mut self, lines: &str) {
        let mut rest = lines;
        while !rest.is_empty() {
            let taken = match self.lexer.is_open() {
                true => {
                    let (_, length) = self.lexer.next(rest);
                    self.take(&rest[..length])
                }
                false => self.scan(rest),
            };
            rest = &rest[taken..];
        }
    }

    /// The next completed statement.
    pub fn next_statement(&mut self) -> Option<ScriptStatement> {
        self.ready.pop_front()
    }

    /// What the script waits for; `None` between two statements.
    pub fn open(&self) -> Option<Open> {
        match &self.lexer.mode {
            Mode::Quoted('\'') => Some(Open::SingleQuote),
            Mode::Quoted('"') => Some(Open::DoubleQuote),
            Mode::Quoted(_) => Some(Open::Backtick),
            Mode::Dollar(_) => Some(Open::DollarQuote),
            Mode::Comment { .. } => Some(Open::Comment),
            Mode::Between if self.current.is_none() => None,
            Mode::Between if self.parentheses > 0 => Some(Open::Parenthesis),
            Mode::Between if self.blocks.is_open() => Some(Open::Block),
            Mode::Between => Some(Open::Statement),
        }
    }

    /// How many bytes of an unfinished statement are held.
    pub fn pending_bytes(&self) -> usize {
        self.current.as_ref().map_or(0, |(text, _)| text.len())
    }

    /// Ends the script: what no semicolon ended is the last statement. Completed statements that
    /// were not fetched yet come first.
    pub fn finish(mut self) -> impl Iterator<Item = ScriptStatement> {
        self.end_statement(false, None);
        self.ready.into_iter()
    }

    /// Reads one piece where nothing is open, and returns its length.
    fn scan(&mut self, rest: &str) -> usize {
        if self.current.is_some()
            && let Some(command) = ending_command(rest)
        {
            self.end_statement(true, Some(command.trim_end().to_owned()));
            return self.take(command);
        }
        if self.current.is_none() && rest.starts_with('\\') {
            // No statement begins like that: the rest of the line is a command of its own.
            let command = rest.lines().next().unwrap_or_default();
            self.begin_statement();
            self.end_statement(true, Some(command.trim_end().to_owned()));
            return self.take(command);
        }
        let (kind, length) = self.lexer.next(rest);
        let text = &rest[..length];
        match kind {
            Kind::Space | Kind::Comment => {}
            Kind::Symbol if text == ";" => {
                self.blocks.symbol();
                if !self.blocks.is_open() {
                    self.end_statement(true, None);
                }
            }
            Kind::Word | Kind::Number => {
                self.begin_statement();
                self.blocks.word(text);
            }
            _ => {
                self.begin_statement();
                self.blocks.symbol();
                match text {
                    "(" => self.parentheses += 1,
                    ")" => self.parentheses = self.parentheses.saturating_sub(1),
                    _ => {}
                }
            }
        }
        self.take(text)
    }

    fn begin_statement(&mut self) {
        let position = self.position;
        self.current
            .get_or_insert_with(|| (String::new(), position));
    }

    fn end_statement(&mut self, complete: bool, command: Option<String>) {
        self.parentheses = 0;
        self.blocks = Blocks::default();
        if let Some((mut text, start)) = self.current.take() {
            text.truncate(text.trim_end().len());
            self.lexer.dialect = self.lexer.dialect.after(&text);
            self.ready.push_back(ScriptStatement {
                text,
                start,
                complete,
                command,
            });
        }
    }

    /// Moves over `text`, which belongs to the statement if one has begun.
    fn take(&mut self, text: &str) -> usize {
        if let Some((current, _)) = &mut self.current {
            current.push_str(text);
        }
        let lines = text.matches('\n').count() as u64;
        let last = text.rsplit('\n').next().unwrap_or_default();
        let characters = last.chars().count() as u64;
        if lines > 0 {
            self.position = Position {
                line: self.position.line + lines,
                column: 1 + characters,
            };
        } else {
            self.position.column += characters;
        }
        text.len()
    }
}

/// The command at the start of `text` that ends a statement as a semicolon would, up to the line's end.
fn ending_command(text: &str) -> Option<&str> {
    const ENDING: [&str; 4] = ["\\gx", "\\g", "\\watch", "\\chart"];
    // Before the line is looked through: this is asked at every character.
    if !text.starts_with('\\') {
        return None;
    }
    let line = &text[..text.find('\n').unwrap_or(text.len())];
    let name = line
        .split([' ', '\t', '\r', ';'])
        .next()
        .unwrap_or_default();
    ENDING.contains(&name).then_some(line)
}

/// All statements of a script that begins in the standard dialect.
pub fn split(script: &str) -> Vec<ScriptStatement> {
    let mut splitter = Splitter::default();
    splitter.push(script);
    splitter.finish().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        split(script)
            .into_iter()
            .map(|statement| statement.text)
            .collect()
    }

    fn open_after(script: &str) -> Option<Open> {
        let mut splitter = Splitter::default();
        splitter.push(script);
        while splitter.next_statement().is_some() {}
        splitter.open()
    }

    #[test]
    fn semicolons_separate_statements_and_empty_ones_vanish() {
        assert_eq!(
            texts("select 1; select 2\n;; ;\n select 3"),
            ["select 1", "select 2", "select 3"]
        );
        assert!(texts(" ; -- nothing\n /* at all */ ;").is_empty());
    }

    #[test]
    fn a_command_after_a_semicolon_is_one_of_its_own() {
        let statements = split("select 1; \\d t; select 2\nselect 3");
        let seen: Vec<_> = statements
            .iter()
            .map(|statement| (statement.text.as_str(), statement.command.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                ("select 1", None),
                ("", Some("\\d t; select 2")),
                ("select 3", None)
            ]
        );
    }

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_count() {
        for statement in [
            "select 'a;''b;', \"c;\"\"d\", `e;`",
            "select 1 -- not; here\n + 2",
            "select /* a; /* b; */ c; */ 1",
            "select $$a;'b$$, $tag$ ; $$ ; $tag$",
            "select 'multi;\nline;'",
        ] {
            assert_eq!(texts(&format!("{statement}; x")), [statement, "x"]);
        }
    }

    #[test]
    fn quotes_are_those_of_the_dialect_that_the_script_has_set() {
        let script =
            r#"SET skep.sql.dialect = hive; SELECT 'a\'b; c', "d\";"; RESET ALL; SELECT 'a\'; x"#;
        assert_eq!(
            texts(script),
            [
                "SET skep.sql.dialect = hive",
                r#"SELECT 'a\'b; c', "d\";""#,
                "RESET ALL",
                r"SELECT 'a\'",
                "x"
            ]
        );
        let mut splitter = Splitter::new(Dialect::Hive);
        splitter.push("SELECT 'a\\'; b\\\n");
        splitter.push("c';\n");
        splitter.set_dialect(Dialect::Standard);
        splitter.push("SELECT 'a\\'; b;\n");
        let found: Vec<String> = splitter.finish().map(|statement| statement.text).collect();
        assert_eq!(found, ["SELECT 'a\\'; b\\\nc'", "SELECT 'a\\'", "b"]);
    }

    #[test]
    fn a_dollar_is_not_always_a_quote() {
        assert_eq!(texts("select $1; select $2"), ["select $1", "select $2"]);
        assert_eq!(texts("select a$b$; x$$y; z"), ["select a$b$", "x$$y", "z"]);
        assert_eq!(texts("select ${name}; b"), ["select ${name}", "b"]);
    }

    #[test]
    fn positions_are_those_of_the_script() {
        let script = "-- a title\n  select 1;  sélect\n  2;\n/* c */ x";
        let starts: Vec<_> = split(script)
            .iter()
            .map(|s| (s.start.line, s.start.column))
            .collect();
        assert_eq!(starts, [(2, 3), (2, 14), (4, 9)]);
    }

    #[test]
    fn a_place_in_a_statement_is_found_in_the_script() {
        let statement = &split("select 1; select\n  x")[1];
        let at = |line, column| {
            let found = statement.position_in_script(Position { line, column });
            (found.line, found.column)
        };
        assert_eq!(at(1, 1), (1, 11));
        assert_eq!(at(1, 4), (1, 14));
        assert_eq!(at(2, 3), (2, 3));
    }

    #[test]
    fn an_unfinished_statement_says_what_it_waits_for() {
        assert_eq!(open_after("select 1;\n"), None);
        assert_eq!(open_after("-- only a comment\n"), None);
        assert_eq!(open_after("select 1\n"), Some(Open::Statement));
        assert_eq!(open_after("select (1\n"), Some(Open::Parenthesis));
        assert_eq!(open_after("select 'a\n"), Some(Open::SingleQuote));
        assert_eq!(open_after("select \"a\n"), Some(Open::DoubleQuote));
        assert_eq!(open_after("select `a\n"), Some(Open::Backtick));
        assert_eq!(open_after("/* a /* b */\n"), Some(Open::Comment));
        assert_eq!(open_after("select $x$ a\n"), Some(Open::DollarQuote));
        assert_eq!(open_after("select 1; select (2);\n"), None);
    }

    #[test]
    fn blocks_hold_statements_and_columns_may_be_called_begin() {
        for statement in [
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
            "begin\n select case when a then b end; if x then y; end if; end",
            "CREATE FUNCTION f() BEGIN BEGIN a; END; CASE x WHEN 1 THEN y; END CASE; END",
            "SELECT begin FROM t",
            "BEGIN TRANSACTION",
            "BEGIN",
            "SELECT CASE WHEN a THEN 1 END",
        ] {
            assert_eq!(texts(&format!("{statement}; x")), [statement, "x"]);
        }
        assert_eq!(
            open_after("CREATE PROCEDURE p() BEGIN SELECT 1;\n"),
            Some(Open::Block)
        );
        assert_eq!(open_after("BEGIN SELECT 1;\n"), Some(Open::Block));
        assert_eq!(open_after("BEGIN SELECT 1; END;\n"), None);
    }

    #[test]
    fn a_command_may_end_a_statement() {
        let statements = split("select 1 \\g a b.csv\nselect 2\n\\gx\nselect '\\g' \\gy; x");
        let found: Vec<_> = statements
            .iter()
            .map(|statement| (statement.text.as_str(), statement.command.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("select 1", Some("\\g a b.csv")),
                ("select 2", Some("\\gx")),
                ("select '\\g' \\gy", None),
                ("x", None)
            ]
        );
        assert!(statements[1].complete);
    }

    #[test]
    fn lines_one_by_one_give_what_the_whole_gives() {
        let script = "select 'a;\nb'; /* x\n; y */ select\n$q$ ;\n $q$;\nselect (1\n";
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for line in script.split_inclusive('\n') {
            splitter.push(line);
            found.extend(std::iter::from_fn(|| splitter.next_statement()));
        }
        assert_eq!(found.len(), 2);
        found.extend(splitter.finish());
        assert_eq!(found, split(script));
        assert!(found[0].complete && found[1].complete && !found[2].complete);
    }

    #[test]
    fn time_grows_with_length_and_not_with_its_square() {
        let script = format!("select {} 1;", "(((('x' || $1 ".repeat(200_000));
        assert_eq!(split(&script).len(), 1);
        assert!(split(&"/* ".repeat(500_000)).is_empty());
        let lines = "select /* c */ 'a', -- b\n".repeat(100_000);
        assert_eq!(split(&lines).len(), 1);
    }
}
