//! What begins with a backslash, and the two words that leave without one.

use crate::format::Format;

/// A command of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `\q`, `quit`, `exit`
    Quit,
    /// `\?`
    Help,
    /// `\timing [on|off]`; without a word, the other way round.
    Timing(Option<bool>),
    /// `\format NAME`; without a name, say which it is.
    Format(Option<Format>),
    /// A command that stands for a statement.
    Sql(String),
}

/// A command's name, its argument and what it does.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("\\l", "", "list databases"),
    ("\\dt", "", "list tables"),
    (
        "\\d",
        "[NAME]",
        "describe a table; without a name, list tables",
    ),
    (
        "\\format",
        "[table|vertical|csv|tsv|json]",
        "show or set how results look",
    ),
    (
        "\\timing",
        "[on|off]",
        "show how long statements take, or not",
    ),
    ("\\?", "", "this list"),
    ("\\q", "", "leave (or Ctrl-D)"),
];

/// Whether a line between two statements is for the shell itself.
pub(crate) fn is_command(line: &str) -> bool {
    line.trim_start().starts_with('\\') || is_leaving(line)
}

fn is_leaving(line: &str) -> bool {
    let word = line.trim().trim_end_matches(';').trim_end();
    word.eq_ignore_ascii_case("quit") || word.eq_ignore_ascii_case("exit")
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
    let command = match name {
        "\\q" => Command::Quit,
        "\\?" => Command::Help,
        "\\l" => Command::Sql("SHOW DATABASES".to_owned()),
        "\\dt" => Command::Sql("SHOW TABLES".to_owned()),
        "\\d" => {
            let sql = argument.map(|table| format!("DESCRIBE {table}"));
            return Ok(Command::Sql(
                sql.unwrap_or_else(|| "SHOW TABLES".to_owned()),
            ));
        }
        "\\timing" => return timing(argument),
        "\\format" => {
            let format = argument.map(str::parse).transpose();
            return format
                .map(Command::Format)
                .map_err(|error| error.to_string());
        }
        _ => return Err(unknown(name)),
    };
    match argument {
        Some(argument) => Err(format!("{name} takes no argument, and got '{argument}'")),
        None => Ok(command),
    }
}

/// What `\?` prints.
pub(crate) fn help() -> String {
    let mut help = String::from("A statement ends with ; and may have several lines.\n");
    for (name, argument, description) in COMMANDS {
        let usage = format!("{name} {argument}");
        help.push_str(&format!("  {usage:<40} {description}\n"));
    }
    help.push_str("Ctrl-C clears the line, or cancels the query that runs.\n");
    help
}

/// All names, for completion.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, _, _)| *name)
}

fn timing(argument: Option<&str>) -> Result<Command, String> {
    match argument.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(Command::Timing(None)),
        Some("on") => Ok(Command::Timing(Some(true))),
        Some("off") => Ok(Command::Timing(Some(false))),
        Some(other) => Err(format!("\\timing is on or off, and not '{other}'")),
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

    #[test]
    fn commands_are_told_from_sql() {
        assert!(is_command("  \\dt") && is_command("EXIT;") && is_command("quit"));
        assert!(!is_command("select '\\q'") && !is_command("exit strategy"));
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(
            parse("\\d  my.orders ;"),
            Ok(Command::Sql("DESCRIBE my.orders".into()))
        );
        assert_eq!(parse("\\d"), Ok(Command::Sql("SHOW TABLES".into())));
        assert_eq!(parse("\\timing OFF"), Ok(Command::Timing(Some(false))));
        assert_eq!(
            parse("\\format Json"),
            Ok(Command::Format(Some(Format::Json)))
        );
        assert_eq!(parse("exit;"), Ok(Command::Quit));
    }

    #[test]
    fn mistakes_name_what_is_near() {
        let message = |line| parse(line).unwrap_err();
        assert_eq!(
            message("\\fromat csv"),
            "unknown command \\fromat: did you mean \\format?"
        );
        assert!(message("\\nonsense").contains("\\? lists"));
        assert!(message("\\l all").contains("no argument"));
        assert!(message("\\timing maybe").contains("on or off"));
        assert!(message("\\format xml").contains("vertical"));
    }

    #[test]
    fn the_help_names_every_command() {
        for name in names() {
            assert!(help().contains(name), "{name}");
        }
    }
}
