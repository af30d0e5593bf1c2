//! Reads the TOML file: which key has which value on which line. Unknown keys are errors.

use super::ConfigError;
use super::error::nearest;
use super::keys::{self, SECTIONS};
use super::kinds::Raw;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value in the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it was written.
    pub raw: Raw,
    /// In which file.
    pub path: PathBuf,
    /// On which line, from 1.
    pub line: usize,
}

/// The section of the servers that have a name, which has tables of its own.
pub const PROFILES: &str = "profile";

/// Reads and parses `path`.
pub fn read(path: &Path) -> Result<BTreeMap<&'static str, Entry>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&File { path, text: &text })
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    fn place(&self, span: &Range<usize>) -> String {
        format!("{}:{}", self.path.display(), self.line(span))
    }

    fn malformed(&self, span: &Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::Malformed {
            path: self.path.to_owned(),
            line: self.line(span),
            message: message.into(),
        }
    }
}

fn parse(file: &File) -> Result<BTreeMap<&'static str, Entry>, ConfigError> {
    let document = DeTable::parse(file.text)
        .map_err(|error| file.malformed(&error.span().unwrap_or(0..0), error.message()))?;
    let mut entries = BTreeMap::new();
    for (name, value) in document.get_ref() {
        if name.get_ref().as_ref() == PROFILES {
            continue;
        }
        let section = SECTIONS
            .iter()
            .find(|section| section.name == name.get_ref().as_ref())
            .ok_or_else(|| ConfigError::Unknown {
                place: file.place(&name.span()),
                what: "section",
                name: name.get_ref().to_string(),
                nearest: nearest(name.get_ref(), SECTIONS.iter().map(|section| section.name)),
            })?;
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("{} is a section: write [{0}]", section.name);
            return Err(file.malformed(&name.span(), message));
        };
        for (name, value) in table {
            let key = section
                .keys
                .iter()
                .find(|key| key.name == name.get_ref().as_ref())
                .ok_or_else(|| ConfigError::Unknown {
                    place: file.place(&name.span()),
                    what: "key",
                    name: format!("{}.{}", section.name, name.get_ref()),
                    nearest: nearest_key(section.name, name.get_ref()),
                })?;
            let entry = Entry {
                raw: raw(file, key.id, value)?,
                path: file.path.to_owned(),
                line: file.line(&name.span()),
            };
            entries.insert(key.id, entry);
        }
    }
    Ok(entries)
}

/// The nearest key of the section, or else of any: it may stand in the wrong section.
fn nearest_key(section: &str, name: &str) -> Option<String> {
    let elsewhere = || {
        keys::all()
            .find(|key| key.name == name)
            .map(|key| key.id.to_owned())
    };
    let here = keys::all().filter(|key| key.id.starts_with(&format!("{section}.")));
    elsewhere().or_else(|| {
        let name = nearest(name, here.map(|key| key.name))?;
        Some(format!("{section}.{name}"))
    })
}

fn raw(file: &File, id: &str, value: &Spanned<DeValue>) -> Result<Raw, ConfigError> {
    if let DeValue::Array(array) = value.get_ref() {
        let texts = array.iter().map(|element| {
            scalar(element.get_ref()).ok_or_else(|| {
                file.malformed(&element.span(), format!("{id} is a list of single values"))
            })
        });
        return Ok(Raw::Many(texts.collect::<Result<_, _>>()?));
    }
    match scalar(value.get_ref()) {
        Some(text) => Ok(Raw::One(text)),
        None => {
            let found = value.get_ref().type_str();
            Err(file.malformed(&value.span(), format!("{id} cannot be a {found}")))
        }
    }
}

fn scalar(value: &DeValue) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<BTreeMap<&'static str, Entry>, String> {
        let path = Path::new("skep.toml");
        parse(&File { path, text }).map_err(|error| error.to_string())
    }

    #[test]
    fn values_come_with_their_lines() {
        let text = "# ours\n[server]\nlisten = \"0.0.0.0:1\"\nallow_roots = [\"/a\", \"/b\"]\n\n[query]\nmax_running = 1_0\n";
        let entries = parse_text(text).unwrap();
        let listen = &entries["server.listen"];
        assert_eq!(
            (&listen.raw, listen.line),
            (&Raw::One("0.0.0.0:1".into()), 3)
        );
        assert_eq!(
            entries["server.allow_roots"].raw,
            Raw::Many(vec!["/a".into(), "/b".into()])
        );
        assert_eq!(entries["query.max_running"].raw, Raw::One("10".into()));
        assert_eq!(entries.len(), 3);
    }

    #[test]
    fn what_is_unknown_is_named_with_the_nearest() {
        for (text, error) in [
            (
                "[sever]\n",
                r#"skep.toml:1: unknown section "sever"; did you mean "server"?"#,
            ),
            (
                "[server]\n\nlisen = 1\n",
                r#"skep.toml:3: unknown key "server.lisen"; did you mean "server.listen"?"#,
            ),
            (
                "[server]\nmax_running = 1\n",
                r#"skep.toml:2: unknown key "server.max_running"; did you mean "query.max_running"?"#,
            ),
            (
                "[server]\nxyzzy = 1\n",
                r#"skep.toml:2: unknown key "server.xyzzy""#,
            ),
            (
                "server = 1\n",
                "skep.toml:1: server is a section: write [server]",
            ),
            (
                "[server]\nlisten = 2026-01-01\n",
                "skep.toml:2: server.listen cannot be a datetime",
            ),
            (
                "[server]\nallow_roots = [[]]\n",
                "skep.toml:2: server.allow_roots is a list of single values",
            ),
        ] {
            assert_eq!(parse_text(text).unwrap_err(), error);
        }
        let error = parse_text("[server]\nlisten = \n").unwrap_err();
        assert!(error.starts_with("skep.toml:2: "), "{error}");
    }
}
