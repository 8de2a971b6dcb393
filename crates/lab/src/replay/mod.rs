//! `freehold replay`: a recording on the simulated machine, every rule checked, and what it cost.

mod access;
mod audit;
mod call;
mod engine;
mod features;
mod files;
mod ledger;
mod life;
mod limits;
mod memories;
mod needless;
mod options;
mod order;
mod peaks;
mod report;
mod sections;
mod size;
mod tally;
mod upkeep;
mod when;
mod words;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use freehold::Manager;
use indicatif::{ProgressBar, ProgressStyle};
use record::Recording;
use sim::shadow::Shadow;
use sim::{SimConfig, SimError, SimMachine};

use crate::exit::{self, Error, Verdict};
use crate::policy::Policy;
use crate::trace::perfetto::Timeline;
use crate::trace::{Ears, Header, Listener, Program, Record, TraceWriter, What};
use engine::{Engine, Judges};
use files::Files;
use needless::Needless;
use report::Seen;
use upkeep::Upkeep;

pub(crate) use report::{grouped, shown_with};
pub(crate) use sections::SECTIONS;

pub use features::{Features, Ksm, Merge, Missing, Need, Swap, SwapDevice};
pub use options::Options;
pub use report::Report;
pub use when::When;

/// The command line of `replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording (.fhr)
    recording: PathBuf,
    #[command(flatten)]
    options: Options,
    /// Do something in another way, as cow=refcount; may be given several times, and
    /// docs/compare.md lists what there is
    #[arg(long, value_name = "AXIS=VALUE")]
    policy: Vec<Policy>,
    /// Print one JSON object instead of the report (docs/counters.md lists its keys)
    #[arg(long)]
    json: bool,
    /// Write every event of frames and translations to a file, for `explain`
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write a timeline in simulated time for the Perfetto viewer
    #[arg(long, value_name = "FILE")]
    perfetto: Option<PathBuf>,
}

/// Replays a recording and reports.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let path = &args.recording;
    let (name, recording) = read(path)?;
    let ears = listeners(&name, &recording, args)?;
    let watch = ears.as_ref().map(|ears| Watch { ears, at_end: &|_| {} });
    let options = Options { policy: chosen(&args.policy)?, ..args.options.clone() };
    for missing in options.features.missing(&recording) {
        exit::remark(&format!("{}: {missing}", path.display()));
    }
    let report = replay_watched(&name, &recording, &options, watch);
    let report = report.map_err(|error| error.about_file(path))?;
    if let Some(ears) = ears {
        ears.finish().map_err(|error| Error::new(&format!("the trace cannot be written: {error}")))?;
    }
    report.print(args.json)?;
    Ok(if report.is_good() { Verdict::Good } else { Verdict::Broken })
}

/// A recording and its name, without its directory.
pub(crate) fn read(path: &Path) -> Result<(String, Recording), Error> {
    let recording = Recording::read(path).map_err(|error| Error::of_file(path, &error))?;
    let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into());
    Ok((name, recording))
}

/// All choices together.
pub(crate) fn chosen(policies: &[Policy]) -> Result<Policy, Error> {
    let together = policies.iter().try_fold(Policy::default(), |all, more| all.and(more));
    together.map_err(|why| Error::new(&format!("--policy: {why}")))
}

/// Who is to be told what happens, as the command line says.
fn listeners(name: &str, recording: &Recording, args: &Args) -> Result<Option<Ears>, Error> {
    let header = Header::of(name, recording, args.options.cpus, args.options.memory);
    let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
    if let Some(path) = &args.trace {
        let writer = TraceWriter::create(path, &header).map_err(|error| Error::of_file(path, &error))?;
        listeners.push(Box::new(writer));
    }
    if let Some(path) = &args.perfetto {
        let timeline = Timeline::create(path, &header).map_err(|error| Error::of_file(path, &error))?;
        listeners.push(Box::new(timeline));
    }
    Ok((!listeners.is_empty()).then(|| Ears::new(listeners)))
}

/// Who watches a replay.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// They are told every record, from the making of the manager on.
    pub ears: &'a Ears,
    /// Looks at the manager when the last event is over and nobody was told anything after it.
    pub at_end: &'a dyn Fn(&Manager<'_, SimMachine>),
}

/// Replays a valid recording and tells what it came to.
///
/// # Errors
///
/// When the recording contradicts itself, when it cannot be replayed on such a machine, or
/// when the replay got stuck.
pub fn replay(name: &str, recording: &Recording, options: &Options) -> Result<Report, Error> {
    replay_watched(name, recording, options, None)
}

/// The same, while somebody watches: that changes nothing.
///
/// # Errors
///
/// As [`replay`].
pub fn replay_watched(
    name: &str,
    recording: &Recording,
    options: &Options,
    watch: Option<Watch<'_>>,
) -> Result<Report, Error> {
    let steps = limits::check(recording)?;
    let sim =
        SimMachine::new(&config(options, recording, steps)).map_err(|error| refused(options, &error))?;
    let needless = Needless::default();
    sim.watch(needless.sink(watch.map(|watch| watch.ears.sink())));
    let started = Instant::now();
    let manager = Manager::new(&sim, &options.manager())
        .map_err(|shortage| Error::new(&format!("--memory {} is too little: {shortage}", options.memory)))?;
    if let Some(swap) = options.features.swap {
        swap.begin(&manager)?;
    }
    let mut shadow = Shadow::new();
    let files = Files::open(recording, &manager, &mut shadow)?;
    if !options.cold {
        files.warm(&manager)?;
        sim.restart_clock();
    }
    if let Some(watch) = watch {
        watch.ears.hear(&Record { at_ns: 0, cpu: 0, task: None, what: What::Program(Program::Starts) });
    }
    let bar = progress(recording.events.len());
    let show = |done: usize| bar.set_position(done as u64);
    let ears = watch.map(|watch| watch.ears);
    let judges = Judges { when: options.audit, unclaimed: options.policy.unclaimed() };
    let beside = (judges, Upkeep::of(options));
    let engine = Engine::new(recording, &manager, (&files, shadow), beside, (&show, ears));
    let run = engine.run()?;
    sim.unwatch();
    if let Some(watch) = watch {
        (watch.at_end)(&manager);
    }
    let outcome = engine.into_outcome();
    files.close(&manager)?;
    bar.finish_and_clear();
    let seen = Seen { run, outcome, needless: needless.count(), wall: started.elapsed() };
    Ok(Report::new((name, recording), &manager, options, seen))
}

/// Why there is no such machine, in terms of the options.
fn refused(options: &Options, error: &SimError) -> Error {
    let Options { cpus, nodes, memory, .. } = options;
    match error {
        SimError::Config(why) => {
            Error::new(&format!("no machine of --cpus {cpus} --nodes {nodes} --memory {memory}: {why}"))
        }
        other => Error::new(other),
    }
}

fn config(options: &Options, recording: &Recording, steps: u64) -> SimConfig {
    let tasks = recording.tasks.len() as u32 + 1;
    SimConfig {
        cpus: options.cpus,
        nodes: options.nodes,
        memory_bytes: options.memory,
        seed: options.seed,
        tasks_max: tasks.max(64),
        checks: if options.audit == When::Off { sim::Checks::Off } else { sim::Checks::Heavy },
        run_ns_max: limits::run_ns_max(steps, options.memory),
        ..SimConfig::default()
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(events: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(events as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} events, {eta} left") {
        bar.set_style(style);
    }
    bar
}
