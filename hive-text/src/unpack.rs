//! From the bytes of a file to its text: what is compressed is unpacked, and a byte order mark is passed over.

use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, XzDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use datafusion::common::{DataFusionError, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::{from_datafusion, to_datafusion};
use std::io;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// How much is unpacked at a time, in bytes.
const UNPACKED_BYTES: usize = 64 * 1024;

const ENDS_TOO_EARLY: &str = "it ends before what is compressed does";

const XZ_NEEDS_MORE: &str = "out of memory";

const UTF_8_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// How a file is compressed, as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `.gz`
    Gzip,
    /// `.bz2`
    Bzip2,
    /// `.xz`
    Xz,
    /// `.zst`
    Zstd,
    /// Compressed in a way that is not known here: its extension.
    Unknown(&'static str),
}

impl Compression {
    /// How the file of that name is compressed, if it is.
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Self::Gzip,
            "bz2" => Self::Bzip2,
            "xz" => Self::Xz,
            "zst" | "zstd" => Self::Zstd,
            "deflate" => Self::Unknown("deflate"),
            "snappy" => Self::Unknown("snappy"),
            "lz4" => Self::Unknown("lz4"),
            "lzo" => Self::Unknown("lzo"),
            "br" => Self::Unknown("br"),
            "zip" => Self::Unknown("zip"),
            _ => return None,
        })
    }
}

/// The text of the file of that name, of which `bytes` are the whole.
///
/// A file may be several compressed ones, one behind the other. One that ends too early is an error.
///
/// # Errors
/// `Unsupported` where nothing here unpacks it.
pub fn unpack(
    bytes: BoxStream<'static, Result<Bytes>>,
    path: &str,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let Some(compression) = Compression::of(path) else {
        return Ok(without_mark(bytes));
    };
    let packed = StreamReader::new(bytes.map_err(io::Error::other));
    let unpacked = match compression {
        Compression::Gzip => {
            let mut decoder = GzipDecoder::new(packed);
            decoder.multiple_members(true);
            read(decoder)
        }
        Compression::Bzip2 => {
            let mut decoder = BzDecoder::new(packed);
            decoder.multiple_members(true);
            read(decoder)
        }
        Compression::Xz => {
            let mut decoder = XzDecoder::new(packed);
            decoder.multiple_members(true);
            read(decoder)
        }
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::new(packed);
            decoder.multiple_members(true);
            read(decoder)
        }
        Compression::Unknown(extension) => {
            let text = format!(
                "reading files named .{extension} is not supported: \
                 .gz, .bz2, .xz and .zst are unpacked"
            );
            return Err(to_datafusion(QueryError::new(ErrorCode::Unsupported, text)));
        }
    };
    Ok(without_mark(unpacked))
}

fn read(decoder: impl AsyncRead + Send + 'static) -> BoxStream<'static, Result<Bytes>> {
    ReaderStream::with_capacity(decoder, UNPACKED_BYTES)
        .map_err(|error| explain(&error))
        .boxed()
}

/// What the store says stays as it is; the rest is the file's fault.
fn explain(error: &io::Error) -> DataFusionError {
    let inner = error.get_ref();
    let of_store = inner.and_then(|inner| inner.downcast_ref::<DataFusionError>());
    if let Some(error) = of_store {
        return to_datafusion(from_datafusion(error));
    }
    let text = match error.kind() {
        // What the decoder of .xz says where its input ends although more is needed.
        _ if error.to_string() == XZ_NEEDS_MORE => ENDS_TOO_EARLY.to_owned(),
        io::ErrorKind::UnexpectedEof => ENDS_TOO_EARLY.to_owned(),
        _ => format!("it cannot be unpacked: {error}"),
    };
    to_datafusion(QueryError::new(ErrorCode::DataCorrupt, text))
}

/// The text without the mark that some editors put before it.
pub(crate) fn without_mark(
    bytes: BoxStream<'static, Result<Bytes>>,
) -> BoxStream<'static, Result<Bytes>> {
    stream::once(async move {
        let mut bytes = bytes;
        let mut begin = BytesMut::new();
        while begin.len() < UTF_8_MARK.len() {
            match bytes.next().await {
                Some(more) => begin.extend_from_slice(&more?),
                None => break,
            }
        }
        let begin = check_mark(begin.freeze())?;
        let begin = stream::iter((!begin.is_empty()).then_some(Ok(begin)));
        Ok::<_, DataFusionError>(begin.chain(bytes))
    })
    .try_flatten()
    .boxed()
}

/// The beginning of a file without its byte order mark.
///
/// # Errors
/// `Unsupported` where the mark says that the file is not in UTF-8.
pub fn check_mark(begin: Bytes) -> Result<Bytes> {
    if begin.starts_with(&UTF_8_MARK) {
        return Ok(begin.slice(UTF_8_MARK.len()..));
    }
    match begin.starts_with(&[0xff, 0xfe]) || begin.starts_with(&[0xfe, 0xff]) {
        true => {
            let text = "its text is in UTF-16, which is not supported: it must be in UTF-8";
            Err(to_datafusion(QueryError::new(ErrorCode::Unsupported, text)))
        }
        false => Ok(begin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_compression::tokio::bufread::{BzEncoder, GzipEncoder, XzEncoder, ZstdEncoder};
    use tokio::io::AsyncReadExt;

    async fn all(encoder: impl AsyncRead) -> Vec<u8> {
        let mut encoder = Box::pin(encoder);
        let mut packed = Vec::new();
        encoder.read_to_end(&mut packed).await.unwrap();
        packed
    }

    async fn pack(name: &str, text: &'static str) -> Vec<u8> {
        let text = text.as_bytes();
        match Compression::of(name).unwrap() {
            Compression::Gzip => all(GzipEncoder::new(text)).await,
            Compression::Bzip2 => all(BzEncoder::new(text)).await,
            Compression::Xz => all(XzEncoder::new(text)).await,
            Compression::Zstd => all(ZstdEncoder::new(text)).await,
            Compression::Unknown(_) => unreachable!(),
        }
    }

    async fn unpack_all(name: &str, bytes: &[u8], piece: usize) -> Result<String> {
        let pieces: Vec<Result<Bytes>> = bytes
            .chunks(piece)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let pieces: Vec<Bytes> = unpack(stream::iter(pieces).boxed(), name)?
            .try_collect()
            .await?;
        Ok(String::from_utf8(pieces.concat()).unwrap())
    }

    const NAMES: [&str; 4] = ["d/a.csv.gz", "a.BZ2", "a.xz", "a.json.zst"];

    #[tokio::test]
    async fn several_compressed_files_in_a_row_are_one() {
        for name in NAMES {
            let mut packed = pack(name, "one\n").await;
            packed.extend(pack(name, "two\n").await);
            packed.extend(pack(name, "").await);
            packed.extend(pack(name, "three\n").await);
            for piece in [1, 7, 1000] {
                let text = unpack_all(name, &packed, piece).await.unwrap();
                assert_eq!(text, "one\ntwo\nthree\n", "{name} in pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn one_that_ends_too_early_is_an_error() {
        for name in NAMES {
            let mut packed = pack(name, "one\n").await;
            let whole = packed.len();
            packed.extend(pack(name, "two, which is somewhat longer\n").await);
            for end in [whole - 1, whole + 1, whole + 12, packed.len() - 1] {
                for piece in [1, 1000] {
                    let read = unpack_all(name, &packed[..end], piece).await;
                    let error = read.expect_err(name).to_string();
                    assert!(error.contains(ENDS_TOO_EARLY), "{name} at {end}: {error}");
                }
            }
        }
    }

    #[tokio::test]
    async fn marks_are_no_text() {
        let marked = [&UTF_8_MARK[..], b"a"].concat();
        assert_eq!(unpack_all("a", &marked, 1).await.unwrap(), "a");
        assert_eq!(unpack_all("a", b"ab", 1).await.unwrap(), "ab");
        assert_eq!(unpack_all("a", b"", 1).await.unwrap(), "");
        assert!(unpack_all("a", &[0xff, 0xfe, b'a', 0], 1).await.is_err());
    }

    #[tokio::test]
    async fn what_nothing_unpacks_is_refused_by_name() {
        let error = unpack_all("a.csv.snappy", b"x", 1).await.unwrap_err();
        assert!(error.to_string().contains("named .snappy"), "{error}");
    }
}
