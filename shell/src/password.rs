//! Asks for a password at the terminal, without showing it.

use crate::interrupt::Interrupts;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, InputFlags, LocalFlags, SetArg, Termios};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// The terminal of this process, wherever its standard streams go.
const TERMINAL: &str = "/dev/tty";

/// How long a wait for keys takes at most before the reader looks whether anybody still waits for it, in
/// milliseconds.
const LOOK_EVERY_MS: u16 = 100;

/// The longest password that is read, in bytes.
const PASSWORD_BYTES_MAX: usize = 4096;

/// What came of the question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The password.
    Password(String),
    /// Nobody is there to be asked, or nothing was said.
    Nothing,
    /// Ctrl-C.
    Cancelled,
}

/// Asks.
pub(crate) async fn ask(user: &str, interrupts: &mut Interrupts) -> Answer {
    let Ok(mut hidden) = Hidden::open() else {
        return Answer::Nothing;
    };
    if write!(hidden.terminal, "password of {user}: ").is_err() {
        return Answer::Nothing;
    }
    let Ok(answer) = hidden.read() else {
        return Answer::Nothing;
    };
    let answer = tokio::select! {
        line = answer => match line {
            Ok(Ok(password)) if !password.is_empty() => Answer::Password(password),
            _ => Answer::Nothing,
        },
        () = interrupts.next() => Answer::Cancelled,
    };
    // Enter was not shown either.
    let _ = writeln!(hidden.terminal);
    answer
}

/// The terminal, which shows nothing that is typed until this is dropped.
struct Hidden {
    terminal: File,
    before: Termios,
    is_over: Arc<AtomicBool>,
}

impl Hidden {
    fn open() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL)?;
        let before = termios::tcgetattr(&terminal)?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        hidden
            .local_flags
            .insert(LocalFlags::ICANON | LocalFlags::ISIG);
        hidden.input_flags.insert(InputFlags::ICRNL);
        termios::tcsetattr(&terminal, SetArg::TCSADRAIN, &hidden)?;
        Ok(Self {
            terminal,
            before,
            is_over: Arc::default(),
        })
    }

    /// Reads a line on a thread, since that blocks.
    fn read(&self) -> io::Result<oneshot::Receiver<io::Result<String>>> {
        let (answer, answered) = oneshot::channel();
        let terminal = self.terminal.try_clone()?;
        let is_over = Arc::clone(&self.is_over);
        std::thread::Builder::new()
            .name("password".to_owned())
            .spawn(move || {
                // Nobody waits for it after Ctrl-C.
                let _ = answer.send(read_line(terminal, &is_over));
            })?;
        Ok(answered)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // A terminal that has gone needs nothing.
        let _ = termios::tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

/// The next line, without its end. It takes no key once it is over: that is for somebody else.
fn read_line(mut terminal: File, is_over: &AtomicBool) -> io::Result<String> {
    let mut line = Vec::new();
    let mut bytes = [0; 256];
    loop {
        let mut polled = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut polled, PollTimeout::from(LOOK_EVERY_MS));
        if is_over.load(Ordering::Relaxed) || line.len() > PASSWORD_BYTES_MAX {
            return Ok(String::new());
        }
        match ready {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let count = terminal.read(&mut bytes)?;
        line.extend_from_slice(&bytes[..count]);
        if count == 0 || line.ends_with(b"\n") {
            break;
        }
    }
    let text = String::from_utf8(line).map_err(io::Error::other)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
