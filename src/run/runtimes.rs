//! The threads of a process: connections and heartbeats on a runtime of their own, so that a saturated
//! processor never makes a node look dead; planning and short statements on another, so that operators
//! which compute for long at a time never hold up a `KILL QUERY`.

use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads for connections. They decode little and wait much.
const IO_THREADS: usize = 2;

/// The stack of a computing thread, in bytes. Planners and operators recurse over expressions; memory is
/// only taken for what is used of it.
const COMPUTE_STACK_BYTES: usize = 64 * 1024 * 1024;

/// How long running work may take to notice that the process ends.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The runtimes of a process.
pub(super) struct Runtimes {
    io: Runtime,
    planning: Runtime,
    compute: Runtime,
}

/// Threads that plan. A few large statements must not hold up the small ones.
const PLANNING_THREADS: usize = 4;

impl Runtimes {
    /// Starts threads for connections, and one per core for computing.
    pub(super) fn start(cores: usize) -> io::Result<Self> {
        let io = Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name("skep-io")
            .enable_all()
            .build()?;
        let computing = |name: &str, threads: usize| {
            Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name(name)
                .thread_stack_size(COMPUTE_STACK_BYTES)
                .enable_all()
                .build()
        };
        Ok(Self {
            io,
            planning: computing("skep-planning", PLANNING_THREADS)?,
            compute: computing("skep-compute", cores.max(1))?,
        })
    }

    /// Where statements are planned.
    pub(super) fn planning(&self) -> &Handle {
        self.planning.handle()
    }

    /// Where operators run.
    pub(super) fn compute(&self) -> &Handle {
        self.compute.handle()
    }

    /// Runs the program on the runtime of connections.
    pub(super) fn block_on<T>(&self, program: impl Future<Output = T>) -> T {
        self.io.block_on(program)
    }

    /// Ends all threads, without waiting for what does not end.
    pub(super) fn stop(self) {
        self.compute.shutdown_timeout(STOP_PATIENCE);
        self.planning.shutdown_timeout(STOP_PATIENCE);
        self.io.shutdown_timeout(STOP_PATIENCE);
    }
}
