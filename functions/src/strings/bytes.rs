//! Texts as bytes and back: character sets, Base64, hexadecimal digits, and what is valid UTF-8.

use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Scalar, scalar};
use crate::value::{Boolean, Bytes, BytesOnly, Int, Text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use datafusion::common::exec_err;
use datafusion::error::Result;

fn encode(text: &str, charset: &str) -> Result<Vec<u8>> {
    Ok(match charset.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => text.as_bytes().to_vec(),
        "US-ASCII" | "ASCII" => text
            .chars()
            .map(|letter| {
                if letter.is_ascii() {
                    letter as u8
                } else {
                    b'?'
                }
            })
            .collect(),
        "ISO-8859-1" | "LATIN1" => text
            .chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?'))
            .collect(),
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16" => [0xfe, 0xff]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_be_bytes))
            .collect(),
        _ => return exec_err!("the character set '{charset}' is unknown"),
    })
}

fn decode(bytes: &[u8], charset: &str) -> Result<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks(2).map(|pair| match pair {
            [first, second] => unit([*first, *second]),
            _ => 0xfffd,
        });
        String::from_utf16_lossy(&units.collect::<Vec<u16>>())
    };
    Ok(match charset.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => String::from_utf8_lossy(bytes).into_owned(),
        "US-ASCII" | "ASCII" => bytes
            .iter()
            .map(|byte| {
                if byte.is_ascii() {
                    char::from(*byte)
                } else {
                    '\u{fffd}'
                }
            })
            .collect(),
        "ISO-8859-1" | "LATIN1" => bytes.iter().map(|byte| char::from(*byte)).collect(),
        "UTF-16BE" => utf16(bytes, u16::from_be_bytes),
        "UTF-16LE" => utf16(bytes, u16::from_le_bytes),
        "UTF-16" => match bytes {
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            _ => utf16(bytes, u16::from_be_bytes),
        },
        _ => return exec_err!("the character set '{charset}' is unknown"),
    })
}

/// The bytes that hexadecimal digits stand for; an odd first one stands for a byte alone.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|letter| letter.to_digit(16)).collect();
    let digits = digits?;
    let (head, tail) = digits.split_at(digits.len() % 2);
    let first = head.iter().map(|digit| *digit as u8);
    let rest = tail.chunks(2).map(|pair| match pair {
        [high, low] => (high * 16 + low) as u8,
        _ => 0,
    });
    Some(first.chain(rest).collect())
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let compact: String = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    let padding = "=".repeat((4 - compact.len() % 4) % 4);
    BASE64.decode(compact + &padding).ok()
}

fn to_binary(text: &str, format: &str) -> Result<Option<Vec<u8>>> {
    Ok(match format.to_ascii_lowercase().as_str() {
        "hex" => unhex(text),
        "base64" => unbase64(text),
        "utf-8" | "utf8" => Some(text.as_bytes().to_vec()),
        _ => return exec_err!("'{format}' is not hex, base64 or utf-8"),
    })
}

fn add_to_binary(syntax: &'static str, text: &'static str, is_loose: bool) -> Scalar {
    let checked = move |text: &str, format: &str| match to_binary(text, format)? {
        None if !is_loose => exec_err!("'{text}' is not {format}"),
        bytes => Ok(bytes),
    };
    scalar(syntax, text)
        .body(rows!(|text: Text| -> Bytes { checked(text, "hex") }))
        .body(rows!(|text: Text, format: Text| -> Bytes {
            checked(text, format)
        }))
}

pub(super) fn add(functions: &mut Functions) {
    add_encodings(functions);
    add_utf8(functions);
    add_lengths(functions);
    add_decode(functions);
}

fn add_encodings(functions: &mut Functions) {
    functions.add(
        scalar(
            "encode(text, charset)",
            "The bytes of a text in a character set.",
        )
        .hive()
        .example("hex(encode('abc', 'utf-8'))", "616263")
        .body(rows!(|text: Text, charset: Text| -> Bytes {
            encode(text, charset).map(Some)
        })),
    );
    functions.add(
        scalar("base64(bytes)", "Bytes, or those of a text, in Base64.")
            .example("base64('Spark SQL')", "U3BhcmsgU1FM")
            .body(rows!(|bytes: Bytes| -> Text {
                Ok(Some(BASE64.encode(bytes)))
            })),
    );
    functions.add(
        scalar("unbase64(text)", "The bytes that Base64 stands for.")
            .example("CAST(unbase64('U3BhcmsgU1FM') AS STRING)", "Spark SQL")
            .body(rows!(|text: Text| -> Bytes {
                match unbase64(text) {
                    Some(bytes) => Ok(Some(bytes)),
                    None => exec_err!("'{text}' is not Base64"),
                }
            })),
    );
    functions.add(
        scalar(
            "unhex(text)",
            "The bytes that hexadecimal digits stand for, or NULL.",
        )
        .example("decode(unhex('537061726B2053514C'), 'UTF-8')", "Spark SQL")
        .body(rows!(|text: Text| -> Bytes { Ok(unhex(text)) })),
    );
    functions.add(
        add_to_binary(
            "to_binary(text[, format])",
            "The bytes that a text stands for: hex, base64 or utf-8.",
            false,
        )
        .example("hex(to_binary('abc', 'utf-8'))", "616263"),
    );
    functions.add(
        add_to_binary(
            "try_to_binary(text[, format])",
            "The bytes that a text stands for, hex, base64 or utf-8, or NULL.",
            true,
        )
        .example("try_to_binary('a!', 'base64')", "NULL"),
    );
}

fn add_utf8(functions: &mut Functions) {
    functions.add(
        scalar("is_valid_utf8(bytes)", "Whether bytes are UTF-8.")
            .example("is_valid_utf8(x'80')", "false")
            .body(rows!(|bytes: Bytes| -> Boolean {
                Ok(Some(std::str::from_utf8(bytes).is_ok()))
            })),
    );
    functions.add(
        scalar(
            "make_valid_utf8(bytes)",
            "Bytes as text, with U+FFFD for what is not UTF-8.",
        )
        .example("make_valid_utf8('Spark')", "Spark")
        .body(rows!(|bytes: Bytes| -> Text {
            Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
        })),
    );
    functions.add(
        scalar(
            "validate_utf8(bytes)",
            "Bytes as text; an error where they are not UTF-8.",
        )
        .example("validate_utf8('Spark')", "Spark")
        .body(rows!(|bytes: Bytes| -> Text {
            match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => exec_err!("the bytes are not valid UTF-8"),
            }
        })),
    );
    functions.add(
        scalar(
            "try_validate_utf8(bytes)",
            "Bytes as text; NULL where they are not UTF-8.",
        )
        .example("try_validate_utf8(x'80')", "NULL")
        .body(rows!(|bytes: Bytes| -> Text {
            Ok(std::str::from_utf8(bytes).ok().map(str::to_owned))
        })),
    );
}

fn add_lengths(functions: &mut Functions) {
    functions.add(
        scalar(
            "len(text)",
            "The number of characters of a text, or of bytes.",
        )
        .example("len('Spark SQL ')", "10")
        .body(rows!(|bytes: BytesOnly| -> Int {
            Ok(Some(bytes.len() as i32))
        }))
        .body(rows!(|text: Text| -> Int {
            Ok(Some(text.chars().count() as i32))
        })),
    );
    functions.add(
        scalar(
            "length(text)",
            "The number of characters of a text, or of bytes.",
        )
        .hive()
        .aliases(&["char_length", "character_length"])
        .example("length(x'537061726b')", "5")
        .body(rows!(|bytes: BytesOnly| -> Int {
            Ok(Some(bytes.len() as i32))
        }))
        .body(rows!(|text: Text| -> Int {
            Ok(Some(text.chars().count() as i32))
        })),
    );
    functions.add(
        scalar(
            "octet_length(text)",
            "The number of bytes of a text, or of bytes.",
        )
        .hive()
        .example("octet_length(x'537061726b')", "5")
        .body(rows!(|bytes: Bytes| -> Int {
            Ok(Some(bytes.len() as i32))
        }))
        .body(rows!(|text: Text| -> Int { Ok(Some(text.len() as i32)) })),
    );
    functions.add(
        scalar(
            "bit_length(text)",
            "The number of bits of a text, or of bytes.",
        )
        .hive()
        .example("bit_length('Spark SQL')", "72")
        .body(rows!(|bytes: Bytes| -> Int {
            Ok(Some(8 * bytes.len() as i32))
        }))
        .body(rows!(|text: Text| -> Int {
            Ok(Some(8 * text.len() as i32))
        })),
    );
}

fn add_decode(functions: &mut Functions) {
    functions.add(crate::conditions::decode(|bytes, charset| {
        decode(bytes, charset)
    }));
}
