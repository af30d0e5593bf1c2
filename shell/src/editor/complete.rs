//! What Tab offers: names and words that fit where the cursor stands.

mod commands;

use super::tables::{self, Named};
use crate::knowledge::{Asker, Knowledge, Names};
use rustyline::completion::{FilenameCompleter, Pair};
use skep_sql::{Dialect, Kind, Piece, quoted_name};
use std::sync::Arc;

/// How many candidates are offered at most.
const CANDIDATES_MAX: usize = 500;

/// What completes.
pub(super) struct Completions {
    knowledge: Arc<Knowledge>,
    asker: Asker,
    files: FilenameCompleter,
}

/// What is expected at the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The first word of a statement.
    Statement,
    /// A table.
    Table,
    /// A database.
    Database,
    /// A setting.
    Setting,
    /// Columns, functions, keywords.
    Expression,
}

/// The statement, and where the cursor stands in it.
struct Place<'a> {
    whole: &'a str,
    cursor: usize,
    /// The pieces before the cursor that are no comments, without the word at it.
    before: Vec<Piece>,
    /// What has been typed of the word at the cursor, and where it begins.
    typed: &'a str,
    start: usize,
}

impl Completions {
    pub(super) fn new(knowledge: Arc<Knowledge>, asker: Asker) -> Self {
        Self {
            knowledge,
            asker,
            files: FilenameCompleter::new(),
        }
    }

    /// Where what is completed begins, and what it may become. What is not known yet is asked for: the
    /// next Tab has it.
    pub(super) fn complete(&self, before: &str, line: &str, cursor: usize) -> (usize, Vec<Pair>) {
        self.look_ahead(before, line);
        let typed = &line[..cursor];
        if before.is_empty() && typed.trim_start().starts_with('\\') {
            return self.command(line, cursor);
        }
        let whole = format!("{before}{line}");
        let shift = before.len();
        let (start, mut candidates) = self.in_statement(&whole, shift + cursor);
        candidates.truncate(CANDIDATES_MAX);
        // A quote that a line before has opened is not completed.
        match start.checked_sub(shift) {
            Some(start) => (start, candidates),
            None => (cursor, Vec::new()),
        }
    }

    /// Asks for what will be wanted soon.
    pub(super) fn look_ahead(&self, before: &str, line: &str) {
        let wants_partitions = line.contains('\'') || line.contains('=');
        for named in tables::of(&format!("{before}{line}"), self.dialect()) {
            let (database, table) = self.resolve(&named);
            let is_known = self.knowledge.with(|names| {
                let mut tables = names.tables.iter();
                tables.any(|(known, name)| *known == database && *name == table)
            });
            if is_known {
                self.asker.table(&database, &table, wants_partitions);
            }
        }
    }

    /// How the function is called whose parenthesis has just been opened.
    pub(super) fn signature(&self, line: &str, cursor: usize) -> Option<String> {
        if cursor != line.len() || !line.ends_with('(') {
            return None;
        }
        let head = &line[..line.len() - 1];
        let start = head.rfind(|c| !skep_sql::is_word(c)).map_or(0, |at| at + 1);
        let name = head[start..].to_lowercase();
        self.knowledge.with(|names| {
            let found = names.functions.iter().find(|(known, _)| *known == name)?;
            let (_, rest) = found.1.split_once('(')?;
            Some(rest.lines().next()?.to_owned())
        })
    }

    /// How the session reads statements.
    pub(super) fn dialect(&self) -> Dialect {
        self.knowledge.with(|names| names.dialect)
    }

    fn resolve(&self, named: &Named) -> (String, String) {
        let database = named.database.clone();
        let database =
            database.unwrap_or_else(|| self.knowledge.with(|names| names.database.clone()));
        (database, named.table.clone())
    }

    fn in_statement(&self, whole: &str, cursor: usize) -> (usize, Vec<Pair>) {
        let mut pieces = skep_sql::pieces(&whole[..cursor], self.dialect());
        let last = pieces.last().cloned();
        let at_cursor = last.filter(|piece| piece.range.end == cursor);
        let (typed, start) = match &at_cursor {
            Some(piece) if piece.kind == Kind::Comment => return (cursor, Vec::new()),
            Some(piece) if piece.kind == Kind::Text && !piece.is_closed => {
                pieces.pop();
                let before = without_comments(pieces);
                return self.in_text(whole, &before, piece.range.start + 1, cursor);
            }
            Some(piece) if matches!(piece.kind, Kind::Word | Kind::QuotedName) => {
                pieces.pop();
                (&whole[piece.range.clone()], piece.range.start)
            }
            _ => ("", cursor),
        };
        let place = Place {
            whole,
            cursor,
            before: without_comments(pieces),
            typed,
            start,
        };
        self.names(&place)
    }

    fn names(&self, place: &Place) -> (usize, Vec<Pair>) {
        let expected = place.expected();
        if expected == Expected::Setting {
            return self.setting(place);
        }
        let named = tables::of(place.whole, self.dialect());
        let mut candidates = Vec::new();
        if let Some(qualifier) = place.qualifier() {
            self.knowledge.with(|names| {
                self.qualified(&qualifier, &named, names, place.typed, &mut candidates)
            });
            return (place.start, candidates);
        }
        self.knowledge.with(|names| match expected {
            Expected::Statement => {}
            Expected::Database => {
                let databases = names.databases.iter();
                databases.for_each(|name| offer(place.typed, name, "", &mut candidates));
            }
            Expected::Table => {
                let tables = names.tables.iter();
                let own = tables.filter(|(database, _)| *database == names.database);
                own.for_each(|(_, name)| offer(place.typed, name, "", &mut candidates));
                let databases = names.databases.iter();
                databases.for_each(|name| offer(place.typed, name, ".", &mut candidates));
            }
            Expected::Expression | Expected::Setting => {
                self.columns(&named, names, place.typed, &mut candidates);
                if !place.typed.is_empty() {
                    functions(names, place.typed, &mut candidates);
                }
            }
        });
        // A table's name is worth more than the few words that could stand in its place.
        let in_expression = expected == Expected::Expression && !place.typed.is_empty();
        if expected != Expected::Database && (candidates.is_empty() || in_expression) {
            keywords(place, expected, &mut candidates);
        }
        (place.start, candidates)
    }

    /// What may follow `qualifier.`.
    fn qualified(
        &self,
        qualifier: &str,
        named: &[Named],
        names: &Names,
        typed: &str,
        candidates: &mut Vec<Pair>,
    ) {
        let tables = names.tables.iter();
        let of_database = tables.filter(|(database, _)| database.eq_ignore_ascii_case(qualifier));
        of_database.for_each(|(_, name)| offer(typed, name, "", candidates));
        let called: Vec<_> = named
            .iter()
            .filter(|named| named.is_called(qualifier))
            .cloned()
            .collect();
        self.columns(&called, names, typed, candidates);
    }

    fn columns(&self, named: &[Named], names: &Names, typed: &str, candidates: &mut Vec<Pair>) {
        for named in named {
            let database = named.database.as_ref().unwrap_or(&names.database);
            let key = (database.clone(), named.table.clone());
            for column in names.columns.get(&key).into_iter().flatten() {
                let known = candidates.len();
                offer(typed, &column.name, "", candidates);
                if let Some(added) = candidates.get_mut(known) {
                    added.display = format!("{}  {}", added.replacement, column.data_type);
                }
            }
            if let Some(alias) = named.alias.as_ref().filter(|_| !typed.is_empty()) {
                offer(typed, alias, ".", candidates);
            }
        }
    }

    fn setting(&self, place: &Place) -> (usize, Vec<Pair>) {
        // A setting's name has dots, which no other word has.
        let is_part = |c: char| skep_sql::is_word(c) || c == '.';
        let before = &place.whole[..place.cursor];
        let start = before.rfind(|c| !is_part(c)).map_or(0, |at| at + 1);
        let typed = &before[start..];
        let mut candidates = Vec::new();
        self.knowledge.with(|names| {
            let fitting = names.settings.iter();
            let fitting = fitting.filter(|name| starts_with(name, typed));
            candidates.extend(fitting.map(|name| pair(name.clone(), name.clone())));
        });
        if candidates.is_empty() || !typed.contains('.') {
            keywords(place, Expected::Setting, &mut candidates);
        }
        (start, candidates)
    }

    /// Within `'`: a file's path, or a value of a partition column.
    fn in_text(
        &self,
        whole: &str,
        before: &[Piece],
        start: usize,
        cursor: usize,
    ) -> (usize, Vec<Pair>) {
        let typed = &whole[start..cursor];
        let words: Vec<&str> = before
            .iter()
            .rev()
            .map(|piece| &whole[piece.range.clone()])
            .collect();
        if names_file(&words) {
            return self.path(typed, start);
        }
        let Some(column) = compared_column(&words) else {
            return (cursor, Vec::new());
        };
        let mut values = Vec::new();
        for named in tables::of(whole, self.dialect()) {
            let key = self.resolve(&named);
            self.knowledge.with(|names| {
                for partition in names.partitions.get(&key).into_iter().flatten() {
                    let of_column = partition.iter().filter(|(name, _)| *name == column);
                    values.extend(of_column.map(|(_, value)| value.clone()));
                }
            });
        }
        values.sort();
        values.dedup();
        values.retain(|value| starts_with(value, typed));
        let quoted = |value: String| pair(value.clone(), value.replace('\'', "''"));
        (start, values.into_iter().map(quoted).collect())
    }

    fn path(&self, typed: &str, start: usize) -> (usize, Vec<Pair>) {
        match self.files.complete_path(typed, typed.len()) {
            Ok((at, candidates)) => (start + at, candidates),
            Err(_) => (start, Vec::new()),
        }
    }
}

/// What a file's name may stand behind.
const BEFORE_FILES: [&str; 8] = [
    "location",
    "inpath",
    "directory",
    "from",
    "join",
    "to",
    "describe",
    "desc",
];

/// The functions that read files.
const FILE_READERS: [&str; 4] = ["read_parquet", "read_csv", "read_json", "read_avro"];

/// Whether a text behind these words, the last one first, is the name of a file.
fn names_file(words: &[&str]) -> bool {
    let is_any = |word: &str, wanted: &[&str]| {
        let mut wanted = wanted.iter();
        wanted.any(|wanted| word.eq_ignore_ascii_case(wanted))
    };
    match words {
        ["(", function, ..] | ["[", "(", function, ..] => is_any(function, &FILE_READERS),
        [word, ..] => is_any(word, &BEFORE_FILES),
        [] => false,
    }
}

impl Place<'_> {
    fn text(&self, piece: &Piece) -> &str {
        &self.whole[piece.range.clone()]
    }

    /// The name before a dot at the cursor.
    fn qualifier(&self) -> Option<String> {
        let [.., name, dot] = self.before.as_slice() else {
            return None;
        };
        let is_name = matches!(name.kind, Kind::Word | Kind::QuotedName);
        (is_name && self.text(dot) == ".").then(|| skep_sql::unquoted(self.text(name)))
    }

    fn expected(&self) -> Expected {
        let words = self.before.iter().filter(|piece| piece.kind == Kind::Word);
        let words: Vec<String> = words.map(|piece| self.text(piece).to_lowercase()).collect();
        let Some(first) = words.first() else {
            return Expected::Statement;
        };
        let last = self
            .before
            .last()
            .map(|piece| self.text(piece).to_lowercase());
        let last = last.unwrap_or_default();
        match (first.as_str(), last.as_str()) {
            ("set" | "reset" | "show", word) if word == first => return Expected::Setting,
            ("set" | "reset", ".") => return Expected::Setting,
            ("use", _) | (_, "database" | "schema") => return Expected::Database,
            ("show", "in" | "from") if words.get(1).is_some_and(|word| word == "tables") => {
                return Expected::Database;
            }
            ("describe" | "desc" | "refresh" | "msck", _) | (_, "partitions") => {
                return Expected::Table;
            }
            ("show", "in" | "from") => return Expected::Table,
            _ => {}
        }
        // The clause is what the last word says that begins one.
        let clause = self.before.iter().rev().find(|piece| {
            piece.kind == Kind::Word && CLAUSES.contains(&self.text(piece).to_lowercase().as_str())
        });
        let clause = clause.map_or(String::new(), |piece| self.text(piece).to_lowercase());
        let in_list = ["from", "join", "into", "update", "table"].contains(&clause.as_str());
        let at_name = last == clause || last == "," || last == "." || last == "exists";
        match in_list && at_name {
            true => Expected::Table,
            false => Expected::Expression,
        }
    }
}

/// The words that begin a part of a statement.
const CLAUSES: [&str; 15] = [
    "select", "from", "join", "into", "update", "table", "where", "on", "by", "having", "limit",
    "using", "set", "values", "window",
];

/// What a statement may begin with.
const BEGINNINGS: [&str; 20] = [
    "ALTER", "CREATE", "DESCRIBE", "DROP", "EXPLAIN", "FROM", "INSERT", "KILL", "LOAD", "MSCK",
    "REFRESH", "RESET", "SELECT", "SET", "SHOW", "TRUNCATE", "USE", "VACUUM", "VALUES", "WITH",
];

fn without_comments(pieces: Vec<Piece>) -> Vec<Piece> {
    let pieces = pieces.into_iter();
    pieces.filter(|piece| piece.kind != Kind::Comment).collect()
}

/// The column in `column = '` or `column IN ('a', '`; the words come last first.
fn compared_column(words: &[&str]) -> Option<String> {
    let is_name = |word: &&str| word.starts_with(skep_sql::is_word) || word.starts_with(['"', '`']);
    let mut rest = words;
    while let [word, before @ ..] = rest {
        rest = before;
        let is_between = matches!(*word, "=" | "(" | "," | "<" | ">" | "!")
            || word.starts_with('\'')
            || ["in", "not", "like"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known));
        if !is_between {
            return Some(skep_sql::unquoted(word)).filter(|_| is_name(word));
        }
    }
    None
}

fn starts_with(name: &str, typed: &str) -> bool {
    let start = name.get(..typed.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

fn pair(display: String, replacement: String) -> Pair {
    Pair {
        display,
        replacement,
    }
}

/// Offers a name where it fits what has been typed.
fn offer(typed: &str, name: &str, suffix: &str, candidates: &mut Vec<Pair>) {
    let bare = typed.trim_start_matches(['"', '`']);
    if !starts_with(name, bare) {
        return;
    }
    let quoted = match typed.starts_with('"') {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => quoted_name(name),
    };
    let replacement = format!("{quoted}{suffix}");
    if !candidates
        .iter()
        .any(|known| known.replacement == replacement)
    {
        candidates.push(pair(replacement.clone(), replacement));
    }
}

fn functions(names: &Names, typed: &str, candidates: &mut Vec<Pair>) {
    let fitting = names.functions.iter();
    for (name, signature) in fitting.filter(|(name, _)| starts_with(name, typed)) {
        let signature = signature.lines().next().unwrap_or_default();
        let display = match signature.is_empty() {
            true => format!("{name}("),
            false => signature.to_owned(),
        };
        candidates.push(pair(display, format!("{name}(")));
    }
}

fn keywords(place: &Place, expected: Expected, candidates: &mut Vec<Pair>) {
    let words: &[&str] = match expected {
        Expected::Statement => &BEGINNINGS,
        _ => skep_sql::KEYWORDS,
    };
    let is_lower = place.typed.starts_with(|c: char| c.is_ascii_lowercase());
    for word in words.iter().filter(|word| starts_with(word, place.typed)) {
        let word = match is_lower {
            true => word.to_ascii_lowercase(),
            false => (*word).to_owned(),
        };
        candidates.push(pair(word.clone(), word));
    }
}

#[cfg(test)]
mod tests;
