//! The shell as people and scripts meet it: the real binary, in a pseudo-terminal and in pipes.

mod connecting;
mod formats;
mod output;
mod passwords;
mod pty;
mod scripts;
mod speed;
mod typing;
