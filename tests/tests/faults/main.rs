//! Faults that are injected by giving a cluster in this process what no real process would have.

mod panics;
