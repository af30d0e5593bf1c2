//! Just enough of Rust's grammar to tell code from comments, strings and tests, and to find where
//! functions end.

use std::collections::BTreeSet;

/// A Rust file.
pub struct Source {
    /// Its path from the root, with slashes.
    pub path: String,
    /// All of it.
    pub text: String,
    /// It without the insides of comments and literals, which are blank, and without items that are
    /// only compiled for tests. Lines of such items are empty.
    pub code: String,
    /// How many lines do not belong to tests.
    pub line_count: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Where it begins, from 1.
    pub line: usize,
    /// How many lines it has, from `fn` to the closing brace.
    pub line_count: usize,
}

impl Source {
    /// Parses files, given as path and text. A file that another declares for tests only, and any in
    /// a `tests` folder, has no code.
    pub fn parse_all(files: Vec<(String, String)>) -> Vec<Self> {
        let mut sources: Vec<_> = files
            .into_iter()
            .map(|(path, text)| Self::parse(path, text))
            .collect();
        let tests: BTreeSet<_> = sources
            .iter()
            .flat_map(|source| test_modules(&source.path, &blank_literals(&source.text)))
            .collect();
        for source in &mut sources {
            let stem = source.path.trim_end_matches(".rs");
            let is_test = stem.split('/').any(|part| part == "tests")
                || tests
                    .iter()
                    .any(|module| stem == module || stem.starts_with(&format!("{module}/")));
            if is_test {
                source.code = String::new();
                source.line_count = 0;
            }
        }
        sources
    }

    fn parse(path: String, text: String) -> Self {
        let blank = blank_literals(&text);
        let ranges = test_items(&blank);
        let mut code = blank.into_bytes();
        let mut test_line_count = 0;
        for (start, end) in ranges {
            test_line_count += 1 + line_breaks(&code[start..end]);
            for byte in &mut code[start..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        let line_count = text.lines().count().saturating_sub(test_line_count);
        Self {
            path,
            text,
            code: String::from_utf8(code).unwrap(),
            line_count,
        }
    }

    /// The functions that are not for tests.
    pub fn functions(&self) -> Vec<Function> {
        functions(&self.code)
    }
}

fn line_breaks(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// The text with everything inside comments and literals, and every byte that is not ASCII, replaced
/// by blanks. Offsets and lines stay.
pub fn blank_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut blank = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        match end {
            Some(end) => {
                blank.extend(
                    bytes[at..end]
                        .iter()
                        .map(|b| if *b == b'\n' { b'\n' } else { b' ' }),
                );
                at = end;
            }
            None => {
                blank.push(if bytes[at].is_ascii() {
                    bytes[at]
                } else {
                    b' '
                });
                at += 1;
            }
        }
    }
    String::from_utf8(blank).unwrap()
}

/// Where the comment or literal ends that begins at `at`, if one does.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let end_of = |length: usize| Some((at + length).min(bytes.len()));
    if rest.starts_with(b"//") {
        return end_of(rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return end_of(block_comment_length(rest));
    }
    match rest[0] {
        b'"' => end_of(string_length(rest)),
        b'r' if !at
            .checked_sub(1)
            .is_some_and(|before| is_word(bytes[before]) && bytes[before] != b'b') =>
        {
            raw_string_length(rest).and_then(end_of)
        }
        b'\'' => char_length(rest).and_then(end_of),
        _ => None,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string_length(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = &rest[2 + hashes..];
    let length = body.windows(end.len()).position(|window| window == end);
    Some(length.map_or(rest.len(), |length| 2 + hashes + length + end.len()))
}

/// The length of a character literal; `None` for a lifetime.
fn char_length(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.iter().skip(3).position(|b| *b == b'\'')?;
        return Some(close + 4);
    }
    let first = std::str::from_utf8(&rest[1..rest.len().min(5)]);
    let width = match first {
        Ok(text) => text.chars().next()?.len_utf8(),
        Err(error) => std::str::from_utf8(&rest[1..1 + error.valid_up_to()])
            .ok()?
            .chars()
            .next()?
            .len_utf8(),
    };
    (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const TEST_ATTRIBUTE: &str = "#[cfg(test)]";

/// The items that are only compiled for tests, from their attribute to their end.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items: Vec<(usize, usize)> = Vec::new();
    for (start, _) in code.match_indices(TEST_ATTRIBUTE) {
        if items.last().is_none_or(|(_, end)| start >= *end) {
            items.push((start, item_end(code, start + TEST_ATTRIBUTE.len())));
        }
    }
    items
}

/// Behind the semicolon or the body's closing brace, whichever comes first.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code[start..].bytes().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return start + offset + 1;
                }
            }
            b';' if depth == 0 => return start + offset + 1,
            _ => {}
        }
    }
    code.len()
}

/// The modules in files of their own that `path` declares for tests only, as paths without ending.
fn test_modules(path: &str, code: &str) -> Vec<String> {
    let stem = path.trim_end_matches(".rs");
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let folder = match name {
        "lib" | "main" => folder,
        _ => stem,
    };
    test_items(code)
        .into_iter()
        .filter_map(|(start, end)| {
            let item = code[start + TEST_ATTRIBUTE.len()..end].trim();
            let name = item.split("mod ").nth(1)?.strip_suffix(';')?;
            Some(format!("{folder}/{}", name.trim()))
        })
        .collect()
}

fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let starts = code.match_indices("fn ").map(|(start, _)| start);
    starts
        .filter(|start| *start == 0 || !is_word(bytes[start - 1]))
        .filter_map(|start| {
            let name: String = code[start + 3..]
                .trim_start()
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            // `fn (u8)` is a type.
            let body = (!name.is_empty()).then(|| body(bytes, start))??;
            Some(Function {
                name,
                line: 1 + line_breaks(&bytes[..start]),
                line_count: 1 + line_breaks(&bytes[start..body]),
            })
        })
        .collect()
}

/// Where the body of the function ends that begins at `start`; `None` where it has none.
fn body(bytes: &[u8], start: usize) -> Option<usize> {
    let mut brackets = 0_usize;
    let mut braces = 0_usize;
    for (offset, byte) in bytes[start..].iter().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b';' if brackets == 0 && braces == 0 => return None,
            b'{' if brackets == 0 || braces > 0 => braces += 1,
            b'}' if braces > 0 => {
                braces -= 1;
                if braces == 0 {
                    return Some(start + offset);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Source {
        let files = vec![("a/src/lib.rs".to_owned(), text.to_owned())];
        Source::parse_all(files).remove(0)
    }

    #[test]
    fn literals_and_comments_are_blank() {
        for (text, blank) in [
            (r#"a("x\"{", b"{")"#, r#"a(      , b   )"#),
            ("a /* { /* { */ { */ b", "a                     b"),
            ("a // {\nb", "a     \nb"),
            ("r#\"{\"#; r\"{\"; br\"{\"", "       ;     ; b    "),
            ("for x", "for x"),
            (
                "'{' '\\'' '\\u{7d}' 'ä' &'a str",
                "                      &'a str",
            ),
            ("ä", "  "),
        ] {
            let found = blank_literals(text);
            assert_eq!(found.len(), text.len(), "{text}");
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(squeezed(&found), squeezed(blank), "{text}");
        }
    }

    #[test]
    fn tests_are_not_code() {
        let source = one("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { {} }\n}\nfn c() {}\n");
        let names: Vec<_> = source.functions().into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(source.line_count, 2);
    }

    #[test]
    fn files_that_are_declared_for_tests_are_not_code() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let sources = Source::parse_all(vec![
            file("a/src/lib.rs", "#[cfg(test)]\nmod contract;\nmod b;\n"),
            file("a/src/contract.rs", "fn a() {}"),
            file("a/src/contract/more.rs", "fn a() {}"),
            file(
                "a/src/b.rs",
                "#[cfg(test)]\npub(crate) mod samples;\nfn a() {}",
            ),
            file("a/src/b/samples.rs", "fn a() {}"),
            file("a/src/contracts.rs", "fn a() {}"),
            file("a/tests/c.rs", "fn a() {}"),
        ]);
        let with_code = sources
            .iter()
            .filter(|source| !source.functions().is_empty());
        let with_code: Vec<_> = with_code.map(|source| source.path.as_str()).collect();
        assert_eq!(with_code, ["a/src/b.rs", "a/src/contracts.rs"]);
    }

    #[test]
    fn functions_are_measured() {
        let text = "pub async fn a<const N: usize>(\n  f: fn (u8) -> [u8; { 1 }],\n) -> u8\nwhere\n  u8: Copy,\n{\n  let x = || { 1 };\n  match x { _ => {} }\n}\ntrait T { fn declared(&self); }\n";
        let function = Function {
            name: "a".to_owned(),
            line: 1,
            line_count: 9,
        };
        assert_eq!(one(text).functions(), [function]);
    }
}
