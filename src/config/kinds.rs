//! The kinds of values that a key can have: how each is written, read and shown.
//!
//! A flag, a variable and a TOML value all arrive here as text, so that each kind has one grammar.

mod choice;
mod duration;
mod place;
mod size;

pub use choice::{
    Choice, Color, Compare, Compression, DataFormat, LogFormat, ResultFormat, Verify,
};
pub use duration::Time;
pub use place::{
    Address, CatalogDatabase, Directory, FilePath, FlightUrl, Location, NodeUrl, Roots,
};
pub use size::Size;

use std::fmt;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A scalar, or a list in a form that holds only one text.
    One(String),
    /// A list whose elements are apart already: a TOML array, or a flag that was given repeatedly.
    Many(Vec<String>),
}

impl Raw {
    /// The one text of a scalar.
    ///
    /// # Errors
    /// A message where this is a list.
    pub fn scalar(&self) -> Result<&str, String> {
        match self {
            Self::One(text) => Ok(text.trim()),
            Self::Many(_) => Err("expected one value, not a list".to_owned()),
        }
    }
}

/// The grammar of a key's values.
pub trait Kind {
    /// What the program works with.
    type Value: Clone + fmt::Debug;
    /// Whether values must not be shown.
    const IS_SECRET: bool = false;
    /// Whether a value that cannot be read must not be repeated, since it may have a secret in it.
    const HIDES_INPUT: bool = Self::IS_SECRET;
    /// Whether a flag may be repeated to make a list.
    const IS_LIST: bool = false;
    /// Whether the flag alone, without a value, means `true`.
    const IS_SWITCH: bool = false;

    /// How values are written, for people, e.g. `bytes, such as 4GiB`.
    fn syntax() -> String;

    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with it, for people, without naming the key.
    fn parse(raw: &Raw) -> Result<Self::Value, String>;

    /// Shows a value as TOML; `None` for one that TOML says by leaving the key out.
    fn show(value: &Self::Value) -> Option<String>;
}

/// Any text, not empty.
pub struct Text;

impl Kind for Text {
    type Value = String;

    fn syntax() -> String {
        "text".to_owned()
    }

    fn parse(raw: &Raw) -> Result<String, String> {
        match raw.scalar()? {
            "" => Err("must not be empty".to_owned()),
            text => Ok(text.to_owned()),
        }
    }

    fn show(value: &String) -> Option<String> {
        Some(quoted(value))
    }
}

/// A whole number between two bounds.
pub struct Count<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Kind for Count<MIN, MAX> {
    type Value = usize;

    fn syntax() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(raw: &Raw) -> Result<usize, String> {
        let number: Option<u64> = raw.scalar()?.parse().ok();
        number
            .filter(|number| (MIN..=MAX).contains(number))
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| format!("expected {}", Self::syntax()))
    }

    fn show(value: &usize) -> Option<String> {
        Some(value.to_string())
    }
}

/// `true` or `false`.
pub struct Switch;

impl Kind for Switch {
    type Value = bool;
    const IS_SWITCH: bool = true;

    fn syntax() -> String {
        "`true` or `false`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<bool, String> {
        raw.scalar()?
            .parse()
            .map_err(|_| "expected `true` or `false`".to_owned())
    }

    fn show(value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

/// A benchmark's scale factor: one is about a gigabyte.
pub struct Scale;

/// The least scale for which every table has rows.
const SCALE_MIN: f64 = 0.01;
/// The greatest scale that the generator was made for.
const SCALE_MAX: f64 = 100_000.0;

impl Kind for Scale {
    type Value = f64;

    fn syntax() -> String {
        format!("a number from {SCALE_MIN} to {SCALE_MAX}")
    }

    fn parse(raw: &Raw) -> Result<f64, String> {
        let number: Option<f64> = raw.scalar()?.parse().ok();
        number
            .filter(|number| (SCALE_MIN..=SCALE_MAX).contains(number))
            .ok_or_else(|| format!("expected {}", Self::syntax()))
    }

    fn show(value: &f64) -> Option<String> {
        Some(value.to_string())
    }
}

/// Numbers of the benchmark's queries.
pub struct Queries;

/// How many queries the benchmark has.
const QUERY_COUNT: u8 = 22;

impl Kind for Queries {
    type Value = Vec<u8>;
    const IS_LIST: bool = true;

    fn syntax() -> String {
        format!("numbers from 1 to {QUERY_COUNT}, separated by commas, or `all`")
    }

    fn parse(raw: &Raw) -> Result<Vec<u8>, String> {
        let texts = match raw {
            Raw::One(text) => std::slice::from_ref(text),
            Raw::Many(texts) => texts.as_slice(),
        };
        if let [text] = texts
            && text.trim() == "all"
        {
            return Ok((1..=QUERY_COUNT).collect());
        }
        let mut queries = Vec::new();
        for text in texts.iter().flat_map(|text| text.split(',')) {
            let number = text.trim().parse().ok();
            let number = number
                .filter(|number| (1..=QUERY_COUNT).contains(number))
                .ok_or_else(|| format!("{:?} is not one of the {}", text.trim(), Self::syntax()))?;
            if !queries.contains(&number) {
                queries.push(number);
            }
        }
        Ok(queries)
    }

    fn show(value: &Vec<u8>) -> Option<String> {
        let numbers: Vec<_> = value.iter().map(u8::to_string).collect();
        Some(format!("[{}]", numbers.join(", ")))
    }
}

/// A value that need not be there; `none` or nothing where it is not.
pub struct Maybe<K>(std::marker::PhantomData<K>);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;
    const IS_SECRET: bool = K::IS_SECRET;
    const HIDES_INPUT: bool = K::HIDES_INPUT;
    const IS_LIST: bool = K::IS_LIST;
    const IS_SWITCH: bool = K::IS_SWITCH;

    fn syntax() -> String {
        format!("{}, or `none`", K::syntax())
    }

    fn parse(raw: &Raw) -> Result<Self::Value, String> {
        match raw {
            Raw::One(text) if matches!(text.trim(), "" | "none") => Ok(None),
            raw => K::parse(raw).map(Some),
        }
    }

    fn show(value: &Self::Value) -> Option<String> {
        value.as_ref().and_then(K::show)
    }
}

/// A password or key, which is never shown.
pub struct Secret;

/// A secret's text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The secret itself: for whoever checks or sends it, never for logs.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Kind for Secret {
    type Value = SecretText;
    const IS_SECRET: bool = true;

    fn syntax() -> String {
        "a secret".to_owned()
    }

    fn parse(raw: &Raw) -> Result<SecretText, String> {
        Text::parse(raw).map(SecretText)
    }

    fn show(_: &SecretText) -> Option<String> {
        Some(quoted("***"))
    }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Raw {
        Raw::One(text.to_owned())
    }

    #[test]
    fn counts_have_bounds() {
        assert_eq!(Count::<1, 8>::parse(&one(" 8 ")), Ok(8));
        for text in ["0", "9", "-1", "1.5", "", "many"] {
            let error = Count::<1, 8>::parse(&one(text)).unwrap_err();
            assert_eq!(error, "expected a whole number from 1 to 8", "{text}");
        }
        assert!(Count::<1, 8>::parse(&Raw::Many(vec!["1".into()])).is_err());
    }

    #[test]
    fn queries_are_a_set_in_the_order_given() {
        assert_eq!(Queries::parse(&one("6, 1,18,6")), Ok(vec![6, 1, 18]));
        assert_eq!(Queries::parse(&one("all")).unwrap().len(), 22);
        let flags = Raw::Many(vec!["1,2".into(), "3".into()]);
        assert_eq!(Queries::parse(&flags), Ok(vec![1, 2, 3]));
        for text in ["0", "23", "1,,2", "q1", ""] {
            assert!(Queries::parse(&one(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_scale_is_a_number_in_range() {
        assert_eq!(Scale::parse(&one("0.01")), Ok(0.01));
        assert_eq!(Scale::show(&1.0).as_deref(), Some("1"));
        for text in ["0", "0.001", "NaN", "inf", "-1", "ten"] {
            assert!(Scale::parse(&one(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::parse(&one("hunter2")).unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(
            Maybe::<Secret>::show(&Some(secret)).as_deref(),
            Some("\"***\"")
        );
    }

    #[test]
    fn an_optional_value_may_be_none() {
        assert_eq!(Maybe::<Text>::parse(&one("none")), Ok(None));
        assert_eq!(Maybe::<Text>::parse(&one("")), Ok(None));
        assert_eq!(Maybe::<Text>::parse(&one("x")), Ok(Some("x".to_owned())));
        assert_eq!(Maybe::<Text>::show(&None), None);
    }
}
