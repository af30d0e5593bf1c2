//! Percent escapes in one component of a URL's path.

use std::fmt;

/// What may stand for itself besides letters and digits. `=` is kept for the sake of partition
/// directories.
const KEPT: &str = "-._~!$&'()*+,;=:@";

/// Decodes `%XX`; the error says what is wrong.
pub(super) fn decode(component: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(component.len());
    let mut rest = component.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err("'%' must be followed by two hexadecimal digits"),
        }
    }
    String::from_utf8(bytes).map_err(|_| "its escapes are not UTF-8")
}

/// Writes `component` with everything escaped that could be misread.
pub(super) fn encode(component: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in component.bytes() {
        let character = char::from(byte);
        match character.is_ascii_alphanumeric() || KEPT.contains(character) {
            true => write!(f, "{character}")?,
            false => write!(f, "%{byte:02X}")?,
        }
    }
    Ok(())
}
