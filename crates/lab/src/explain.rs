//! `freehold explain`: what a trace knows of a frame, a page, or a copy.

use std::path::PathBuf;

use clap::Subcommand;
use freehold::machine::VirtAddr;

use crate::exit::{self, Error, Verdict};
use crate::trace::perfetto::Timeline;
use crate::trace::{Listener, Trace, TraceReader, Wanted};

/// The command line of `explain`.
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Args {
    /// The trace (`replay --trace FILE` makes it)
    #[arg(value_name = "FILE")]
    trace: PathBuf,
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Lines shown of each part; 0 is all
    #[arg(long, default_value_t = 40, global = true)]
    limit: usize,
    /// Write a timeline for the Perfetto viewer as well
    #[arg(long, value_name = "OUT", global = true)]
    perfetto: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// What there is to ask about (also without any question)
    Summary,
    /// Who owned a frame, and what became of it
    Frame {
        /// The frame's number, decimal or 0x
        #[arg(value_parser = number_u32)]
        pfn: u32,
        /// Only its life of this number, from 1
        #[arg(long)]
        life: Option<u64>,
    },
    /// What happened to a page of a process
    Page {
        /// The process's number, as on Linux
        pid: u32,
        /// An address in the page, decimal or 0x
        #[arg(value_parser = number)]
        addr: u64,
    },
    /// Why a page was copied
    Copy {
        /// Which copy of the run, from 1
        number: u64,
    },
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let path = &args.trace;
    if let Some(out) = &args.perfetto {
        write_timeline(args, out)?;
    }
    let trace = Trace::open(path).map_err(|error| Error::of_file(path, &error))?;
    let wanted = match args.what {
        None | Some(What::Summary) => Wanted::Summary,
        Some(What::Frame { pfn, life }) => Wanted::Frame(pfn, life),
        Some(What::Page { pid, addr }) => Wanted::Page(pid, VirtAddr(addr).page()),
        Some(What::Copy { number }) => Wanted::Copy(number),
    };
    let answer = trace.answer(wanted, args.limit).map_err(|error| Error::of_file(path, &error))?;
    let text = if args.json { format!("{:#}\n", answer.0) } else { answer.1 };
    exit::print(&text).map(|()| Verdict::Good)
}

fn write_timeline(args: &Args, out: &std::path::Path) -> Result<(), Error> {
    let reader = TraceReader::open(&args.trace).map_err(|error| Error::of_file(&args.trace, &error))?;
    let timeline = Timeline::create(out, reader.header());
    let mut timeline = timeline.map_err(|error| Error::of_file(out, &error))?;
    let read = reader.for_each(|record| timeline.hear(&record));
    read.map_err(|error| Error::of_file(&args.trace, &error))?;
    timeline.finish().map_err(|error| Error::of_file(out, &error))
}

/// Parses a number, decimal or 0x.
fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| {
        format!("'{}' is no number (decimal, or hexadecimal with 0x)", crate::trace::plain(text))
    })
}

fn number_u32(text: &str) -> Result<u32, String> {
    u32::try_from(number(text)?)
        .map_err(|_| format!("{text} is more than 32 bits: no machine has such a frame"))
}
