//! The line editor, on a thread of its own, since it blocks: the shell asks it for a line and waits
//! for the answer like for anything else.

mod complete;
mod highlight;
mod tables;

use crate::knowledge::{Asker, Knowledge};
use complete::Completions;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Behavior, ColorMode, CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// How many entries of history are kept.
const HISTORY_ENTRIES_MAX: usize = 10_000;

/// A longer entry is not kept: nobody edits it, and every start would read it.
const HISTORY_ENTRY_BYTES_MAX: usize = 64 << 10;

/// What the editor answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A line, without its line end. It may hold several, if it was recalled or pasted.
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the terminal has gone.
    End,
    /// The terminal failed.
    Failed(String),
}

/// What the editor is told at its start.
pub(crate) struct EditorOptions {
    /// Where the history is kept, if it is.
    pub history_file: Option<PathBuf>,
    /// Whether colour is wanted.
    pub color: bool,
    /// Whether standard output is the terminal. Where it is a file, the prompt must not get into it,
    /// and the editor opens the terminal by itself.
    pub out_is_terminal: bool,
    /// What is completed.
    pub knowledge: Arc<Knowledge>,
    /// Who asks for more of it.
    pub asker: Asker,
}

enum Request {
    Read {
        prompt: String,
        before: String,
        initial: String,
    },
    Remember {
        entry: String,
    },
}

/// Where lines come from: the editor, or a test.
pub(crate) trait LineSource: Send {
    /// Asks for a line. `before` are the lines of the statement before it, `initial` is what the line
    /// begins with.
    fn read(
        &mut self,
        prompt: &str,
        before: &str,
        initial: &str,
    ) -> impl Future<Output = Answer> + Send;

    /// Adds an entry to the history.
    fn remember(&mut self, entry: &str) -> impl Future<Output = ()> + Send;
}

/// The editor's thread, as seen from the outside. The thread ends when this is dropped.
pub(crate) struct EditorThread {
    requests: mpsc::Sender<Request>,
    answers: mpsc::Receiver<Answer>,
    thread: JoinHandle<()>,
    /// Whether a line is being read.
    is_reading: bool,
}

impl EditorThread {
    /// Starts the editor.
    pub(crate) fn start(options: EditorOptions) -> io::Result<Self> {
        let (requests, received) = mpsc::channel(1);
        let (answer, answers) = mpsc::channel(1);
        let thread = std::thread::Builder::new()
            .name("line-editor".to_owned())
            .spawn(move || serve(&options, received, &answer))?;
        Ok(Self {
            requests,
            answers,
            thread,
            is_reading: false,
        })
    }

    /// Ends the thread and waits until it has put the terminal back. One that is in the middle of a line
    /// is left alone, with the terminal as it was before the line.
    pub(crate) async fn stop(self) {
        if self.is_reading {
            // The editor asked the terminal to mark what is pasted.
            let _ = io::stdout().write_all(b"\x1b[?2004l\r\n");
            return;
        }
        drop(self.requests);
        drop(self.answers);
        // The thread waits for a request, so it ends at once; its panic was its own.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

impl LineSource for EditorThread {
    async fn read(&mut self, prompt: &str, before: &str, initial: &str) -> Answer {
        let request = Request::Read {
            prompt: prompt.to_owned(),
            before: before.to_owned(),
            initial: initial.to_owned(),
        };
        if self.requests.send(request).await.is_err() {
            return Answer::End;
        }
        self.is_reading = true;
        let answer = self.answers.recv().await.unwrap_or(Answer::End);
        self.is_reading = false;
        answer
    }

    async fn remember(&mut self, entry: &str) {
        if may_be_remembered(entry) {
            // An editor that has gone has nothing to remember for.
            let _ = self
                .requests
                .send(Request::Remember {
                    entry: entry.to_owned(),
                })
                .await;
        }
    }
}

/// Secrets stay out of the history file, and so do entries that nobody would recall.
fn may_be_remembered(entry: &str) -> bool {
    let lower = entry.to_ascii_lowercase();
    let secret = ["password", "secret", "identified by"]
        .iter()
        .any(|word| lower.contains(word));
    !secret && entry.len() <= HISTORY_ENTRY_BYTES_MAX && !entry.trim().is_empty()
}

fn serve(
    options: &EditorOptions,
    mut requests: mpsc::Receiver<Request>,
    answers: &mpsc::Sender<Answer>,
) {
    let mut editor = match open_editor(options) {
        Ok(editor) => editor,
        Err(error) => {
            let _ = answers.blocking_send(Answer::Failed(error.to_string()));
            return;
        }
    };
    let history_file = options.history_file.as_deref();
    if let Some(file) = history_file {
        // A history that is not there yet, or cannot be read, is an empty one.
        let _ = editor.load_history(file);
    }
    while let Some(request) = requests.blocking_recv() {
        match request {
            Request::Read {
                prompt,
                before,
                initial,
            } => {
                if let Some(helper) = editor.helper_mut() {
                    helper.before = before;
                }
                let line = match initial.is_empty() {
                    true => editor.readline(&prompt),
                    false => editor.readline_with_initial(&prompt, (&initial, "")),
                };
                if answers.blocking_send(answer(line)).is_err() {
                    return;
                }
            }
            Request::Remember { entry } => remember(&mut editor, &entry, history_file),
        }
    }
}

fn answer(read: rustyline::Result<String>) -> Answer {
    match read {
        Ok(line) => Answer::Line(line),
        Err(ReadlineError::Interrupted) => Answer::Interrupted,
        Err(ReadlineError::Eof) => Answer::End,
        // A window that was resized while nothing was typed.
        Err(ReadlineError::Signal(_)) => Answer::Line(String::new()),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn open_editor(options: &EditorOptions) -> rustyline::Result<Editor<ShellHelper, DefaultHistory>> {
    let color_mode = if options.color {
        ColorMode::Enabled
    } else {
        ColorMode::Disabled
    };
    let behavior = if options.out_is_terminal {
        Behavior::Stdio
    } else {
        Behavior::PreferTerm
    };
    let config = Config::builder()
        .max_history_size(HISTORY_ENTRIES_MAX)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .color_mode(color_mode)
        .behavior(behavior)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(ShellHelper {
        completer: Completions::new(Arc::clone(&options.knowledge), options.asker.clone()),
        before: String::new(),
        colors: options.color,
    }));
    Ok(editor)
}

/// Keeps the entry in the file at once, so that a shell that is killed loses nothing. A file that
/// cannot be written costs the history of later shells and nothing else.
fn remember(
    editor: &mut Editor<ShellHelper, DefaultHistory>,
    entry: &str,
    history_file: Option<&Path>,
) {
    let added = editor.add_history_entry(entry).unwrap_or(false);
    if let Some(file) = history_file.filter(|_| added) {
        if let Some(folder) = file.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        let _ = editor.append_history(file);
    }
}

/// What the editor asks while somebody types.
struct ShellHelper {
    completer: Completions,
    /// The lines of the statement before the one that is edited.
    before: String,
    colors: bool,
}

impl Completer for ShellHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(self.completer.complete(&self.before, line, pos))
    }
}

/// A hint that is only shown.
struct Remark(String);

impl Hint for Remark {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for ShellHelper {
    type Hint = Remark;

    fn hint(&self, line: &str, pos: usize, _context: &Context<'_>) -> Option<Remark> {
        self.completer.look_ahead(&self.before, line);
        self.completer.signature(line, pos).map(Remark)
    }
}

impl Highlighter for ShellHelper {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        match self.colors {
            true => Cow::Owned(highlight::line(
                &self.before,
                line,
                pos,
                self.completer.dialect(),
            )),
            false => Cow::Borrowed(line),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        match self.colors {
            true => Cow::Owned(format!("\x1b[2m{hint}\x1b[0m")),
            false => Cow::Borrowed(hint),
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _default: bool,
    ) -> Cow<'b, str> {
        match self.colors {
            true => Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m")),
            false => Cow::Borrowed(prompt),
        }
    }

    fn highlight_char(&self, _line: &str, _pos: usize, _kind: CmdKind) -> bool {
        self.colors
    }
}

impl Validator for ShellHelper {}

impl Helper for ShellHelper {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_monsters_are_not_remembered() {
        assert!(may_be_remembered("select 1;"));
        assert!(!may_be_remembered("alter user ann PASSWORD 'x';"));
        assert!(!may_be_remembered("  \n"));
        assert!(!may_be_remembered(&"x".repeat(HISTORY_ENTRY_BYTES_MAX + 1)));
    }
}
