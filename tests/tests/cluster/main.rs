//! A real coordinator and real executors, each a process of its own, from the outside: through Flight
//! SQL, through the command line, and by killing them.

mod bad_input;
mod catalog;
mod catalog_database;
mod changed_files;
mod command_line;
mod crowd;
mod differential;
mod encrypted_nodes;
mod evolution;
mod explain;
mod faults;
mod ingest;
mod life;
mod login_flood;
mod many_files;
mod membership;
mod races;
mod retry;
mod revoked_readers;
mod scale;
mod secrets;
mod sql_model;
mod strangers;
mod temporary;
mod writes;
