//! Names of databases, tables and columns: compared without regard to case and kept in lower case, as
//! Hive does.

use crate::error::CatalogError;

/// The longest name, in bytes; Hive's metastore has the same bound.
pub const NAME_BYTES_MAX: usize = 128;

/// The form in which a name is kept and compared.
pub fn normalise(name: &str) -> String {
    name.to_lowercase()
}

/// The normal form of a new name, or why it cannot be one. `what` is the kind of thing that it names.
pub fn validate(what: &'static str, name: &str) -> Result<String, CatalogError> {
    let invalid = |reason| CatalogError::InvalidName {
        what,
        name: name.chars().take(NAME_BYTES_MAX).collect(),
        reason,
    };
    if name.is_empty() {
        return Err(invalid("it is empty"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(invalid("it is longer than 128 bytes"));
    }
    if name.contains(|c: char| c.is_control() || "./\\".contains(c)) {
        return Err(invalid(
            "'.', slashes and control characters are not allowed",
        ));
    }
    Ok(normalise(name))
}

/// The normal form of a new user's name, which may look like an address: `ada@example.org`.
pub fn validate_user(name: &str) -> Result<String, CatalogError> {
    let invalid = |reason| CatalogError::InvalidName {
        what: "user",
        name: name.chars().take(NAME_BYTES_MAX).collect(),
        reason,
    };
    if name.is_empty() {
        return Err(invalid("it is empty"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(invalid("it is longer than 128 bytes"));
    }
    // What a client sends when it logs in is `name:password`.
    if name.contains(|c: char| c.is_control() || c.is_whitespace() || c == ':') {
        return Err(invalid(
            "blanks, ':' and control characters are not allowed",
        ));
    }
    Ok(normalise(name))
}

/// The one of `names` that was probably meant by `name`, if one is near enough.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    // A third of the letters may be wrong: one in "tabl", three in "lineitems".
    let distance_max = (name.chars().count() / 3).max(1);
    names
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        let names = ["lineitem", "orders", "part"];
        assert_eq!(
            nearest("lineitme", names.into_iter()),
            Some("lineitem".to_owned())
        );
        assert_eq!(
            nearest("order", names.into_iter()),
            Some("orders".to_owned())
        );
        assert_eq!(nearest("customer", names.into_iter()), None);
    }

    #[test]
    fn names_are_kept_in_lower_case_and_bounded() {
        assert_eq!(validate("table", "LineItem").unwrap(), "lineitem");
        for bad in ["", "a.b", "a/b", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(validate("table", bad).is_err(), "{bad:?}");
        }
    }
}
