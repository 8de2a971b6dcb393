//! `freehold explore`: scenarios under every schedule.
//!
//! `script` is the language, `run` one run of a scenario, `hunt` the search for a run that fails.

mod find;
mod hunt;
mod keep;
mod report;
pub mod run;
pub mod script;
mod story;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use freehold::machine::Plant;
use indicatif::{ProgressBar, ProgressStyle};
use sim::SimMachine;
use sim::explore::{Bounds, Ordered, Seed, Strategy, Summary};

use crate::exit::{self, Error, Verdict};
use crate::policy::Policy;
use crate::replay;
use report::Line;
use run::{Kind, Runner};

pub use hunt::{Failing, Found, Options, hunt};
pub use story::tell;

/// The command line of `explore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Scenario files (.fhs), kept findings (.seed), and folders of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Search every schedule with up to this many preemptions
    #[arg(long, value_name = "N", default_value_t = 2, conflicts_with_all = ["random", "pct", "replay"])]
    preemptions: u32,
    /// Run this many random schedules instead
    #[arg(long, value_name = "N", conflicts_with_all = ["pct", "replay"])]
    random: Option<u64>,
    /// Run this many schedules of probabilistic concurrency testing instead
    #[arg(long, value_name = "N", conflicts_with = "replay")]
    pct: Option<u64>,
    /// How many orderings a bug needs, for --pct
    #[arg(long, value_name = "D", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    depth: u32,
    /// Determines the schedules of --random and --pct
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run the one schedule of this line
    #[arg(long, value_name = "LINE")]
    replay: Option<Seed>,
    /// Let stores wait in buffers, as on x86
    #[arg(long)]
    tso: bool,
    /// How the manager does what can be done in several ways (docs/compare.md): scenarios show what older
    /// rules of copy-on-write lose
    #[arg(long, value_name = "CHOICE")]
    policy: Vec<Policy>,
    /// Plant a bug in the manager first (docs/planted.md has their names): see what a scenario is for
    #[arg(long, value_name = "BUG")]
    plant: Option<Plant>,
    /// Seconds for each scenario
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    time: u64,
    /// At most this many schedules of each scenario
    #[arg(long, value_name = "MAX")]
    schedules: Option<u64>,
    /// Keep what fails as files in this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "replay")]
    save: Option<PathBuf>,
    /// Only list the scenarios
    #[arg(long)]
    list: bool,
    /// Print one JSON object (docs/scenarios.md lists its keys)
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The bound on preemptions of an exhaustive search.
    fn bound(&self) -> Option<u32> {
        let others = self.replay.is_some() || self.random.is_some() || self.pct.is_some();
        (!others).then_some(self.preemptions)
    }

    fn options(&self) -> Options {
        let seed = self.seed;
        let (strategy, most) = match (&self.replay, self.random, self.pct) {
            (Some(seed), ..) => (Strategy::Replay(seed.clone()), Some(1)),
            (_, Some(runs), _) => (Strategy::Random { seed }, Some(runs)),
            (.., Some(runs)) => (Strategy::Pct { seed, depth: self.depth }, Some(runs)),
            _ => (Strategy::Exhaustive { preemptions: self.preemptions }, None),
        };
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        let bounds = Bounds {
            schedules: least(most, self.schedules).unwrap_or(u64::MAX),
            time: Some(Duration::from_secs(self.time)),
            ..Bounds::default()
        };
        Options { strategy, ordered: if self.tso { Ordered::Buffered } else { Ordered::Sequential }, bounds }
    }
}

/// Explores every scenario that was named, and reports.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let scenarios = find::all(&args.paths)?;
    if args.list {
        return list(&scenarios, args.json);
    }
    let width = scenarios.iter().map(|found| found.path.display().to_string().len()).max().unwrap_or(0);
    let (options, policy) = (args.options(), replay::chosen(&args.policy)?);
    let mut lines = Vec::with_capacity(scenarios.len());
    for found in &scenarios {
        let line = Line {
            scenario: found,
            found: watched(found, (&policy, args.plant), &options_of(found, &options)),
        };
        if let Some(failing) =
            line.found.failing.as_ref().filter(|failing| failing.failure.kind == Kind::Misuse)
        {
            return Err(misuse(found, failing));
        }
        if !args.json {
            exit::print(&line.text(width))?;
        }
        if let (Some(folder), Some(failing)) = (&args.save, &line.found.failing) {
            let kept = keep::write(folder, &found.path, failing)?;
            eprintln!("kept in {}", kept.display());
        }
        lines.push(line);
    }
    let text = if args.json { report::json(&lines) } else { report::sum(&lines, args.bound()) };
    exit::print(&text)?;
    let failed = lines.iter().any(|line| line.found.failing.is_some());
    Ok(if failed { Verdict::Broken } else { Verdict::Good })
}

/// A kept finding is one schedule, whatever else is asked for.
fn options_of(found: &find::Found, options: &Options) -> Options {
    match &found.seed {
        Some(seed) => Options { strategy: Strategy::Replay(seed.clone()), ..options.clone() },
        None => options.clone(),
    }
}

/// Searches, and shows how far it is.
fn watched(found: &find::Found, (policy, plant): (&Policy, Option<Plant>), options: &Options) -> Found {
    let bar = progress(&found.path.display().to_string());
    // A panic of a task is a finding, which is told in its place.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let planting = |sim: &SimMachine| sim.plant(plant);
    let mut runner = Runner::new(&found.scenario).choosing(policy.clone()).preparing(&planting);
    let answer = hunt(&mut runner, options, &mut |summary: &Summary| {
        if summary.schedules.is_multiple_of(256) {
            bar.set_position(summary.schedules);
        }
    });
    std::panic::set_hook(hook);
    bar.finish_and_clear();
    answer
}

/// A scenario that asks for what makes no sense.
fn misuse(found: &find::Found, failing: &Failing) -> Error {
    let path = found.path.display();
    let text = failing.failure.text.replace('\n', " ");
    match failing.failure.spot {
        Some(spot) => Error::new(&format!("{path}:{}:{}: {text}", spot.at.line, spot.at.column)),
        None => Error::new(&format!("{path}: {text}")),
    }
}

fn list(scenarios: &[find::Found], as_json: bool) -> Result<Verdict, Error> {
    let mut text = String::new();
    let mut objects = Vec::new();
    for found in scenarios {
        let (path, scenario) = (found.path.display().to_string(), &found.scenario);
        text.push_str(&format!("{path}\n    {}\n    {}\n", scenario.title, scenario.rules.join(", ")));
        objects.push(serde_json::json!({
            "file": path,
            "title": scenario.title,
            "why": scenario.why,
            "rules": scenario.rules,
            "source": scenario.source,
            "breaks": scenario.breaks,
            "cpus": scenario.cpus.len(),
        }));
    }
    let json = format!("{:#}\n", serde_json::json!({ "scenarios": objects }));
    exit::print(if as_json { &json } else { &text })?;
    Ok(Verdict::Good)
}

/// A counter on a terminal, nothing elsewhere.
fn progress(name: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{msg}: {human_pos} schedules, {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(name.to_string());
    bar
}
