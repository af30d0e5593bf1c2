//! Writes one part of a table: a thread generates and encodes, this task uploads.
//!
//! Between them is a channel of a few chunks, so that neither gets far ahead and memory stays
//! bounded by one row group and the chunks on their way.

use std::io::{Error, Write};
use std::sync::Arc;

use bytes::Bytes;
use object_store::buffered::BufWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Counters, GenerateError, layout};
use crate::location::DataLocation;
use crate::tables::Table;

/// Rows per row group, the unit in which readers share out a file.
const ROW_GROUP_ROWS: usize = 512 * 1024;

/// Bytes per chunk between encoder and upload.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Chunks that may wait for the upload.
const CHUNKS_WAITING_MAX: usize = 2;

/// Bytes per part of a multipart upload.
const UPLOAD_PART_BYTES: usize = 10 * 1024 * 1024;

/// Which part of which table to write.
#[derive(Clone, Copy)]
pub(super) struct PartFile {
    pub table: Table,
    pub scale: f64,
    pub part: u32,
    pub parts: u32,
}

/// A written part.
pub(super) struct Written {
    pub rows: u64,
    pub bytes: u64,
}

/// Generates a part and stores it under its name, which appears only when it is whole.
pub(super) async fn write(
    file: PartFile,
    output: &DataLocation,
    counters: Arc<Counters>,
) -> Result<Written, GenerateError> {
    let path = output.path(&layout::part_name(file.table, file.part));
    let name = path.to_string();
    let (sender, mut chunks) = mpsc::channel::<Bytes>(CHUNKS_WAITING_MAX);
    let mut encoder = JoinSet::new();
    encoder.spawn_blocking(move || encode(file, sender, &counters));

    let mut upload = BufWriter::with_capacity(Arc::clone(output.store()), path, UPLOAD_PART_BYTES);
    let failed = |source| GenerateError::Storage {
        path: name.clone(),
        source,
    };
    let mut bytes = 0;
    while let Some(chunk) = chunks.recv().await {
        bytes += chunk.len() as u64;
        upload.put(chunk).await.map_err(failed)?;
    }
    // The channel also closes when the encoder fails: only its result makes the file whole.
    match encoder.join_next().await {
        Some(Ok(Ok(rows))) => {
            let finished = upload.shutdown().await;
            finished.map_err(|source| GenerateError::Upload { path: name, source })?;
            Ok(Written { rows, bytes })
        }
        Some(Ok(Err(source))) => {
            upload.abort().await.map_err(failed)?;
            Err(GenerateError::Encode { path: name, source })
        }
        Some(Err(_)) | None => Err(GenerateError::Lost { path: name }),
    }
}

/// Generates and encodes on the calling thread, for as long as somebody takes the chunks.
fn encode(
    file: PartFile,
    sender: mpsc::Sender<Bytes>,
    counters: &Counters,
) -> Result<u64, ParquetError> {
    let batches = file.table.reader(file.scale, file.part, file.parts);
    // Without Arrow's own schema in the metadata every reader sees plain Parquet types and
    // chooses its own representation of strings.
    let options = ArrowWriterOptions::new()
        .with_properties(writer_properties()?)
        .with_skip_arrow_metadata(true);
    let buffer = Vec::with_capacity(CHUNK_BYTES);
    let sink = ChunkWriter {
        sender,
        buffer,
        bytes_sent: 0,
    };
    let mut writer = ArrowWriter::try_new_with_options(sink, batches.schema(), options)?;
    let (mut rows, mut bytes) = (0, 0);
    for batch in batches {
        let batch = batch?;
        writer.write(&batch)?;
        rows += batch.num_rows() as u64;
        let written = writer.bytes_written() as u64;
        counters.add(batch.num_rows() as u64, written - bytes);
        bytes = written;
    }
    // This writes the footer.
    let mut sink = writer.into_inner()?;
    sink.send()?;
    counters.add(0, sink.bytes_sent - bytes);
    Ok(rows)
}

fn writer_properties() -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("skep-tpch ", env!("CARGO_PKG_VERSION")).to_string())
        .build())
}

/// Hands written bytes on in chunks, waiting while the upload is behind.
struct ChunkWriter {
    sender: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
    bytes_sent: u64,
}

impl ChunkWriter {
    fn send(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.bytes_sent += chunk.len() as u64;
        let sent = self.sender.blocking_send(Bytes::from(chunk));
        sent.map_err(|_| Error::other("the upload has ended"))
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(data.len())
    }

    /// Chunks go on when they are full, whatever the encoder flushes.
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
