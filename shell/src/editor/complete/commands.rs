//! What Tab offers after a backslash.

use super::{Completions, offer, pair, starts_with};
use crate::command::{self, statements};
use crate::format::Format;
use crate::settings;
use rustyline::completion::Pair;

impl Completions {
    pub(super) fn command(&self, line: &str, cursor: usize) -> (usize, Vec<Pair>) {
        let typed = &line[..cursor];
        let Some(space) = typed.find(char::is_whitespace) else {
            let fitting = command::names().filter(|name| name.starts_with(typed));
            let candidates = fitting.map(|name| {
                let what = command::description(name).unwrap_or_default();
                pair(format!("{name:<10} {what}"), name.to_owned())
            });
            return (0, candidates.collect());
        };
        let name = &typed[..space];
        let argument = typed[space..].trim_start();
        let start = cursor - argument.len();
        let words = |words: Vec<&str>| {
            let fitting = words.into_iter().filter(|word| starts_with(word, argument));
            fitting
                .map(|word| pair(word.to_owned(), word.to_owned()))
                .collect::<Vec<_>>()
        };
        match name {
            "\\format" => (start, words(Format::all().map(Format::as_str).collect())),
            "\\chart" => (start, words(vec!["bar", "line"])),
            "\\timing" => (start, words(vec!["on", "off"])),
            "\\h" => (start, words(statements::names().collect())),
            "\\set" => (
                start,
                words(settings::NAMES.iter().map(|(name, _, _)| *name).collect()),
            ),
            "\\o" | "\\g" | "\\i" | "\\e" => self.path(argument, start),
            "\\d" | "\\d+" | "\\dp" | "\\dt" | "\\dv" => self.table(argument, start),
            _ => (cursor, Vec::new()),
        }
    }

    fn table(&self, typed: &str, start: usize) -> (usize, Vec<Pair>) {
        let mut candidates = Vec::new();
        self.knowledge.with(|names| match typed.split_once('.') {
            Some((database, table)) => {
                let tables = names.tables.iter();
                let own = tables.filter(|(known, _)| known.eq_ignore_ascii_case(database));
                own.for_each(|(_, name)| offer(table, name, "", &mut candidates));
            }
            None => {
                let tables = names.tables.iter();
                let own = tables.filter(|(known, _)| *known == names.database);
                own.for_each(|(_, name)| offer(typed, name, "", &mut candidates));
                let databases = names.databases.iter();
                databases.for_each(|name| offer(typed, name, ".", &mut candidates));
            }
        });
        let qualifier = typed.find('.').map_or(0, |dot| dot + 1);
        (start + qualifier, candidates)
    }
}
