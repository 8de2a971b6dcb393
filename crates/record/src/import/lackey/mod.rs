//! What `valgrind --tool=lackey --trace-mem=yes --trace-syscalls=yes` prints while a program runs.
//!
//! Every instruction, load and store is a line, so the touches are complete; a run makes many
//! gigabytes of such text, which is why it is followed while it is made and never kept. Valgrind
//! runs one thread at a time and counts no time, so the clock here is the number of instructions:
//! a child's clock starts at its fork, and a parent that waits for a child goes on when it ended.
//!
//! What pages contain is read from the processes themselves, in which the program's addresses are
//! real: a process waits while nobody reads its output, so it is never far ahead of what was read.

mod contents;
mod follow;
mod handles;
mod line;
mod maps;
mod process;
mod source;
mod start;
#[cfg(test)]
mod tests;
mod touched;

pub(crate) use follow::Follower;
pub(crate) use source::{More, Page, Source};
