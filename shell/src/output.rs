//! Where results go: standard output, a file, or the pager.

use crate::format::Format;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};

/// How much is held back at most before the pager is started, in bytes.
const HELD_BYTES_MAX: usize = 4 << 20;

/// Where results go.
pub(crate) struct Output {
    standard: Box<dyn AsyncWrite + Send + Unpin>,
    /// `\o FILE`.
    file: Option<OutputFile>,
    /// `\g FILE`, for one result.
    once: Option<OutputFile>,
    pager: Pager,
}

/// A file that takes results.
pub(crate) struct OutputFile {
    path: PathBuf,
    file: File,
    has_result: bool,
}

/// What is between a result and the terminal.
enum Pager {
    /// Nothing.
    Off,
    /// The beginning of a result, of which it is not known yet whether it fits on the screen.
    Held {
        command: String,
        lines_max: usize,
        lines: usize,
        text: Vec<u8>,
    },
    /// The pager runs.
    Running(Child),
}

/// What may go wrong while a result is written.
#[derive(Debug)]
pub(crate) enum OutputError {
    /// Nobody reads standard output any more.
    Closed,
    /// The user has left the pager.
    PagerClosed,
    /// The result cannot be written; what it was to be written to, and why.
    Failed(String, io::Error),
}

impl Output {
    pub(crate) fn new(standard: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self {
            standard,
            file: None,
            once: None,
            pager: Pager::Off,
        }
    }

    /// Whether results go to a file.
    pub(crate) fn is_file(&self) -> bool {
        self.file.is_some() || self.once.is_some()
    }

    /// The format that the file's name asks for.
    pub(crate) fn file_format(&self) -> Option<Format> {
        self.target().and_then(|file| Format::of_file(&file.path))
    }

    fn target(&self) -> Option<&OutputFile> {
        self.once.as_ref().or(self.file.as_ref())
    }

    /// Sends results to a file from now on, or back to standard output.
    pub(crate) async fn redirect(&mut self, path: Option<&Path>) -> Result<(), OutputError> {
        let before = self.file.take();
        if let Some(path) = path {
            self.file = Some(OutputFile::create(path).await?);
        }
        match before {
            Some(before) => before.close().await,
            None => Ok(()),
        }
    }

    /// Sends the next result to a file.
    pub(crate) async fn redirect_once(&mut self, path: &Path) -> Result<(), OutputError> {
        self.once = Some(OutputFile::create(path).await?);
        Ok(())
    }

    /// A result begins. The error is a message for the user.
    pub(crate) fn begin(&mut self, format: Format) -> Result<(), String> {
        let target = self.once.as_mut().or(self.file.as_mut());
        if let Some(file) = target {
            if file.has_result && format.is_binary() {
                let path = file.path.display();
                return Err(format!(
                    "a file in format {format} holds one result, and {path} has one: \\o another"
                ));
            }
            file.has_result = true;
        }
        Ok(())
    }

    /// Whether the pager runs.
    pub(crate) fn is_paging(&self) -> bool {
        matches!(self.pager, Pager::Running(_))
    }

    /// Lets the result that begins go through the pager if it has more than `lines_max` lines.
    pub(crate) fn page(&mut self, command: &str, lines_max: usize) {
        self.pager = Pager::Held {
            command: command.to_owned(),
            lines_max,
            lines: 0,
            text: Vec::new(),
        };
    }

    /// Writes a part of the result.
    pub(crate) async fn write(&mut self, text: &[u8]) -> Result<(), OutputError> {
        if let Some(file) = self.once.as_mut().or(self.file.as_mut()) {
            let written = file.file.write_all(text).await;
            return written.map_err(|error| file.failed(error));
        }
        if let Pager::Held {
            lines_max,
            lines,
            text: held,
            ..
        } = &mut self.pager
        {
            *lines += text.iter().filter(|byte| **byte == b'\n').count();
            held.extend_from_slice(text);
            if *lines > *lines_max || held.len() > HELD_BYTES_MAX {
                self.start_pager().await?;
            }
            return Ok(());
        }
        if let Pager::Running(child) = &mut self.pager {
            return write_pager(child, text).await;
        }
        self.write_standard(text).await
    }

    /// Writes past file and pager, for remarks.
    pub(crate) async fn remark(&mut self, text: &str) -> Result<(), OutputError> {
        self.write_standard(text.as_bytes()).await
    }

    /// The result has ended, or is not to go on.
    pub(crate) async fn end(&mut self) -> Result<(), OutputError> {
        match std::mem::replace(&mut self.pager, Pager::Off) {
            Pager::Off => {}
            Pager::Held { text, .. } => self.write_standard(&text).await?,
            Pager::Running(mut child) => {
                // The end of its input, and then whatever its user does.
                drop(child.stdin.take());
                let _ = child.wait().await;
            }
        }
        if let Some(file) = self.once.take() {
            return file.close().await;
        }
        if let Some(file) = &mut self.file {
            let flushed = file.file.flush().await;
            return flushed.map_err(|error| file.failed(error));
        }
        Ok(())
    }

    /// Gives up the file that failed, so that results go to standard output again.
    pub(crate) fn give_up_file(&mut self) {
        if self.once.take().is_none() {
            self.file = None;
        }
    }

    /// Flushes standard output.
    pub(crate) async fn flush(&mut self) {
        // Nobody is left to tell.
        let _ = self.standard.flush().await;
    }

    async fn start_pager(&mut self) -> Result<(), OutputError> {
        let Pager::Held { command, text, .. } = std::mem::replace(&mut self.pager, Pager::Off)
        else {
            return Ok(());
        };
        self.flush().await;
        let spawned = Command::new("sh")
            .args(["-c", &command])
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Ok(mut child) => {
                let written = write_pager(&mut child, &text).await;
                self.pager = Pager::Running(child);
                written
            }
            // Without a pager there is still the terminal.
            Err(_) => self.write_standard(&text).await,
        }
    }

    async fn write_standard(&mut self, text: &[u8]) -> Result<(), OutputError> {
        let written = async {
            self.standard.write_all(text).await?;
            self.standard.flush().await
        };
        written.await.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => OutputError::Closed,
            _ => OutputError::Failed("the result".to_owned(), error),
        })
    }
}

async fn write_pager(child: &mut Child, text: &[u8]) -> Result<(), OutputError> {
    let Some(stdin) = &mut child.stdin else {
        return Err(OutputError::PagerClosed);
    };
    let written = stdin.write_all(text).await;
    written.map_err(|_| OutputError::PagerClosed)
}

impl OutputFile {
    async fn create(path: &Path) -> Result<Self, OutputError> {
        match File::create(path).await {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
                has_result: false,
            }),
            Err(error) => Err(OutputError::Failed(path.display().to_string(), error)),
        }
    }

    async fn close(mut self) -> Result<(), OutputError> {
        let flushed = self.file.flush().await;
        flushed.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> OutputError {
        OutputError::Failed(self.path.display().to_string(), error)
    }
}
