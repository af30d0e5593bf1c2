//! Cuts a line, or a part of one, at a delimiter.

use std::borrow::Cow;

/// The parts of some bytes between a delimiter. There is at least one.
pub(crate) struct Parts<'a> {
    rest: Option<&'a [u8]>,
    delimiter: u8,
    escape: Option<u8>,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(whole: &'a [u8], delimiter: u8, escape: Option<u8>) -> Self {
        Self {
            rest: Some(whole),
            delimiter,
            escape,
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        match find(rest, self.delimiter, self.escape) {
            Some(end) => {
                self.rest = rest.get(end + 1..);
                rest.get(..end)
            }
            None => Some(rest),
        }
    }
}

/// Where the delimiter first stands without an escape before it.
pub(crate) fn find(bytes: &[u8], delimiter: u8, escape: Option<u8>) -> Option<usize> {
    let Some(escape) = escape else {
        return memchr::memchr(delimiter, bytes);
    };
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let found = from + memchr::memchr2(delimiter, escape, rest)?;
        if bytes.get(found) == Some(&delimiter) {
            return Some(found);
        }
        // Whatever comes next has no meaning.
        from = found + 2;
    }
}

/// The value that was written as `bytes`.
pub(crate) fn unescape(bytes: &[u8], escape: Option<u8>) -> Cow<'_, [u8]> {
    let Some(escape) = escape.filter(|escape| memchr::memchr(*escape, bytes).is_some()) else {
        return Cow::Borrowed(bytes);
    };
    let mut result = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match *byte == escape {
            // At the end of a value it has nothing to take the meaning from.
            true => result.push(*bytes.next().unwrap_or(byte)),
            false => result.push(*byte),
        }
    }
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, escape: Option<u8>) -> Vec<String> {
        let parts = Parts::new(text.as_bytes(), b',', escape);
        let text = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
        parts.map(text).collect()
    }

    #[test]
    fn there_is_one_part_more_than_delimiters() {
        assert_eq!(parts("", None), [""]);
        assert_eq!(parts("a", None), ["a"]);
        assert_eq!(parts("a,,b,", None), ["a", "", "b", ""]);
    }

    #[test]
    fn an_escaped_delimiter_separates_nothing() {
        assert_eq!(parts("a\\,b,c", Some(b'\\')), ["a\\,b", "c"]);
        assert_eq!(parts("a\\\\,b", Some(b'\\')), ["a\\\\", "b"]);
        assert_eq!(parts("a\\", Some(b'\\')), ["a\\"]);
        assert_eq!(parts("a\\,b,c", None), ["a\\", "b", "c"]);
    }

    #[test]
    fn escapes_go_when_a_value_is_read() {
        let unescaped = |text: &'static str| {
            let bytes = unescape(text.as_bytes(), Some(b'\\'));
            String::from_utf8(bytes.into_owned()).unwrap()
        };
        assert_eq!(unescaped("a\\,b\\\\"), "a,b\\");
        assert_eq!(unescaped("a\\"), "a\\");
        assert_eq!(unescaped("plain"), "plain");
    }
}
