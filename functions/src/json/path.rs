//! Paths into JSON: `$.a[0].b`, `$['a b']`, `$[*]`.

use super::value::Json;

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
    /// All items, or all members.
    All,
}

/// A path that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    steps: Vec<Step>,
    /// Whether all that it finds is one array, whatever its number.
    pub(crate) has_wildcard: bool,
}

impl Path {
    /// Reads a path, which `lax` or `strict` may stand before; `None` where it is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text
            .strip_prefix("lax ")
            .or_else(|| text.strip_prefix("strict "))
            .unwrap_or(text);
        let mut rest = text.trim().strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = Self::step(rest)?;
            steps.push(step);
            rest = left;
        }
        let has_wildcard = steps.contains(&Step::All);
        Some(Self {
            steps,
            has_wildcard,
        })
    }

    fn step(text: &str) -> Option<(Step, &str)> {
        if let Some(rest) = text.strip_prefix('.') {
            if let Some(rest) = rest.strip_prefix('"') {
                let (name, rest) = rest.split_once('"')?;
                return Some((Step::Member(name.to_owned()), rest));
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, rest) = rest.split_at_checked(end)?;
            return match name {
                "" => None,
                "*" => Some((Step::All, rest)),
                name => Some((Step::Member(name.to_owned()), rest)),
            };
        }
        let rest = text.strip_prefix('[')?;
        for quote in ['\'', '"'] {
            if let Some(rest) = rest.strip_prefix(quote) {
                let (name, rest) = rest.split_once(quote)?;
                return Some((Step::Member(name.to_owned()), rest.strip_prefix(']')?));
            }
        }
        let (index, rest) = rest.split_once(']')?;
        match index.trim() {
            "*" => Some((Step::All, rest)),
            index => Some((Step::Item(index.parse().ok()?), rest)),
        }
    }

    /// All that it finds in a value.
    pub(crate) fn find<'a>(&self, value: &'a Json) -> Vec<&'a Json> {
        let mut found = vec![value];
        for step in &self.steps {
            let mut next = Vec::new();
            for value in found {
                match (step, value) {
                    (Step::Member(name), Json::Array(items)) => {
                        // A member of an array is that of each of its items.
                        next.extend(items.iter().filter_map(|item| item.member(name)));
                    }
                    (Step::Member(name), value) => next.extend(value.member(name)),
                    (Step::Item(index), value) => next.extend(value.item(*index)),
                    (Step::All, Json::Array(items)) => next.extend(items),
                    (Step::All, Json::Object(members)) => {
                        next.extend(members.iter().map(|(_, value)| value));
                    }
                    (Step::All, _) => {}
                }
            }
            found = next;
        }
        found
    }
}

/// The path that was used last, so that it is read once.
#[derive(Default)]
pub(crate) struct Paths(Option<(String, Option<Path>)>);

impl Paths {
    /// Reads a path.
    pub(crate) fn get(&mut self, text: &str) -> Option<&Path> {
        let known = self.0.take().filter(|(known, _)| known == text);
        let known = known.unwrap_or_else(|| (text.to_owned(), Path::read(text)));
        self.0.insert(known).1.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_values() {
        let json = Json::read(r#"{"a":[{"b":1},{"b":2}],"c d":3,"e":{"f":null}}"#).unwrap();
        for (path, expected) in [
            ("$", vec![json.to_string()]),
            ("$.a[1].b", vec!["2".to_owned()]),
            ("$.a[*].b", vec!["1".to_owned(), "2".to_owned()]),
            ("$.a.b", vec!["1".to_owned(), "2".to_owned()]),
            ("$['c d']", vec!["3".to_owned()]),
            ("lax $.e.f", vec!["null".to_owned()]),
            ("$.x", vec![]),
            ("$.a[7]", vec![]),
        ] {
            let read = Path::read(path).unwrap();
            let found: Vec<String> = read.find(&json).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{path}");
        }
        for wrong in ["", "a", "$x", "$.", "$[", "$[x]"] {
            assert_eq!(Path::read(wrong), None, "{wrong}");
        }
    }
}
