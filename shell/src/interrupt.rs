//! Ctrl-C as something to wait for. While the editor reads, the terminal delivers it as a key, and only
//! what was pressed just before arrives here.

use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Ctrl-C twice within this time leaves the shell.
const TWICE_WITHIN: Duration = Duration::from_secs(1);

/// The interrupts that arrive. Several that nobody waited for count as one.
pub(crate) struct Interrupts {
    count: watch::Receiver<u64>,
    cancelled_at: Option<Instant>,
}

impl Interrupts {
    /// Those of this process, and the task that listens, which ends when it is dropped. From now on
    /// Ctrl-C does not end the process.
    pub(crate) fn of_process() -> (Self, JoinSet<()>) {
        let (sender, interrupts) = Self::new();
        let mut listener = JoinSet::new();
        // Registered here and not in the task, which may begin late: until then Ctrl-C would end the process.
        if let Ok(mut signal) = signal(SignalKind::interrupt()) {
            listener.spawn(async move {
                while signal.recv().await.is_some() {
                    sender.send_modify(|count| *count += 1);
                }
            });
        }
        (interrupts, listener)
    }

    /// Those that are sent by hand.
    pub(crate) fn new() -> (watch::Sender<u64>, Self) {
        let (sender, count) = watch::channel(0);
        let interrupts = Self {
            count,
            cancelled_at: None,
        };
        (sender, interrupts)
    }

    /// Whether one has arrived that nobody waited for.
    pub(crate) fn has_arrived(&self) -> bool {
        self.count.has_changed().unwrap_or(false)
    }

    /// Forgets those that have arrived.
    pub(crate) fn forget(&mut self) {
        self.count.mark_unchanged();
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        if self.count.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// One has cancelled something, just now.
    pub(crate) fn has_cancelled(&mut self) {
        self.cancelled_at = Some(Instant::now());
    }

    /// Whether Ctrl-C now, as a key, is the second one after one that cancelled something.
    pub(crate) fn is_second(&self) -> bool {
        self.cancelled_at
            .is_some_and(|at| at.elapsed() <= TWICE_WITHIN)
    }
}
