//! `freehold record`: run a program on Linux and record its memory life.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use record::Recording;
use record::import::{self, Options};
use record::recorder::{self, Order, Outcome, Tool};

use crate::exit::{Error, Verdict};

/// The name of the hidden verb that runs the recorder's helper.
pub(crate) const HELPER: &str = "record-helper";

/// The command line of `record`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exits with the program's own status, or with 2 when it cannot be recorded.")]
pub(crate) struct Args {
    /// Where to write the recording [default: PROG.fhr]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Record also which pages are read and written (runs PROG twice, once under valgrind)
    #[arg(long, conflicts_with = "with")]
    touches: bool,
    /// Which tool watches the program
    #[arg(long, value_enum, default_value_t = With::Auto)]
    with: With,
    /// Do not run anything: import what `perf record` or `strace -f -ttt -T -o` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["touches", "with", "program"])]
    import: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, value_name = "PROG", required_unless_present = "import")]
    program: Vec<String>,
}

/// Which tool watches the program.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum With {
    /// perf if it works here, else strace
    Auto,
    /// perf: calls and faults; needs privileges
    Perf,
    /// strace: calls only; works for everyone
    Strace,
}

/// The command line of the helper.
#[derive(Debug, clap::Args)]
pub(crate) struct HelperArgs {
    /// Where to leave what Linux counted
    counts: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    program: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    if let Some(foreign) = &args.import {
        let recording = import_file(foreign)?;
        let output = args.output.clone().unwrap_or_else(|| foreign.with_extension("fhr"));
        save(&recording, &output)?;
        return Ok(Verdict::Good);
    }
    let (recording, outcome) = record_program(args)?;
    let output = args.output.clone().unwrap_or_else(|| default_output(&args.program));
    save(&recording, &output)?;
    Ok(Verdict::Program(u8::try_from(outcome.status).unwrap_or(u8::MAX)))
}

/// Runs the hidden verb.
pub(crate) fn run_helper(args: &HelperArgs) -> Result<Verdict, Error> {
    let status = recorder::helper::run(&args.counts, &args.program).map_err(|e| Error::new(&e))?;
    Ok(Verdict::Program(u8::try_from(status).unwrap_or(u8::MAX)))
}

fn record_program(args: &Args) -> Result<(Recording, Outcome), Error> {
    let this = std::env::current_exe().map_err(|error| Error::new(&error))?;
    let tool = match args.with {
        With::Auto => Tool::Auto,
        With::Perf => Tool::Perf,
        With::Strace => Tool::Strace,
    };
    let program = args.program.clone();
    let order = Order { program, tool, helper: vec![this, PathBuf::from(HELPER)] };
    let recorded = if args.touches { recorder::record_touches(&order) } else { recorder::record(&order) };
    recorded.map_err(|error| Error::new(&error))
}

/// `perf.data` files start with a magic number; whatever else there is must be text.
fn import_file(path: &Path) -> Result<Recording, Error> {
    let wrong = |error: &dyn std::fmt::Display| Error::of_file(path, &error.to_string());
    let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
    let imported = if bytes.starts_with(b"PERFILE2") {
        import::perf::import(path, Options::default())
    } else {
        import::strace::import(&bytes, Options::default())
    };
    imported.map_err(|error| wrong(&error))
}

fn default_output(program: &[String]) -> PathBuf {
    let name = program.first().and_then(|program| Path::new(program).file_name());
    Path::new(name.unwrap_or_default()).with_extension("fhr")
}

/// Writes the recording and says on standard error what became of it.
fn save(recording: &Recording, output: &Path) -> Result<(), Error> {
    recording.write(output).map_err(|error| Error::of_file(output, &error))?;
    let size = std::fs::metadata(output).map_or(0, |meta| meta.len());
    // The program's own output may go anywhere, so this must not fail the recording.
    let _ = report(recording, output, size);
    Ok(())
}

fn report(recording: &Recording, output: &Path, size: u64) -> io::Result<()> {
    let mut to = io::stderr().lock();
    let summary = recording.summary();
    let (events, processes) = (summary.events, summary.processes);
    let output = output.display();
    writeln!(to, "freehold: {output}: {events} events of {processes} processes, {size} bytes")?;
    for lack in &recording.provenance.lacks {
        writeln!(to, "freehold: {output}: lacks {lack}")?;
    }
    match recording.provenance.lost_events {
        0 => Ok(()),
        lost => writeln!(to, "freehold: {output}: {lost} events were lost"),
    }
}
