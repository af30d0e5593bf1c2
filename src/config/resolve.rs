//! Which value of a key holds: a flag before a variable before the file before the default.

use super::defaults::{Basis, Default};
use super::error::nearest;
use super::file::Entry;
use super::keys::{self, Key};
use super::kinds::Raw;
use super::resolved::{Origin, Resolved, Value};
use super::{Command, ConfigError, Environment, Given};
use std::collections::BTreeMap;

/// The variable that names the configuration file, which is not a key.
pub const FILE_VARIABLE: &str = "SKEP_CONFIG";

/// Resolves every key of the table, in its order, and checks each value.
pub fn resolve(
    command: Command,
    flags: &[Given],
    file: &BTreeMap<&'static str, Entry>,
    environment: &Environment,
) -> Result<Resolved, ConfigError> {
    let variables = read_variables(environment)?;
    let mut resolved = Resolved {
        values: BTreeMap::new(),
    };
    for key in keys::all() {
        let flag = flags.iter().rev().find(|given| given.key == key.id);
        let value = if let Some(given) = flag {
            Value {
                raw: given.raw.clone(),
                origin: Origin::Flag(given.flag.clone()),
            }
        } else if let Some((name, text)) = variables.get(key.id) {
            Value {
                raw: Raw::One(text.clone()),
                origin: Origin::Variable(name.clone()),
            }
        } else if let Some(entry) = file.get(key.id) {
            Value {
                raw: entry.raw.clone(),
                origin: Origin::File {
                    path: entry.path.clone(),
                    line: entry.line,
                },
            }
        } else {
            default(key, command, environment, &resolved)?
        };
        check(key, &value)?;
        resolved.values.insert(key.id, value);
    }
    Ok(resolved)
}

fn default(
    key: &Key,
    command: Command,
    environment: &Environment,
    earlier: &Resolved,
) -> Result<Value, ConfigError> {
    let text = match &key.default {
        Default::Fixed(text) => (*text).to_owned(),
        Default::Computed(_, compute) => compute(&Basis {
            command,
            environment,
            earlier,
        })?,
    };
    Ok(Value {
        raw: Raw::One(text),
        origin: Origin::Default,
    })
}

fn check(key: &Key, value: &Value) -> Result<(), ConfigError> {
    match (key.show)(&value.raw) {
        Ok(_) => Ok(()),
        Err(message) => Err(ConfigError::Invalid {
            place: value.origin.to_string(),
            key: key.id,
            message: match &value.raw {
                // What stands before an @ could be a password, which is nobody's business here.
                Raw::One(text) if !(key.is_secret || key.hides_input || text.contains('@')) => {
                    format!("{message}, not {text:?}")
                }
                _ => message,
            },
        }),
    }
}

/// The variables of ours, by key. One that belongs to no key is an error: it would be ignored.
fn read_variables(
    environment: &Environment,
) -> Result<BTreeMap<&'static str, (String, String)>, ConfigError> {
    let by_name: BTreeMap<String, &'static str> =
        keys::all().map(|key| (key.variable(), key.id)).collect();
    let mut found = BTreeMap::new();
    for (name, text) in environment.variables_with_prefix("SKEP_") {
        if name == FILE_VARIABLE {
            continue;
        }
        let Some(id) = by_name.get(name) else {
            return Err(ConfigError::Unknown {
                place: "environment".to_owned(),
                what: "variable",
                name: name.to_owned(),
                nearest: nearest(name, by_name.keys()),
            });
        };
        let text = text.map_err(|_| ConfigError::VariableNotUnicode(name.to_owned()))?;
        found.insert(*id, (name.to_owned(), text.to_owned()));
    }
    Ok(found)
}
