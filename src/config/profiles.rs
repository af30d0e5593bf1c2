//! The servers that have a name: `[profile.NAME]` in the configuration file.

use super::ConfigError;
use super::error::nearest;
use super::file::{Entry, PROFILES};
use super::keys;
use super::kinds::Raw;
use super::profile::Profile;
use std::collections::BTreeMap;
use std::path::Path;

/// What a profile may say, and the key of the shell that it stands for.
const KEYS: [(&str, &str); 4] = [
    ("connect", "shell.connect"),
    ("user", "shell.user"),
    ("password_file", "shell.password_file"),
    ("ca_file", "shell.ca_file"),
];

/// Reads the profiles in `path`.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Profile>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<BTreeMap<String, Profile>, ConfigError> {
    let malformed = |message: String| ConfigError::Malformed {
        path: path.to_owned(),
        line: text
            .lines()
            .position(|line| line.trim_start().starts_with(&format!("[{PROFILES}")))
            .map_or(1, |line| line + 1),
        message,
    };
    let document: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| malformed(error.message().to_owned()))?;
    let Some(profiles) = document.get(PROFILES) else {
        return Ok(BTreeMap::new());
    };
    let write = "a profile is a section: write [profile.NAME]";
    let profiles = profiles
        .as_table()
        .ok_or_else(|| malformed(write.to_owned()))?;
    let mut read = BTreeMap::new();
    for (name, values) in profiles {
        let values = values
            .as_table()
            .ok_or_else(|| malformed(write.to_owned()))?;
        let mut profile = Profile {
            path: path.to_owned(),
            ..Profile::default()
        };
        for (key, value) in values {
            let full = KEYS.iter().find(|(known, _)| known == key);
            let Some((_, full)) = full else {
                return Err(ConfigError::Unknown {
                    place: path.display().to_string(),
                    what: "key",
                    name: format!("{PROFILES}.{name}.{key}"),
                    nearest: nearest(key, KEYS.iter().map(|(known, _)| *known)),
                });
            };
            let Some(value) = value.as_str() else {
                return Err(malformed(format!("{PROFILES}.{name}.{key} is a text")));
            };
            check(path, full, value)?;
            profile.values.insert(full, value.to_owned());
        }
        if profile.get("shell.connect").is_none() {
            let message = format!("{PROFILES}.{name} does not say where to connect");
            return Err(malformed(message));
        }
        read.insert(name.clone(), profile);
    }
    Ok(read)
}

fn check(path: &Path, id: &'static str, value: &str) -> Result<(), ConfigError> {
    let Some(key) = keys::all().find(|key| key.id == id) else {
        return Ok(());
    };
    let shown = (key.show)(&Raw::One(value.to_owned()));
    shown.map(|_| ()).map_err(|message| ConfigError::Invalid {
        place: path.display().to_string(),
        key: id,
        message: format!("{message}, not {value:?}"),
    })
}

/// Lets the profile speak where no flag and no variable does.
pub(super) fn apply(
    name: &str,
    profiles: &BTreeMap<String, Profile>,
    entries: &mut BTreeMap<&'static str, Entry>,
) -> Result<(), ConfigError> {
    let profile = profiles.get(name).ok_or_else(|| ConfigError::Unknown {
        place: "shell.profile".to_owned(),
        what: "profile",
        name: name.to_owned(),
        nearest: nearest(name, profiles.keys()),
    })?;
    for (key, value) in &profile.values {
        let entry = Entry {
            raw: Raw::One(value.clone()),
            path: profile.path.clone(),
            line: 1,
        };
        entries.insert(*key, entry);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<BTreeMap<String, Profile>, String> {
        parse(Path::new("skep.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn profiles_are_read_and_applied() {
        let text =
            "[profile.prod]\nconnect = \"flights://db:1\"\nuser = \"ann\"\n[shell]\nuser = \"x\"\n";
        let profiles = parse_text(text).unwrap();
        assert_eq!(profiles["prod"].get("shell.user"), Some("ann"));
        let mut entries = BTreeMap::new();
        apply("prod", &profiles, &mut entries).unwrap();
        assert_eq!(
            entries["shell.connect"].raw,
            Raw::One("flights://db:1".into())
        );
        let error = apply("prd", &profiles, &mut entries)
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean \"prod\"?"), "{error}");
        assert!(parse_text("[server]\n").unwrap().is_empty());
    }

    #[test]
    fn mistakes_in_profiles_are_named() {
        for (text, part) in [
            ("[profile.a]\nconect = \"x\"\n", "did you mean \"connect\"?"),
            ("[profile.a]\nconnect = \"http://x\"\n", "shell.connect"),
            ("[profile.a]\nuser = \"x\"\n", "does not say where"),
            ("[profile.a]\nuser = 1\n", "is a text"),
            ("profile = 1\n", "write [profile.NAME]"),
            ("[profile.a]\npassword = \"x\"\n", "unknown key"),
        ] {
            let error = parse_text(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
