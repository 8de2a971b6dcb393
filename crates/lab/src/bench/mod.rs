//! `freehold bench`: every figure beside its peer of the same run.
//!
//! A bench is a function that answers rows ([`Row`]); `native` and `simulated` list theirs. Native benches
//! run on the clock on the wall, beside this Linux; simulated ones in simulated nanoseconds, beside other
//! algorithms in the same simulator. The two are never in one table.
//!
//! To add a bench: a module under `native/` or `simulated/` with `fn rows(&Options) -> Result<Vec<Row>,
//! Trouble>`, and a line in the `BENCHES` of that directory's `mod.rs`. Rows are built with
//! [`Row::new`] and its methods; [`Goal`] says what a row must reach. A bench honours [`Options::size`]: with
//! [`Size::Quick`] it is over in a fraction of a second.

mod json;
mod native;
mod options;
mod progress;
mod registry;
mod row;
mod simulated;
mod stats;
mod table;
mod trouble;

use std::num::NonZeroU32;
use std::time::Duration;

use crate::exit::{self, Error, Verdict};
use options::{Options, Size};
use progress::Progress;
use row::{Goal, Peer, Row, Side};
use trouble::Trouble;

/// The command line of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Benches, or `native` or `simulated` for all of that side; without any, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Show what benches there are
    #[arg(long, conflicts_with_all = ["json", "reps", "seconds", "quick"])]
    list: bool,
    /// Print one JSON array instead of the tables
    #[arg(long)]
    json: bool,
    /// Repetitions of a native measurement, each side in turn
    #[arg(long, default_value = "11", value_parser = clap::value_parser!(u32).range(1..=1000))]
    reps: u32,
    /// Begin no further repetition of a native bench after this many seconds
    #[arg(long)]
    seconds: Option<NonZeroU32>,
    /// Tiny sizes: does everything work? The figures say nothing
    #[arg(long)]
    quick: bool,
}

impl Args {
    fn options(&self) -> Options {
        Options {
            reps: self.reps as usize,
            budget: self.seconds.map(|seconds| Duration::from_secs(u64::from(seconds.get()))),
            size: if self.quick { Size::Quick } else { Size::Full },
        }
    }
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let benches = registry::chosen(&args.names)?;
    if args.list {
        return exit::print(&registry::listed(&benches)).map(|()| Verdict::Good);
    }
    let options = args.options();
    let mut progress = Progress::new(benches.len());
    let mut rows = Vec::new();
    for bench in benches {
        progress.begins(bench.name);
        let found = (bench.rows)(&options);
        rows.extend(found.map_err(|trouble| Error::broken(&format!("{}: {trouble}", bench.name)))?);
    }
    progress.ends();
    let text = if args.json { json::text(&rows) } else { table::text(&rows) };
    exit::print(&text).map(|()| Verdict::Good)
}
