//! The line editor, on a thread of its own, since it blocks: the shell asks it for a line and waits
//! for the answer like for anything else.

use crate::command;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Behavior, ColorMode, Config, Context, Editor, Helper};
use std::io;
use std::path::{Path, PathBuf};
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
}

enum Request {
    Read { prompt: String },
    Remember { entry: String },
}

/// Where lines come from: the editor, or a test.
pub(crate) trait LineSource: Send {
    /// Asks for a line.
    fn read(&mut self, prompt: &str) -> impl Future<Output = Answer> + Send;

    /// Adds an entry to the history.
    fn remember(&mut self, entry: &str) -> impl Future<Output = ()> + Send;
}

/// The editor's thread, as seen from the outside. The thread ends when this is dropped.
pub(crate) struct EditorThread {
    requests: mpsc::Sender<Request>,
    answers: mpsc::Receiver<Answer>,
    thread: JoinHandle<()>,
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
        })
    }

    /// Ends the thread and waits until it has put the terminal back.
    pub(crate) async fn stop(self) {
        drop(self.requests);
        drop(self.answers);
        // The thread waits for a request, so it ends at once; its panic was its own.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

impl LineSource for EditorThread {
    async fn read(&mut self, prompt: &str) -> Answer {
        if self
            .requests
            .send(Request::Read {
                prompt: prompt.to_owned(),
            })
            .await
            .is_err()
        {
            return Answer::End;
        }
        self.answers.recv().await.unwrap_or(Answer::End)
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
            Request::Read { prompt } => {
                if answers
                    .blocking_send(answer(editor.readline(&prompt)))
                    .is_err()
                {
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
        .color_mode(color_mode)
        .behavior(behavior)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(ShellHelper));
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

/// Completes the shell's own commands. Names from the server will come in here.
struct ShellHelper;

impl Completer for ShellHelper {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, complete_command(&line[..pos])))
    }
}

fn complete_command(typed: &str) -> Vec<String> {
    if let Some(typed) = typed.strip_prefix("\\format ") {
        let names = crate::Format::ALL.iter().map(|format| format.as_str());
        let found = names.filter(|name| name.starts_with(typed));
        return found.map(|name| format!("\\format {name}")).collect();
    }
    if !typed.starts_with('\\') {
        return Vec::new();
    }
    command::names()
        .filter(|name| name.starts_with(typed))
        .map(str::to_owned)
        .collect()
}

impl Hinter for ShellHelper {
    type Hint = String;
}

impl Highlighter for ShellHelper {}

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

    #[test]
    fn commands_and_formats_are_completed() {
        assert_eq!(complete_command("\\t"), ["\\timing"]);
        assert_eq!(
            complete_command("\\format t"),
            ["\\format table", "\\format tsv"]
        );
        assert!(complete_command("sel").is_empty());
    }
}
