//! The directories of partitions, as Hive names them.

/// The directory name that stands for NULL.
const NULL_DIRECTORY: &str = "__HIVE_DEFAULT_PARTITION__";

/// The path of the partition with `values`, below its table's directory: `ds=2024-01-01/hr=1`.
pub fn partition_path(names: &[String], values: &[Option<String>]) -> String {
    let parts: Vec<String> = names
        .iter()
        .zip(values)
        .map(|(name, value)| {
            let value = value
                .as_deref()
                .map_or_else(|| NULL_DIRECTORY.to_owned(), escape);
            format!("{}={value}", escape(name))
        })
        .collect();
    parts.join("/")
}

/// Writes what could be mistaken for a part of the path as `%XX`: the characters of Hive's
/// `FileUtils.escapePathName`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_special = letter.is_ascii_control()
            || matches!(
                letter,
                '"' | '#' | '%' | '\'' | '*' | '/' | ':' | '=' | '?' | '\\' | '{' | '[' | ']' | '^'
            );
        match is_special {
            true => escaped.push_str(&format!("%{:02X}", u32::from(letter))),
            false => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_named_as_hive_names_them() {
        let names = ["ds".to_owned(), "a=b".to_owned()];
        for (values, expected) in [
            (
                [Some("2024-01-01"), Some("1")],
                "ds=2024-01-01/a%3Db=1".to_owned(),
            ),
            (
                [None, Some("a b")],
                format!("ds={NULL_DIRECTORY}/a%3Db=a b"),
            ),
            (
                [Some("x/y=50%"), Some("ä\n")],
                "ds=x%2Fy%3D50%25/a%3Db=ä%0A".to_owned(),
            ),
            (
                [Some("10:30"), Some("c:\\d")],
                "ds=10%3A30/a%3Db=c%3A%5Cd".to_owned(),
            ),
        ] {
            let values = values.map(|value| value.map(str::to_owned));
            assert_eq!(partition_path(&names, &values), expected);
        }
    }
}
