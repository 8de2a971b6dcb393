//! The worker: runs programs natively.
//!
//! Three kinds of processes. The *nursery* reads programs from standard input, starts the first process of
//! each, and writes the answers when all of them are gone. The *processes* of a program share one table
//! (`shared`) and pass the turn on through it: whoever's operation is next has it, so that a program
//! has one order, and only changes of process cost a switch.
//!
//! Nothing here allocates or uses the C library's state once the nursery is set up: the heap's end lies in
//! the arena, and processes made by `clone(CLONE_VM)` share their thread-local memory.

mod answers;
mod copies;
mod files;
mod layout;
mod life;
mod mem;
mod memory;
mod nursery;
mod setup;
mod shared;
pub(crate) mod sys;
mod touch;

use std::path::Path;

/// Runs until standard input ends. `directory` is where the file on a disk is made.
///
/// # Errors
///
/// Why the worker could not be set up, or what it read was no program.
pub fn run(directory: &Path) -> Result<(), String> {
    nursery::run(directory)
}
