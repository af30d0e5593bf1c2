//! A real coordinator and real executors, each a process of its own, from the outside: through Flight
//! SQL, through the command line, and by killing them.

mod bad_input;
mod catalog;
mod command_line;
mod differential;
mod explain;
mod faults;
mod ingest;
mod life;
mod membership;
mod scale;
mod temporary;
mod writes;
