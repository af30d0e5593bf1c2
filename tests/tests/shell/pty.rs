//! A real `skep` in a pseudo-terminal: what it shows, and keys for it.

use nix::pty::{Winsize, openpty};
use skep_tests::process::binary;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a large result may take.
const LONG_PATIENCE: Duration = Duration::from_secs(180);

/// How long a key may take to show before it is pressed again.
const KEY_INTERVAL: Duration = Duration::from_millis(300);

/// How much is kept of a long output, in bytes.
const END_BYTES: usize = 4096;

/// Ctrl-C, Ctrl-D, Tab, the arrow up and the arrow left, as a terminal sends them.
pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const TAB: &str = "\t";
pub const UP: &str = "\x1b[A";

/// A `skep` at a terminal.
pub struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Screen>,
    /// How much of the text has been looked at already, in bytes.
    seen: usize,
}

/// What was written to a terminal.
#[derive(Default)]
struct Screen {
    written: Mutex<Written>,
    changed: Condvar,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// How many bytes there were, where not all are kept.
    count: u64,
    /// Whether nobody can write any more.
    is_over: bool,
}

impl Screen {
    /// Waits until `found` finds something, which is asked whenever more has been written; `None` when
    /// that takes too long.
    fn wait<T>(&self, found: impl Fn(&Written) -> Option<T>) -> Option<T> {
        self.wait_at_most(PATIENCE, found)
    }

    fn wait_at_most<T>(
        &self,
        patience: Duration,
        found: impl Fn(&Written) -> Option<T>,
    ) -> Option<T> {
        let until = Instant::now() + patience;
        let mut written = self.written.lock().unwrap();
        loop {
            let found = found(&written);
            let left = until.saturating_duration_since(Instant::now());
            if found.is_some() || left.is_zero() {
                return found;
            }
            written = self.changed.wait_timeout(written, left).unwrap().0;
        }
    }
}

/// What a `skep` at a terminal is started with.
pub struct Start<'a> {
    arguments: Vec<String>,
    home: &'a Path,
    columns: u16,
    variables: BTreeMap<String, String>,
    keeps_end_only: bool,
}

impl<'a> Start<'a> {
    /// `skep` with these arguments at a terminal of 24 lines of 100 columns.
    pub fn new(arguments: &[&str], home: &'a Path) -> Self {
        let path = std::env::var("PATH").expect("a PATH");
        let variables = [("TERM", "xterm-256color"), ("PATH", path.as_str())];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            home,
            columns: 100,
            variables: variables.into(),
            keeps_end_only: false,
        }
    }

    /// The same, of whose long output only the end is kept, for [`Terminal::end`].
    pub fn keeps_end_only(mut self) -> Self {
        self.keeps_end_only = true;
        self
    }

    /// The same at another width.
    pub fn columns(mut self, columns: u16) -> Self {
        self.columns = columns;
        self
    }

    /// The same with an environment variable.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it. `setsid` gives it the terminal as its own, so that Ctrl-C reaches it as a signal.
    pub fn start(self) -> Terminal {
        let size = Winsize {
            ws_row: 24,
            ws_col: self.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).expect("a pseudo-terminal");
        let slave = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(binary())
            .args(&self.arguments)
            .env_clear()
            .env("HOME", self.home)
            .envs(&self.variables)
            .stdin(slave(&pty.slave))
            .stdout(slave(&pty.slave))
            .stderr(slave(&pty.slave))
            .spawn()
            .expect("setsid starts, as part of util-linux");
        drop(pty.slave);
        let screen = Arc::<Screen>::default();
        let gathered = Arc::clone(&screen);
        let mut output = File::from(pty.master.try_clone().expect("a descriptor"));
        let keeps_end_only = self.keeps_end_only;
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end is an error here: the other side has no reader or writer left.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let mut written = gathered.written.lock().unwrap();
                written.bytes.extend_from_slice(&bytes[..count]);
                written.count += count as u64;
                if keeps_end_only && written.bytes.len() > 2 * END_BYTES {
                    let gone = written.bytes.len() - END_BYTES;
                    written.bytes.drain(..gone);
                }
                gathered.changed.notify_all();
            }
            gathered.written.lock().unwrap().is_over = true;
            gathered.changed.notify_all();
        });
        Terminal {
            child,
            keys: File::from(pty.master),
            screen,
            seen: 0,
        }
    }
}

impl Terminal {
    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("keys");
    }

    /// Types a line and Enter.
    pub fn line(&mut self, text: &str) {
        self.press(text);
        self.press("\r");
    }

    /// Presses a key again and again until `part` is written.
    pub fn press_until(&mut self, key: &str, part: &str) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            self.press(key);
            let seen = self.seen;
            let found = self.screen.wait_at_most(KEY_INTERVAL, |written| {
                let at = text(written).split_off(seen).find(part)?;
                Some(at + part.len())
            });
            if let Some(end) = found {
                self.seen += end;
                return;
            }
        }
        panic!("no '{part}' in {:?}", plain(&self.raw()));
    }

    /// Everything that was written, as it was.
    pub fn raw(&self) -> String {
        let written = self.screen.written.lock().unwrap();
        String::from_utf8_lossy(&written.bytes).into_owned()
    }

    /// Waits until what was written ends with something, where only the end is kept.
    pub fn end(&self, what: &str, is_there: impl Fn(&str) -> bool) {
        let found = self.screen.wait_at_most(LONG_PATIENCE, |written| {
            let end = String::from_utf8_lossy(&written.bytes);
            is_there(&plain(&end)).then_some(())
        });
        assert!(found.is_some(), "no {what} in {:?}", plain(&self.raw()));
    }

    /// How many bytes were written.
    pub fn count(&self) -> u64 {
        self.screen.written.lock().unwrap().count
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        // `setsid` becomes the program: it forks only where it leads a group already.
        self.child.id()
    }

    /// Waits until `part` has been written after what was looked at before, and returns everything up
    /// to its end, as text without colours and movements of the cursor.
    pub fn wait_for(&mut self, part: &str) -> String {
        self.wait_until(part, |text| text.find(part).map(|at| at + part.len()))
    }

    /// Waits until `end` finds an end in what was written after what was looked at before, and returns
    /// everything up to there.
    pub fn wait_until(&mut self, what: &str, end: impl Fn(&str) -> Option<usize>) -> String {
        let found = self.screen.wait(|written| {
            let mut text = text(written).split_off(self.seen);
            let end = end(&text)?;
            text.truncate(end);
            Some(text)
        });
        let found = found.unwrap_or_else(|| {
            let all = plain(&self.raw());
            panic!("no '{what}' after {} bytes of {all:?}", self.seen)
        });
        self.seen += found.len();
        found
    }

    /// Waits until it has ended and returns its exit code.
    pub fn ended(&mut self) -> i32 {
        let over = self.screen.wait(|written| written.is_over.then_some(()));
        assert!(over.is_some(), "it does not end: {:?}", plain(&self.raw()));
        let status = self.child.wait().expect("its status");
        status.code().expect("an exit code")
    }
}

/// What was written as text without colours and movements of the cursor, as far as whole characters are
/// there.
fn text(written: &Written) -> String {
    let bytes = &written.bytes;
    let whole = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap(),
    };
    plain(whole)
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text without escape sequences.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\x1b' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('[') => {
                while letters
                    .next()
                    .is_some_and(|letter| !letter.is_ascii_alphabetic())
                {}
            }
            Some(']') => while letters.next().is_some_and(|letter| letter != '\x07') {},
            _ => {}
        }
    }
    plain
}
