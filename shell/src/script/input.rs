//! Lines of a script, bounded and checked.

use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest line and the longest statement that are read. The server's own limit on a statement is
/// lower; this one keeps a file that is no script from filling the memory.
pub(super) const STATEMENT_BYTES_MAX: usize = 64 << 20;

/// The next line with its line end, or `None` after the last. The error is a message for the user.
pub(super) async fn next_line<'a>(
    input: &mut (impl AsyncBufRead + Unpin),
    line: &'a mut Vec<u8>,
) -> Result<Option<&'a str>, String> {
    line.clear();
    let limit = STATEMENT_BYTES_MAX as u64 + 1;
    let read = input.take(limit).read_until(b'\n', line).await;
    match read.map_err(|error: io::Error| error.to_string())? {
        0 => Ok(None),
        length if length > STATEMENT_BYTES_MAX => Err(format!(
            "the line is longer than {} MiB",
            STATEMENT_BYTES_MAX >> 20
        )),
        _ => match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(format!(
                "it is not UTF-8 text, at byte {}",
                error.valid_up_to() + 1
            )),
        },
    }
}
