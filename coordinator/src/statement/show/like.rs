//! Patterns of names.

/// Whether `name` is like a pattern with `%` and `_` (SQL) or `*` and `|` (Hive), in any case.
pub(crate) fn is_like(name: &str, pattern: Option<&str>) -> bool {
    let Some(pattern) = pattern else {
        return true;
    };
    let name: Vec<char> = name.to_lowercase().chars().collect();
    pattern
        .to_lowercase()
        .split('|')
        .any(|pattern| matches(&name, &pattern.chars().collect::<Vec<_>>()))
}

fn matches(name: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('%' | '*', rest)) => (0..=name.len()).any(|skip| matches(&name[skip..], rest)),
        Some(('_', rest)) => !name.is_empty() && matches(&name[1..], rest),
        Some((letter, rest)) => name.first() == Some(letter) && matches(&name[1..], rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_sql_and_of_hive() {
        for (pattern, expected) in [
            ("orders", true),
            ("ord%", true),
            ("ORD*", true),
            ("o_ders", true),
            ("ord", false),
            ("line*|ord*", true),
            ("%", true),
            ("", false),
        ] {
            assert_eq!(is_like("orders", Some(pattern)), expected, "{pattern}");
        }
        assert!(is_like("orders", None));
    }
}
