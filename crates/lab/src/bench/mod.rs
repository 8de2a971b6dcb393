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
mod plot;
mod progress;
mod registry;
mod row;
mod simulated;
mod stats;
mod table;
mod trouble;

pub(crate) use native::{WORKER, WorkerArgs, run_worker};

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ::native::peer::Clock;

use crate::exit::{self, Error, Verdict};
use options::{Options, Size};
use plot::Plots;
use progress::Progress;
use registry::Bench;
use row::{Goal, Peer, Row, Side};
use trouble::Trouble;

/// The command line of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Benches, or `native` or `simulated` for all of that side; without any, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Show what benches there are
    #[arg(long, conflicts_with_all = ["json", "reps", "seconds", "clock", "quick", "plot"])]
    list: bool,
    /// Print one JSON array instead of the tables
    #[arg(long)]
    json: bool,
    /// Draw what was measured, as SVG files in this directory
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// Repetitions of a native measurement, each side in turn
    #[arg(long, default_value = "11", value_parser = clap::value_parser!(u32).range(1..=1000))]
    reps: u32,
    /// Begin no further repetition of a native bench after this many seconds
    #[arg(long)]
    seconds: Option<NonZeroU32>,
    /// Time of native benches of one thread: what the thread ran for, or the clock on the wall
    #[arg(long, value_enum, default_value_t = Time::Thread)]
    clock: Time,
    /// Tiny sizes: does everything work? The figures say nothing
    #[arg(long)]
    quick: bool,
}

/// Whose time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Time {
    /// What others on the machine run for is not in it.
    Thread,
    /// From begin to end.
    Wall,
}

impl Args {
    fn options(&self) -> Options {
        Options {
            reps: self.reps as usize,
            budget: self.seconds.map(|seconds| Duration::from_secs(u64::from(seconds.get()))),
            clock: match self.clock {
                Time::Thread => Clock::Thread,
                Time::Wall => Clock::Wall,
            },
            size: if self.quick { Size::Quick } else { Size::Full },
        }
    }
}

/// All benches.
fn all() -> Vec<&'static Bench> {
    native::BENCHES.iter().chain(simulated::BENCHES).collect()
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let benches = registry::chosen(&all(), &args.names)?;
    if args.list {
        return exit::print(&registry::listed(&benches)).map(|()| Verdict::Good);
    }
    let plots = args.plot.as_deref().map(Plots::into).transpose()?;
    let options = args.options();
    let mut progress = Progress::new(benches.len());
    let (mut rows, mut troubled) = (Vec::new(), None);
    for bench in benches {
        progress.begins(bench.name);
        match (bench.rows)(&options) {
            Ok(found) => rows.extend(found),
            // What others find is shown all the same.
            Err(trouble) => {
                let error = Error::broken(&format!("{}: {trouble}", bench.name));
                troubled.get_or_insert(error);
            }
        }
    }
    progress.ends();
    if let Some(plots) = plots {
        plots.write(&rows)?;
    }
    let text = if args.json { json::text(&rows) } else { table::text(&rows, &native::features()) };
    exit::print(&text)?;
    troubled.map_or(Ok(Verdict::Good), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_no_side() {
        let names: Vec<&str> = all().iter().map(|bench| bench.name).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), unique.len());
        assert!(!unique.contains("native") && !unique.contains("simulated"));
    }

    #[test]
    fn benches_are_on_the_side_that_lists_them() {
        assert!(native::BENCHES.iter().all(|bench| bench.side == Side::Native));
        assert!(simulated::BENCHES.iter().all(|bench| bench.side == Side::Simulated));
    }
}
