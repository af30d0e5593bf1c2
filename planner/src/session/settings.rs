//! What the user of a session has set, by name.
//!
//! Only changes are kept: everything else follows from the server and the cluster when a statement is
//! planned.

use super::options::SkepOptions;
use datafusion::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use skep_protocol::{ErrorCode, QueryError};
use skep_sql::Dialect;
use std::collections::BTreeMap;

/// Settings that belong to the engine: a session that changed them would read wrong results, or would
/// change the server for everybody.
const RESERVED: &[&str] = &[
    "datafusion.catalog.create_default_catalog_and_schema",
    "datafusion.catalog.default_catalog",
    "datafusion.catalog.default_schema",
    "datafusion.catalog.information_schema",
    "datafusion.catalog.location",
    "datafusion.execution.enable_file_stream_work_stealing",
    // Bounds say nothing of NaN, and rows with it would be left out.
    "datafusion.execution.parquet.pushdown_filters",
    "datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery",
    "datafusion.sql_parser.collect_spans",
];

/// The name of [`crate::session::SkepOptions`]' `sql.dialect`.
const DIALECT: &str = "skep.sql.dialect";

/// Settings of Hive's that scripts set, with the values that say what Skep does anyway.
const HIVE_SETTINGS: &[(&str, &[&str])] = &[
    ("hive.exec.dynamic.partition", &["true"]),
    ("hive.exec.dynamic.partition.mode", &["nonstrict"]),
    ("hive.support.quoted.identifiers", &["column"]),
    ("hive.exec.parallel", &["true"]),
    ("hive.vectorized.execution.enabled", &["true"]),
    ("hive.cbo.enable", &["true"]),
    ("hive.optimize.ppd", &["true"]),
];

/// How like a name must be to be suggested (Jaro-Winkler similarity, 0 to 1).
const SUGGESTION_SIMILARITY_MIN: f64 = 0.8;

/// The changes of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    changed: BTreeMap<String, String>,
}

/// A setting as `SHOW` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingEntry {
    /// Its full name.
    pub name: String,
    /// Its value; `None` where it has none.
    pub value: Option<String>,
    /// What it does.
    pub description: String,
}

impl Settings {
    /// Sets `name` to `value`.
    ///
    /// # Errors
    /// `InvalidSetting` where there is no such setting (naming the nearest), it belongs to the engine,
    /// or `value` is not of its type.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        let name = name.to_ascii_lowercase();
        if name.starts_with("hive.") {
            return check_hive_setting(&name, value);
        }
        check_name(&name)?;
        let mut probe = self.clone();
        probe.changed.insert(name.clone(), value.to_owned());
        probe.apply(&mut base_options()).map_err(|text| {
            QueryError::new(
                ErrorCode::InvalidSetting,
                format!("'{value}' is not a valid value for '{name}': {text}"),
            )
        })?;
        *self = probe;
        Ok(())
    }

    /// Back to what it was before it was set; everything for `None`.
    ///
    /// # Errors
    /// `InvalidSetting` where there is no such setting.
    pub fn reset(&mut self, name: Option<&str>) -> Result<(), QueryError> {
        match name.map(str::to_ascii_lowercase) {
            None => self.changed.clear(),
            Some(name) => {
                check_name(&name)?;
                self.changed.remove(&name);
            }
        }
        Ok(())
    }

    /// How statements are read.
    pub fn dialect(&self) -> Dialect {
        let changed = self.changed.get(DIALECT);
        let dialect = changed.and_then(|name| name.parse().ok());
        dialect.unwrap_or_default()
    }

    /// Whether the user has set `name`.
    pub fn is_set(&self, name: &str) -> bool {
        self.changed.contains_key(name)
    }

    /// Puts the changes into `options`.
    ///
    /// # Errors
    /// The text of what does not fit.
    pub fn apply(&self, options: &mut ConfigOptions) -> Result<(), String> {
        for (name, value) in &self.changed {
            options
                .set(name, value)
                .map_err(|error| error.strip_backtrace())?;
        }
        Ok(())
    }

    /// Skep's own settings.
    pub fn own(&self) -> SkepOptions {
        let mut own = SkepOptions::default();
        for (name, value) in &self.changed {
            if let Some(name) = name.strip_prefix(SkepOptions::PREFIX)
                && let Some(name) = name.strip_prefix('.')
            {
                // What was set has been tried before.
                let _ = ExtensionOptions::set(&mut own, name, value);
            }
        }
        own
    }

    /// All settings with the values that they have in `options`, by name; only `name` and those below
    /// it where one is given.
    ///
    /// # Errors
    /// `InvalidSetting` where there is none of that name.
    pub fn show(
        options: &ConfigOptions,
        name: Option<&str>,
    ) -> Result<Vec<SettingEntry>, QueryError> {
        let name = name.map(str::to_ascii_lowercase);
        let wanted = |entry: &str| match &name {
            None => true,
            Some(name) => entry == name || entry.starts_with(&format!("{name}.")),
        };
        let mut entries = entries(options);
        entries.retain(|entry| wanted(&entry.name));
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        match (entries.is_empty(), name) {
            (true, Some(name)) => Err(unknown(&name)),
            _ => Ok(entries),
        }
    }
}

fn base_options() -> ConfigOptions {
    let mut options = ConfigOptions::default();
    options.extensions.insert(SkepOptions::default());
    options
}

/// DataFusion's settings and Skep's own, by their full names. Those of the base library are not among
/// them: they are reached by Skep's own names.
fn entries(options: &ConfigOptions) -> Vec<SettingEntry> {
    let entry = |prefix: &str, entry: ConfigEntry| SettingEntry {
        name: format!("{prefix}{}", entry.key),
        value: entry.value,
        description: entry.description.to_owned(),
    };
    let stock = options.entries().into_iter();
    // An extension does not put its prefix before the names of its settings.
    let own = options.extensions.get::<SkepOptions>();
    let own = own.into_iter().flat_map(ExtensionOptions::entries);
    stock
        .filter(|entry| entry.key.starts_with("datafusion."))
        .map(|stock| entry("", stock))
        .chain(own.map(|own| entry("skep.", own)))
        .collect()
}

/// A setting of Hive's is fine where it changes nothing; everything else is refused by name.
fn check_hive_setting(name: &str, value: &str) -> Result<(), QueryError> {
    let known = HIVE_SETTINGS.iter().find(|(known, _)| *known == name);
    match known {
        Some((_, values)) if values.iter().any(|known| known.eq_ignore_ascii_case(value)) => Ok(()),
        Some((_, values)) => {
            let text = format!("'{name}' is always {}", values.join(" or "));
            Err(QueryError::new(ErrorCode::InvalidSetting, text))
        }
        None => {
            let text = format!("the setting '{name}' of Hive's is not supported");
            Err(QueryError::new(ErrorCode::InvalidSetting, text))
        }
    }
}

fn check_name(name: &str) -> Result<(), QueryError> {
    if RESERVED.contains(&name) || name.starts_with("datafusion.runtime.") {
        let text = format!("setting '{name}' belongs to the engine and cannot be changed");
        return Err(QueryError::new(ErrorCode::InvalidSetting, text));
    }
    match entries(&base_options())
        .iter()
        .any(|entry| entry.name == name)
    {
        true => Ok(()),
        false => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> QueryError {
    let entries = entries(&base_options());
    let nearest = entries
        .iter()
        .map(|entry| (similarity(&entry.name, name), &entry.name))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(similarity, _)| *similarity >= SUGGESTION_SIMILARITY_MIN);
    let suggestion = nearest.map_or(String::new(), |(_, key)| format!("; did you mean '{key}'?"));
    QueryError::new(
        ErrorCode::InvalidSetting,
        format!("there is no setting '{name}'{suggestion}"),
    )
}

/// How much a full name is like what was typed, which may be its last part alone.
fn similarity(key: &str, typed: &str) -> f64 {
    let last = key.rsplit('.').next().unwrap_or(key);
    strsim::jaro_winkler(key, typed).max(strsim::jaro_winkler(last, typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_applies() {
        let mut settings = Settings::default();
        settings
            .set("datafusion.execution.batch_size", "100")
            .unwrap();
        settings.set("SKEP.stage_tasks_max", "3").unwrap();
        let mut options = base_options();
        settings.apply(&mut options).unwrap();
        assert_eq!(options.execution.batch_size.to_string(), "100");
        assert_eq!(
            options
                .extensions
                .get::<SkepOptions>()
                .unwrap()
                .stage_tasks_max,
            3
        );
        settings.set("skep.flight.native_types", "true").unwrap();
        assert!(settings.own().flight.native_types);
        assert_eq!(settings.own().stage_tasks_max, 3);
        settings.reset(Some("skep.stage_tasks_max")).unwrap();
        assert!(!settings.is_set("skep.stage_tasks_max"));
        settings.reset(None).unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn an_unknown_setting_names_the_nearest() {
        let error = Settings::default()
            .set("skep.stage_task_max", "1")
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidSetting);
        assert!(
            error.message.contains("'skep.stage_tasks_max'"),
            "{}",
            error.message
        );
        let error = Settings::default().set("batch_size", "1").unwrap_err();
        assert!(
            error.message.contains("execution.batch_size"),
            "{}",
            error.message
        );
    }

    #[test]
    fn a_wrong_value_changes_nothing() {
        let mut settings = Settings::default();
        assert!(
            settings
                .set("datafusion.execution.batch_size", "many")
                .is_err()
        );
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn the_engines_own_settings_are_closed() {
        for name in RESERVED {
            assert!(Settings::default().set(name, "true").is_err(), "{name}");
        }
        assert!(
            Settings::default()
                .set("datafusion.runtime.memory_limit", "1G")
                .is_err()
        );
        assert!(
            Settings::default()
                .set("distributed.compression", "none")
                .is_err()
        );
    }

    #[test]
    fn showing_one_or_all() {
        let options = base_options();
        assert!(Settings::show(&options, None).unwrap().len() > 50);
        let shown = Settings::show(&options, Some("skep.broadcast_joins")).unwrap();
        assert_eq!(shown[0].value.as_deref(), Some("true"));
        assert!(Settings::show(&options, Some("no.such")).is_err());
    }
}
