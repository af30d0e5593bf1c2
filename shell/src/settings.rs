//! What `\set`, `\format` and `\timing` change: how results are shown.

use crate::format::{Format, LongValues, Look};

/// How results are shown.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The format that was chosen; otherwise a table for people and CSV for programs.
    pub format: Option<Format>,
    /// How values look.
    pub look: Look,
    /// Whether the line below a result says how long it took.
    pub timing: bool,
    /// Whether long results go through the pager.
    pub pager: bool,
    /// Whether there is a line of progress while a query runs.
    pub progress: bool,
}

/// A setting's name, the values that it takes, and what it is.
pub(crate) const NAMES: &[(&str, &str, &str)] = &[
    ("format", "auto|table|vertical|csv|…", "how results look"),
    ("header", "on|off", "the line with the columns' names"),
    ("null", "TEXT", "how NULL looks to people"),
    ("digits", "plain|grouped", "commas between thousands"),
    (
        "long_values",
        "wrap|cut|full",
        "values wider than the terminal",
    ),
    (
        "auto_vertical",
        "on|off",
        "rows wider than the terminal as one line per value",
    ),
    ("pager", "on|off", "long results through the pager"),
    (
        "progress",
        "on|off",
        "a line of progress while a query runs",
    ),
    ("timing", "on|off", "how long statements take"),
];

impl Settings {
    /// Changes one. `None` where there is none of that name; the error is a message for the user.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
        let lower = value.to_ascii_lowercase();
        let switch = |target: &mut bool| match lower.as_str() {
            "on" | "true" => {
                *target = true;
                Ok(())
            }
            "off" | "false" => {
                *target = false;
                Ok(())
            }
            _ => Err(format!("{name} is on or off, and not '{value}'")),
        };
        Some(match name {
            "format" if lower == "auto" => {
                self.format = None;
                Ok(())
            }
            "format" => match value.parse() {
                Ok(format) => {
                    self.format = Some(format);
                    Ok(())
                }
                Err(error) => Err(error.to_string()),
            },
            "header" => switch(&mut self.look.header),
            "null" => {
                self.look.null = value.to_owned();
                Ok(())
            }
            "digits" => match lower.as_str() {
                "plain" | "grouped" => {
                    self.look.group_digits = lower == "grouped";
                    Ok(())
                }
                _ => Err(format!("digits are plain or grouped, and not '{value}'")),
            },
            "long_values" => long_values(&lower).map(|long| self.look.long_values = long),
            "auto_vertical" => switch(&mut self.look.auto_vertical),
            "pager" => switch(&mut self.pager),
            "progress" => switch(&mut self.progress),
            "timing" => switch(&mut self.timing),
            _ => return None,
        })
    }

    /// The value of one.
    pub(crate) fn get(&self, name: &str) -> String {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        match name {
            "format" => self.format.map_or("auto", Format::as_str).to_owned(),
            "header" => switch(self.look.header),
            "null" => self.look.null.clone(),
            "digits" if self.look.group_digits => "grouped".to_owned(),
            "digits" => "plain".to_owned(),
            "long_values" => match self.look.long_values {
                LongValues::Wrap => "wrap".to_owned(),
                LongValues::Cut => "cut".to_owned(),
                LongValues::Full => "full".to_owned(),
            },
            "auto_vertical" => switch(self.look.auto_vertical),
            "pager" => switch(self.pager),
            "progress" => switch(self.progress),
            "timing" => switch(self.timing),
            _ => String::new(),
        }
    }
}

fn long_values(value: &str) -> Result<LongValues, String> {
    match value {
        "wrap" => Ok(LongValues::Wrap),
        "cut" => Ok(LongValues::Cut),
        "full" => Ok(LongValues::Full),
        _ => Err(format!(
            "long_values is wrap, cut or full, and not '{value}'"
        )),
    }
}

/// Whether a setting is called that.
pub(crate) fn is_setting(name: &str) -> bool {
    NAMES.iter().any(|(known, _, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            format: None,
            look: Look::default(),
            timing: true,
            pager: true,
            progress: true,
        }
    }

    #[test]
    fn what_is_set_is_shown_and_mistakes_are_named() {
        let mut settings = settings();
        for (name, value) in [
            ("format", "markdown"),
            ("header", "off"),
            ("null", "∅"),
            ("digits", "grouped"),
            ("long_values", "cut"),
            ("auto_vertical", "off"),
            ("pager", "off"),
            ("progress", "off"),
            ("timing", "off"),
        ] {
            assert!(is_setting(name));
            assert_ne!(settings.get(name), value);
            assert_eq!(settings.set(name, value), Some(Ok(())));
            assert_eq!(settings.get(name), value);
            if name != "null" {
                assert!(settings.set(name, "maybe").unwrap().is_err(), "{name}");
            }
        }
        assert_eq!(NAMES.len(), 9);
        assert_eq!(settings.set("colour", "on"), None);
    }
}
