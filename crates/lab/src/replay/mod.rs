//! `freehold replay`: a recording on the simulated machine, every rule checked, and what it cost.

mod access;
mod audit;
mod call;
mod engine;
mod files;
mod ledger;
mod life;
mod limits;
mod memories;
mod needless;
mod order;
mod report;
mod sections;
mod tally;
mod when;
mod words;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use freehold::Manager;
use freehold::space::HugePages;
use indicatif::{ProgressBar, ProgressStyle};
use record::Recording;
use sim::shadow::Shadow;
use sim::{SimConfig, SimError, SimMachine};

use crate::exit::{Error, Verdict};
use crate::policy::Policy;
use crate::trace::perfetto::Timeline;
use crate::trace::{Ears, Header, Listener, Program, Record, TraceWriter, What};
use engine::{Engine, Judges};
use files::Files;
use needless::Needless;

use report::Seen;

pub(crate) use report::grouped;
pub(crate) use sections::SECTIONS;

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

/// The machine to replay on, and what is checked.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// CPUs of the simulated machine (1 to 512)
    #[arg(long, default_value_t = CPUS, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub cpus: u32,
    /// NUMA nodes (1 to 64, at most one a CPU)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub nodes: u32,
    /// Memory of the machine: a number with K, M, G or T
    #[arg(long, default_value = "8G", value_parser = size)]
    pub memory: u64,
    /// When the whole state is audited: off, end, step (after each event), every=N
    #[arg(long, default_value = "every=1000")]
    pub audit: When,
    /// Start with an empty page cache; otherwise files are cached, as they mostly were
    /// when the program was recorded
    #[arg(long)]
    pub cold: bool,
    /// Varies the schedule; the same number gives the same result to the bit
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Huge pages for anonymous memory: always, madvise (where the program asks for them), never (as the
    /// programs were recorded)
    #[arg(long, value_name = "WHEN", default_value = HugePages::Never.name())]
    pub thp: HugePages,
    /// What is done in another way than Freehold's own
    #[arg(skip)]
    pub policy: Policy,
}

/// CPUs of the machine if nothing is said.
const CPUS: u32 = 4;

impl Options {
    /// How the manager is built.
    fn manager(&self) -> freehold::Config {
        let mut config = self.policy.config();
        config.linux.huge_pages = self.thp;
        config
    }
}

/// As on a command line without options, but audited at the end only.
impl Default for Options {
    fn default() -> Self {
        Options {
            cpus: CPUS,
            nodes: 1,
            memory: 8 << 30,
            audit: When::End,
            cold: false,
            seed: 0,
            thp: HugePages::Never,
            policy: Policy::default(),
        }
    }
}

/// Replays a recording and reports.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let path = &args.recording;
    let (name, recording) = read(path)?;
    let ears = listeners(&name, &recording, args)?;
    let watch = ears.as_ref().map(|ears| Watch { ears, at_end: &|_| {} });
    let options = Options { policy: chosen(&args.policy)?, ..args.options.clone() };
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
    let engine = Engine::new(recording, &manager, (&files, shadow), judges, (&show, ears));
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

/// Parses `512M` and the like.
fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("'{unit}' is none of K, M, G, T")),
    };
    let number: u64 = digits.parse().map_err(|_| "a number is missing".to_string())?;
    number.checked_mul(1 << shift).filter(|&bytes| bytes > 0).ok_or_else(|| "no such size".into())
}
