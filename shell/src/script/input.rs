//! Lines of a script, bounded and checked.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::mpsc;

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

/// How much of standard input is read at once, in bytes, and how many such pieces may wait.
const PIECE_BYTES: usize = 32 << 10;
const PIECES_MAX: usize = 2;

/// Standard input, read on a thread that nobody waits for when the shell ends: the runtime's own reader
/// would hold up the end of the process for as long as the other side of a pipe says nothing.
pub(super) struct StandardInput {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    taken: usize,
}

impl StandardInput {
    /// Begins to read.
    pub(super) fn read() -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let reader = std::thread::Builder::new().name("standard-input".to_owned());
        let failed = sender.clone();
        let started = reader.spawn(move || {
            let mut input = io::stdin().lock();
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let read = input.read(&mut piece).map(|count| {
                    piece.truncate(count);
                    piece
                });
                let is_end = !matches!(&read, Ok(piece) if !piece.is_empty());
                let is_retried =
                    matches!(&read, Err(error) if error.kind() == io::ErrorKind::Interrupted);
                if is_retried {
                    continue;
                }
                if sender.blocking_send(read).is_err() || is_end {
                    return;
                }
            }
        });
        if let Err(error) = started {
            // There is room for one.
            let _ = failed.try_send(Err(error));
        }
        Self {
            pieces,
            piece: Vec::new(),
            taken: 0,
        }
    }
}

impl AsyncRead for StandardInput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken == self.piece.len() {
            match ready!(self.pieces.poll_recv(context)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(piece)) => (self.piece, self.taken) = (piece, 0),
            }
        }
        let end = self.piece.len().min(self.taken + buffer.remaining());
        buffer.put_slice(&self.piece[self.taken..end]);
        self.taken = end;
        Poll::Ready(Ok(()))
    }
}
