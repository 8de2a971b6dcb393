//! What the manager's operations cost in simulated time, as a table: `cargo run --release -p freehold
//! --example costs`. Equal on every host.
#![forbid(unsafe_code)]

mod bench;
mod copies;
mod forks;
mod large;
mod merging;
mod moving;
mod pins;
mod rows;
mod tables;

use rows::{Sizes, Trouble};

/// The tables of the documentation.
const FULL: Sizes = Sizes { pages: 256, fork_mib: 1024 };

fn main() -> std::process::ExitCode {
    match tables::all(&FULL).and_then(|tables| rows::print(&tables)) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(Trouble(what)) => {
            eprintln!("costs: {what}");
            std::process::ExitCode::FAILURE
        }
    }
}
