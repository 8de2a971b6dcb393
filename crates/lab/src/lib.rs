//! The command `freehold`, as a library for its binary and its tests.
//!
//! One file per verb; [`exit`] holds what all verbs agree on: their exit status and their errors.
//! [`replay::replay`] is the replay of a recording in memory.
#![forbid(unsafe_code)]

mod bench;
mod compare;
pub mod cow_table;
mod diff;
pub mod exit;
mod explain;
pub mod explore;
mod info;
pub mod policy;
mod record;
pub mod replay;
pub mod trace;
pub mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A Linux-class virtual memory manager, held in the hand.
#[derive(Debug, Parser)]
#[command(name = "freehold", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a program on Linux and record its memory life
    Record(record::Args),
    /// Replay a recording on the simulated machine, audited, and report
    Replay(replay::Args),
    /// Replay a recording once for each policy, and show the figures side by side
    Compare(compare::Args),
    /// Tell from a trace why a page was copied, who owned a frame, what happened to a page
    Explain(explain::Args),
    /// Search the interleavings of scenarios for one that breaks a rule
    Explore(explore::Args),
    /// Show what is in a recording and what it lacks
    Info(info::Args),
    /// Measure memory operations beside Linux, and beside other algorithms in the simulator
    Bench(bench::Args),
    /// Run random memory programs on this Linux and on Freehold, and compare every answer
    Diff(diff::Args),
    /// The process that runs programs natively for `diff`
    #[command(name = diff::WORKER, hide = true)]
    DiffWorker(diff::WorkerArgs),
    /// The process that works in another address space for `bench`
    #[command(name = bench::WORKER, hide = true)]
    BenchWorker(bench::WorkerArgs),
    /// The recorder's helper; `record` starts it between the watching tool and the program
    #[command(name = record::HELPER, hide = true)]
    Helper(record::HelperArgs),
}

/// Runs the command with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    exit::finish(match cli.verb {
        Verb::Record(args) => record::run(&args),
        Verb::Replay(args) => replay::run(&args),
        Verb::Compare(args) => compare::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Explore(args) => explore::run(&args),
        Verb::Info(args) => info::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Diff(args) => diff::run(&args),
        Verb::BenchWorker(args) => bench::run_worker(&args),
        Verb::DiffWorker(args) => diff::run_worker(&args),
        Verb::Helper(args) => record::run_helper(&args),
    })
}
