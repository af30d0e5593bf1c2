//! What begins with a backslash, and the two words that leave without one.

pub(crate) mod statements;

use crate::chart::Chart;
use crate::format::Format;
use skep_sql::literal;
use std::path::PathBuf;
use std::time::Duration;

/// How often `\watch` runs a statement where nothing is said.
const WATCH_DEFAULT: Duration = Duration::from_secs(2);

/// A command of the shell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// `\q`, `quit`, `exit`
    Quit,
    /// `\?`
    Help,
    /// `\h [STATEMENT]`
    Statement(Option<String>),
    /// `\timing [on|off]`; without a word, the other way round.
    Timing(Option<bool>),
    /// `\format [NAME]`; without a name, say which it is.
    Format(Option<String>),
    /// `\set [NAME [VALUE]]`; without a name, list them.
    Set(Option<(String, String)>),
    /// `\unset NAME`
    Unset(String),
    /// `\o [FILE]`; without one, back to standard output.
    Output(Option<PathBuf>),
    /// `\g [FILE]` and `\gx`: the last statement again.
    Again {
        /// Where its result goes.
        file: Option<PathBuf>,
        /// Whether it is shown one value per line.
        vertical: bool,
    },
    /// `\watch [SECONDS]`
    Watch(Duration),
    /// `\chart bar|line`
    Chart(Chart),
    /// `\profile [ID]`
    Profile(Option<String>),
    /// `\c [ADDRESS|PROFILE]`
    Connect(Option<String>),
    /// `\e [FILE]`
    Edit(Option<PathBuf>),
    /// `\i FILE`
    Include(PathBuf),
    /// `\demo`
    Demo,
    /// A command that stands for a statement, of whose result these columns are shown; all, where
    /// there are none.
    Sql(String, &'static [&'static str]),
}

/// A command's name, its argument and what it does.
type Described = (&'static str, &'static str, &'static str);

/// All commands, under headings.
const COMMANDS: &[(&str, &[Described])] = &[
    (
        "Look around",
        &[
            ("\\l", "[PATTERN]", "databases"),
            ("\\dn", "[PATTERN]", "databases (schemas are the same)"),
            ("\\dt", "[PATTERN]", "tables"),
            ("\\dv", "[PATTERN]", "views"),
            (
                "\\d",
                "[NAME]",
                "columns of a table; without a name, tables",
            ),
            ("\\d+", "NAME", "everything about a table"),
            ("\\dp", "NAME", "partitions of a table"),
            ("\\df", "[PATTERN]", "functions"),
            ("\\du", "", "users"),
        ],
    ),
    (
        "Run",
        &[
            (
                "\\g",
                "[FILE]",
                "the last statement again, its result to a file",
            ),
            ("\\gx", "", "the last statement again, one value per line"),
            (
                "\\watch",
                "[SECONDS]",
                "the last statement again and again, until Ctrl-C",
            ),
            ("\\profile", "[ID]", "what each step of the last query did"),
            ("\\queries", "", "queries on the server"),
            ("\\kill", "ID", "cancel a query"),
            ("\\nodes", "", "executors"),
            (
                "\\e",
                "[FILE]",
                "edit the last statement, or a file, in $EDITOR",
            ),
            ("\\i", "FILE", "run the statements in a file"),
        ],
    ),
    (
        "Show",
        &[
            (
                "\\format",
                "[NAME]",
                "how results look: table, csv, json, parquet, …",
            ),
            (
                "\\o",
                "[FILE]",
                "results to a file; without one, back to here",
            ),
            (
                "\\chart",
                "bar|line",
                "the last result of two columns as a chart",
            ),
            ("\\timing", "[on|off]", "how long statements take"),
            (
                "\\set",
                "[NAME [VALUE]]",
                "settings of the shell and variables for ${NAME}",
            ),
            ("\\unset", "NAME", "forget a variable"),
        ],
    ),
    (
        "Other",
        &[
            ("\\c", "[ADDRESS|PROFILE]", "connect to another server"),
            ("\\demo", "", "make a small TPC-H database and query it"),
            ("\\h", "[STATEMENT]", "how a statement is written"),
            ("\\?", "", "this list"),
            ("\\q", "", "leave (or Ctrl-D)"),
        ],
    ),
];

/// Whether a line between two statements is for the shell itself.
pub(crate) fn is_command(line: &str) -> bool {
    line.trim_start().starts_with('\\') || is_leaving(line)
}

fn is_leaving(line: &str) -> bool {
    let word = line.trim().trim_end_matches(';').trim_end();
    word.eq_ignore_ascii_case("quit") || word.eq_ignore_ascii_case("exit")
}

/// Whether a line in the middle of a statement is for the shell itself, and not a part or the end of the
/// statement.
pub(crate) fn is_aside(line: &str) -> bool {
    const ENDINGS: [&str; 4] = ["\\g", "\\gx", "\\watch", "\\chart"];
    let name = first_word(line);
    !ENDINGS.contains(&name) && names().any(|known| known == name)
}

/// Whether a line asks for the editor, on no file in particular.
pub(crate) fn is_edit(line: &str) -> bool {
    line.trim().trim_end_matches(';').trim_end() == "\\e"
}

fn first_word(line: &str) -> &str {
    let line = line.trim().trim_end_matches(';');
    line.split_whitespace().next().unwrap_or_default()
}

/// Reads a line for which [`is_command`] holds. The error is a message for the user.
pub(crate) fn parse(line: &str) -> Result<Command, String> {
    if is_leaving(line) {
        return Ok(Command::Quit);
    }
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, argument) = match line.split_once(char::is_whitespace) {
        Some((name, argument)) => (name, Some(argument.trim()).filter(|text| !text.is_empty())),
        None => (line, None),
    };
    if !names().any(|known| known == name) {
        return Err(unknown(name));
    }
    let takes = argument_of(name);
    match (argument, takes.is_empty(), takes.starts_with('[')) {
        (Some(argument), true, _) => {
            return Err(format!("{name} takes no argument, and got '{argument}'"));
        }
        (None, false, false) => return Err(format!("{name} needs an argument: {name} {takes}")),
        _ => {}
    }
    match name {
        "\\l" | "\\dn" | "\\dt" | "\\dv" | "\\d" | "\\d+" | "\\dp" | "\\df" | "\\du"
        | "\\queries" | "\\kill" | "\\nodes" => Ok(looking(name, argument)),
        _ => acting(name, argument),
    }
}

/// The commands that stand for a statement.
fn looking(name: &str, argument: Option<&str>) -> Command {
    let like = |sql: &str| match argument {
        Some(pattern) => format!("{sql} LIKE {}", literal(bare(pattern))),
        None => sql.to_owned(),
    };
    let named = |sql: &str| format!("{sql} {}", argument.unwrap_or_default());
    match name {
        "\\l" | "\\dn" => Command::Sql(like("SHOW DATABASES"), &[]),
        "\\dv" => Command::Sql(like("SHOW VIEWS"), &[]),
        "\\d" if argument.is_some() => Command::Sql(named("DESCRIBE"), &[]),
        "\\d+" => Command::Sql(named("DESCRIBE FORMATTED"), &[]),
        "\\dp" => Command::Sql(named("SHOW PARTITIONS"), &[]),
        "\\df" => Command::Sql(functions(argument.map(bare)), &[]),
        "\\du" => Command::Sql("SHOW USERS".to_owned(), &[]),
        "\\queries" => Command::Sql("SHOW QUERIES".to_owned(), &QUERY_COLUMNS),
        "\\nodes" => Command::Sql(
            "SHOW EXECUTORS".to_owned(),
            &[
                "address",
                "state",
                "cores",
                "memory_used",
                "memory_limit",
                "running_tasks",
            ],
        ),
        "\\kill" => {
            let id = literal(bare(argument.unwrap_or_default()));
            Command::Sql(format!("KILL QUERY {id}"), &[])
        }
        _ => Command::Sql(like("SHOW TABLES"), &[]),
    }
}

/// What `\\queries` shows.
const QUERY_COLUMNS: [&str; 6] = ["query_id", "state", "elapsed_ms", "sql", "user", "rows"];

/// A terminal of fewer columns shows the first of these only: an id that is broken in two cannot be
/// copied.
const ALL_QUERY_COLUMNS_WIDTH: usize = 100;

/// Of the columns of a command's result, those for which a terminal has room.
pub(crate) fn that_fit(columns: &'static [&'static str], room: usize) -> &'static [&'static str] {
    match columns == QUERY_COLUMNS && room < ALL_QUERY_COLUMNS_WIDTH {
        true => &columns[..4],
        false => columns,
    }
}

fn acting(name: &str, argument: Option<&str>) -> Result<Command, String> {
    let path = || argument.map(|path| PathBuf::from(bare(path)));
    let text = || argument.unwrap_or_default();
    Ok(match name {
        "\\q" => Command::Quit,
        "\\?" => Command::Help,
        "\\h" => Command::Statement(argument.map(str::to_owned)),
        "\\timing" => return timing(argument),
        "\\format" => return format(argument),
        "\\set" => Command::Set(argument.map(|argument| {
            let (name, value) = argument
                .split_once(char::is_whitespace)
                .unwrap_or((argument, ""));
            (name.to_owned(), bare(value.trim()).to_owned())
        })),
        "\\unset" => Command::Unset(text().to_owned()),
        "\\o" => Command::Output(path()),
        "\\g" => Command::Again {
            file: path(),
            vertical: false,
        },
        "\\gx" => Command::Again {
            file: None,
            vertical: true,
        },
        "\\watch" => return watch(argument),
        "\\chart" => Command::Chart(text().parse()?),
        "\\profile" => Command::Profile(argument.map(|id| bare(id).to_owned())),
        "\\c" => Command::Connect(argument.map(str::to_owned)),
        "\\e" => Command::Edit(path()),
        "\\i" => Command::Include(PathBuf::from(bare(text()))),
        "\\demo" => Command::Demo,
        _ => return Err(unknown(name)),
    })
}

fn functions(pattern: Option<&str>) -> String {
    let like = pattern.map_or(String::new(), |pattern| {
        format!(
            " WHERE routine_name LIKE {}",
            literal(&pattern.replace('*', "%"))
        )
    });
    format!(
        "SELECT routine_name AS function, min(function_type) AS kind, min(syntax_example) AS signature, \
         min(description) AS description FROM information_schema.routines{like} GROUP BY 1 ORDER BY 1"
    )
}

/// An argument without the quotes around it.
fn bare(argument: &str) -> &str {
    for quote in ['\'', '"'] {
        let inner = argument.strip_prefix(quote);
        if let Some(inner) = inner.and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    argument
}

fn all() -> impl Iterator<Item = &'static Described> {
    COMMANDS.iter().flat_map(|(_, commands)| commands.iter())
}

/// What `\?` prints, in lines of at most `columns`.
pub(crate) fn help(columns: usize) -> String {
    let mut help = String::from("A statement ends with ; and may have several lines.\n");
    for (heading, commands) in COMMANDS {
        help.push_str(&format!("\n{heading}\n"));
        for (name, argument, description) in *commands {
            let usage = format!("{name} {argument}");
            let line = format!("  {usage:<24} {description}");
            match crate::format::width(&line) <= columns {
                true => help.push_str(&line),
                false => help.push_str(&format!("  {usage}\n    {description}")),
            }
            help.push('\n');
        }
    }
    help.push_str("\nA statement may also end with \\g [FILE], \\gx, \\watch or \\chart.\n");
    help.push_str("Ctrl-C clears the line or cancels the query that runs, Ctrl-R searches the history, Tab completes.\n");
    help
}

/// All names, for completion.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|(name, _, _)| *name)
}

/// What a command does, for completion.
pub(crate) fn description(name: &str) -> Option<&'static str> {
    let found = all().find(|(known, _, _)| *known == name);
    found.map(|(_, _, description)| *description)
}

fn argument_of(name: &str) -> &'static str {
    let found = all().find(|(known, _, _)| *known == name);
    found.map_or("", |(_, argument, _)| *argument)
}

fn timing(argument: Option<&str>) -> Result<Command, String> {
    match argument.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(Command::Timing(None)),
        Some("on") => Ok(Command::Timing(Some(true))),
        Some("off") => Ok(Command::Timing(Some(false))),
        Some(other) => Err(format!("\\timing is on or off, and not '{other}'")),
    }
}

fn format(argument: Option<&str>) -> Result<Command, String> {
    if let Some(name) = argument.filter(|name| !name.eq_ignore_ascii_case("auto")) {
        name.parse::<Format>().map_err(|error| error.to_string())?;
    }
    Ok(Command::Format(argument.map(str::to_owned)))
}

fn watch(argument: Option<&str>) -> Result<Command, String> {
    let Some(argument) = argument else {
        return Ok(Command::Watch(WATCH_DEFAULT));
    };
    let seconds: f64 = argument.parse().unwrap_or(f64::NAN);
    match Duration::try_from_secs_f64(seconds) {
        Ok(every) if seconds >= 0.1 => Ok(Command::Watch(every)),
        _ => Err(format!(
            "\\watch takes a number of seconds from 0.1, and not '{argument}'"
        )),
    }
}

fn unknown(name: &str) -> String {
    let nearest = names().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    match nearest.filter(|known| strsim::damerau_levenshtein(known, name) <= 2) {
        Some(nearest) => format!("unknown command {name}: did you mean {nearest}?"),
        None => format!("unknown command {name}: \\? lists what there is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(line: &str) -> String {
        match parse(line) {
            Ok(Command::Sql(sql, _)) => sql,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands_are_told_from_sql() {
        assert!(is_command("  \\dt") && is_command("EXIT;") && is_command("quit"));
        assert!(!is_command("select '\\q'") && !is_command("exit strategy"));
        assert!(is_aside(" \\d t") && is_aside("\\q;") && is_edit("\\e ;"));
        assert!(!is_aside("\\gx") && !is_aside("\\nonsense") && !is_aside("exit"));
    }

    #[test]
    fn commands_that_stand_for_statements() {
        for (line, statement) in [
            ("\\l", "SHOW DATABASES"),
            ("\\dn d*", "SHOW DATABASES LIKE 'd*'"),
            ("\\d  my.orders ;", "DESCRIBE my.orders"),
            ("\\d", "SHOW TABLES"),
            ("\\dt ord*", "SHOW TABLES LIKE 'ord*'"),
            ("\\d+ t", "DESCRIBE FORMATTED t"),
            ("\\dp t", "SHOW PARTITIONS t"),
            ("\\du", "SHOW USERS"),
            ("\\kill 2026_x", "KILL QUERY '2026_x'"),
        ] {
            assert_eq!(sql(line), statement);
        }
        assert_eq!(sql("\\dv v*"), "SHOW VIEWS LIKE 'v*'");
        assert!(sql("\\df 'a*'").contains("routine_name LIKE 'a%'"));
        assert!(sql("\\d it's").contains("it's"));
    }

    #[test]
    fn commands_are_read() {
        for (line, command) in [
            ("\\timing OFF", Command::Timing(Some(false))),
            ("\\format Json", Command::Format(Some("Json".into()))),
            ("exit;", Command::Quit),
            ("\\set", Command::Set(None)),
            (
                "\\set day  '1 2'",
                Command::Set(Some(("day".into(), "1 2".into()))),
            ),
            ("\\o \"a b.csv\"", Command::Output(Some("a b.csv".into()))),
            (
                "\\gx",
                Command::Again {
                    file: None,
                    vertical: true,
                },
            ),
            ("\\watch 0.5", Command::Watch(Duration::from_millis(500))),
            ("\\chart BAR", Command::Chart(Chart::Bar)),
        ] {
            assert_eq!(parse(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn mistakes_name_what_is_near() {
        let message = |line| parse(line).unwrap_err();
        assert_eq!(
            message("\\fromat csv"),
            "unknown command \\fromat: did you mean \\format?"
        );
        for (line, part) in [
            ("\\nonsense", "\\? lists"),
            ("\\du all", "no argument"),
            ("\\dp", "needs an argument: \\dp NAME"),
            ("\\timing maybe", "on or off"),
            ("\\format xml", "vertical"),
            ("\\watch -1", "from 0.1"),
            ("\\watch NaN", "from 0.1"),
            ("\\watch 1e99", "from 0.1"),
            ("\\chart pie", "bar or line"),
        ] {
            assert!(message(line).contains(part), "{line}: {}", message(line));
        }
    }

    #[test]
    fn every_command_is_in_the_help_and_is_read() {
        for (name, argument, _) in all() {
            assert!(help(80).contains(name), "{name}");
            let sample = match *argument {
                "bar|line" => "bar",
                "[on|off]" => "on",
                "[NAME]" if *name == "\\format" => "csv",
                "[SECONDS]" => "1",
                "" => "",
                _ => "x",
            };
            assert!(parse(&format!("{name} {sample}")).is_ok(), "{name}");
        }
        let widest = |columns| {
            let help = help(columns);
            let commands = help.lines().filter(|line| line.starts_with("  "));
            commands.map(crate::format::width).max()
        };
        assert!(widest(80) <= Some(80));
    }
}
