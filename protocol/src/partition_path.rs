//! The directories of partitions, as Hive names them: whoever writes a file and whoever looks for it must
//! agree.

/// The directory name that stands for NULL.
pub const NULL_DIRECTORY: &str = "__HIVE_DEFAULT_PARTITION__";

/// The directory of a partition below its table: `ds=2024-01-31/hr=1`. `values` are in their canonical
/// form.
pub fn directory<'a>(columns: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let component = |(name, value): (&str, Option<&str>)| {
        let mut component = String::new();
        escape(name, &mut component);
        component.push('=');
        match value {
            Some(value) => escape(value, &mut component),
            None => component.push_str(NULL_DIRECTORY),
        }
        component
    };
    let components: Vec<String> = columns.into_iter().map(component).collect();
    components.join("/")
}

/// Writes what Hive writes: `%XX` for whatever means something in a path, in a pattern or to Hive, and
/// everything else, blanks and letters of any script, as it is.
fn escape(text: &str, result: &mut String) {
    for letter in text.chars() {
        match letter {
            '\0'..='\x1f'
            | '\x7f'
            | '"'
            | '#'
            | '%'
            | '\''
            | '*'
            | '/'
            | ':'
            | '='
            | '?'
            | '\\'
            | '{'
            | '['
            | ']'
            | '^' => {
                result.push_str(&format!("%{:02X}", u32::from(letter)));
            }
            _ => result.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_named_as_hive_names_them() {
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
            let columns = ["ds", "a=b"].into_iter().zip(values);
            assert_eq!(directory(columns), expected);
        }
    }
}
