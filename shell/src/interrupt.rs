//! Ctrl-C as something to wait for. While the editor reads, the terminal delivers it as a key and
//! nothing arrives here.

use tokio::sync::watch;
use tokio::task::JoinSet;

/// The interrupts that arrive. Several that nobody waited for count as one.
pub(crate) struct Interrupts {
    count: watch::Receiver<u64>,
}

impl Interrupts {
    /// Those of this process, and the task that listens, which ends when it is dropped. From now on
    /// Ctrl-C does not end the process.
    pub(crate) fn of_process() -> (Self, JoinSet<()>) {
        let (sender, interrupts) = Self::new();
        let mut listener = JoinSet::new();
        listener.spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                sender.send_modify(|count| *count += 1);
            }
        });
        (interrupts, listener)
    }

    /// Those that are sent by hand.
    pub(crate) fn new() -> (watch::Sender<u64>, Self) {
        let (sender, count) = watch::channel(0);
        (sender, Self { count })
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
}
