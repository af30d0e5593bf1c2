//! Few large writes instead of many small ones.
//!
//! HTTP/2 divides what it sends into frames, for most clients of 16 KiB, and the library that does so
//! writes the end of a small answer by itself and flushes after each frame of a large one. Every write
//! costs a call of the system, and wakes the other end. Here an answer that is small leaves in one write,
//! and frames of a large one leave eight at a time, which takes a twentieth off the time of a large result
//! whose rows are not copied before that (`answers.rs`; `benchmarks/flight_sql.py --only rows`).

use bytes::{Buf, BytesMut};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are sent at once, and from how many on they are sent as they are.
const SENT_AT_ONCE: usize = 128 * 1024;

/// From how many bytes on a flush waits for what else there may be: there is more to come, as a rule.
const PUT_OFF_MIN: usize = 16 * 1024;

/// How often in a row a flush is put off at most.
const PUT_OFF_MAX: u32 = 16;

/// How many bytes an idle connection keeps for what is to come.
const KEPT_MAX: usize = 4 * 1024;

/// A stream that coalesces small writes.
pub(crate) struct CoalescingStream<S> {
    stream: S,
    unsent: BytesMut,
    /// How many flushes have been put off since bytes were sent.
    put_off: u32,
}

impl<S> CoalescingStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            unsent: BytesMut::new(),
            put_off: 0,
        }
    }
}

impl<S: AsyncWrite + Unpin> CoalescingStream<S> {
    /// Sends all that is unsent.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unsent.has_remaining() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))?;
            self.sent(sent)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends all that is unsent, and some of `bytes` after it. Says how many of them.
    fn poll_send_with(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let slices = [IoSlice::new(&self.unsent), IoSlice::new(bytes)];
            let stream = Pin::new(&mut self.stream);
            let sent = ready!(stream.poll_write_vectored(context, &slices))?;
            let before = self.unsent.len();
            self.sent(sent.min(before))?;
            if sent > before {
                return Poll::Ready(Ok(sent - before));
            }
        }
    }

    fn sent(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 && self.unsent.has_remaining() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.unsent.advance(bytes);
        if self.unsent.is_empty() {
            self.put_off = 0;
            if self.unsent.capacity() > KEPT_MAX {
                self.unsent = BytesMut::new();
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for CoalescingStream<S> {
    /// Reads, and before that sends what was put off: a connection reads first whenever it is polled.
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // An end that takes nothing may still have something to say.
        if this.put_off > 0
            && let Poll::Ready(sent) = this.poll_send(context)
        {
            sent?;
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CoalescingStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.len() >= SENT_AT_ONCE {
            return this.poll_send_with(context, bytes);
        }
        if this.unsent.len() >= SENT_AT_ONCE {
            ready!(this.poll_send(context))?;
        }
        this.unsent.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Sends a little at once. With more than that, the caller is woken to come again, and what it has
    /// written by then leaves as well.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let waits = (PUT_OFF_MIN..SENT_AT_ONCE).contains(&this.unsent.len());
        if waits && this.put_off < PUT_OFF_MAX {
            this.put_off += 1;
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }

    /// No: who is told so puts small frames together by itself.
    fn is_write_vectored(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{join, poll_fn};
    use std::task::Waker;
    use tokio::io::{AsyncReadExt, DuplexStream};

    /// Takes everything, and keeps each write.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl AsyncRead for Writes {
        fn poll_read(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            _buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            self.poll_write(context, &bytes)
        }
    }

    /// Writes `bytes` as a frame, and flushes it.
    fn frame<S: AsyncWrite + Unpin>(
        gathered: &mut CoalescingStream<S>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) {
        let written = Pin::new(&mut *gathered).poll_write(context, bytes);
        assert!(matches!(written, Poll::Ready(Ok(n)) if n == bytes.len()));
        let flushed = Pin::new(gathered).poll_flush(context);
        assert!(matches!(flushed, Poll::Ready(Ok(()))));
    }

    fn read<S: AsyncRead + AsyncWrite + Unpin>(
        gathered: &mut CoalescingStream<S>,
        context: &mut Context<'_>,
    ) {
        let mut nothing = ReadBuf::new(&mut []);
        assert!(
            Pin::new(gathered)
                .poll_read(context, &mut nothing)
                .is_pending()
        );
    }

    #[test]
    fn a_small_answer_leaves_at_once() {
        let context = &mut Context::from_waker(Waker::noop());
        let mut gathered = CoalescingStream::new(Writes::default());
        for part in [b"head", b"body"] {
            let written = Pin::new(&mut gathered).poll_write(context, part);
            assert!(matches!(written, Poll::Ready(Ok(4))));
        }
        assert!(gathered.stream.0.is_empty());
        frame(&mut gathered, context, b"tail");
        assert_eq!(gathered.stream.0, [b"headbodytail"]);
    }

    #[test]
    fn frames_of_a_large_one_leave_together() {
        let context = &mut Context::from_waker(Waker::noop());
        let mut gathered = CoalescingStream::new(Writes::default());
        let bytes: Vec<u8> = (0..20 * PUT_OFF_MIN).map(|at| at as u8).collect();
        for part in bytes.chunks(PUT_OFF_MIN) {
            frame(&mut gathered, context, part);
        }
        read(&mut gathered, context);
        let sizes: Vec<usize> = gathered.stream.0.iter().map(Vec::len).collect();
        assert_eq!(sizes, [8, 8, 4].map(|frames| frames * PUT_OFF_MIN));
        assert_eq!(gathered.stream.0.concat(), bytes);
        assert!(gathered.unsent.capacity() <= KEPT_MAX);
    }

    #[test]
    fn what_is_put_off_leaves_even_if_nobody_reads() {
        let context = &mut Context::from_waker(Waker::noop());
        let mut gathered = CoalescingStream::new(Writes::default());
        frame(&mut gathered, context, &[1; PUT_OFF_MIN]);
        assert!(gathered.stream.0.is_empty());
        for _ in 0..PUT_OFF_MAX {
            let flushed = Pin::new(&mut gathered).poll_flush(context);
            assert!(flushed.is_ready());
        }
        assert_eq!(gathered.stream.0, [[1; PUT_OFF_MIN]]);
    }

    #[test]
    fn what_is_large_is_not_copied() {
        let context = &mut Context::from_waker(Waker::noop());
        let mut gathered = CoalescingStream::new(Writes::default());
        let written = Pin::new(&mut gathered).poll_write(context, b"head");
        assert!(written.is_ready());
        frame(&mut gathered, context, &[1; SENT_AT_ONCE]);
        let sizes: Vec<usize> = gathered.stream.0.iter().map(Vec::len).collect();
        assert_eq!(sizes, [4 + SENT_AT_ONCE]);
    }

    /// As HTTP/2 does: reads, and then writes what it can, with a flush after each piece.
    fn poll_connection(
        gathered: &mut CoalescingStream<DuplexStream>,
        context: &mut Context<'_>,
        rest: &mut &[u8],
        sizes: &mut impl Iterator<Item = usize>,
    ) -> Poll<io::Result<()>> {
        let mut nothing = [0];
        let read = Pin::new(&mut *gathered).poll_read(context, &mut ReadBuf::new(&mut nothing));
        assert!(read.is_pending());
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(sizes.next().unwrap_or(1))];
            let written = ready!(Pin::new(&mut *gathered).poll_write(context, piece))?;
            *rest = &rest[written..];
            ready!(Pin::new(&mut *gathered).poll_flush(context))?;
        }
        Pin::new(gathered).poll_shutdown(context)
    }

    #[tokio::test]
    async fn every_byte_arrives_in_order_at_a_slow_reader() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        for window in [1_000, 50_000, 200_000] {
            let (writer, mut reader) = tokio::io::duplex(window);
            let mut gathered = CoalescingStream::new(writer);
            let mut rest = bytes.as_slice();
            let mut sizes = [1, 16_384, 9, 16_384, 200_000, 40_000, 3]
                .into_iter()
                .cycle();
            let writing =
                poll_fn(|context| poll_connection(&mut gathered, context, &mut rest, &mut sizes));
            let mut received = Vec::new();
            let (written, read) = join(writing, reader.read_to_end(&mut received)).await;
            written.unwrap();
            assert_eq!(read.unwrap(), bytes.len());
            assert!(received == bytes);
        }
    }
}
