//! `freehold diff`: the same random programs on this Linux and on Freehold.

mod advice;
mod compare;
mod dice;
mod generate;
mod host;
mod known;
mod minimise;
mod names;
mod native;
mod ours;
mod parse;
mod print;
mod program;
mod report;
mod sides;
mod themes;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::{Error, Verdict};
use generate::Generator;
use report::Report;
use sides::{Plant, Sides};

pub(crate) use native::WORKER;

/// The command line of `diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stop after this many operations
    #[arg(long, default_value_t = 100_000)]
    ops: u64,
    /// Equal seeds give equal programs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Operations of a program, about (up to 4000)
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=4000))]
    program_ops: u64,
    /// Stop after this many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Print one JSON object instead of the report
    #[arg(long)]
    json: bool,
    /// Run the program of a file instead of random ones
    #[arg(long, conflicts_with_all = ["ops", "seed", "program_ops", "seconds"])]
    replay: Option<PathBuf>,
    /// Answer wrongly on Freehold's side, for tests of `diff` itself
    #[arg(long, hide = true)]
    plant: Option<Plant>,
    /// Keep a program that differs, minimised, as a file in this directory
    #[arg(long)]
    save: Option<PathBuf>,
}

/// The command line of the worker.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {}

/// Is the worker.
pub(crate) fn run_worker(_: &WorkerArgs) -> Result<Verdict, Error> {
    ::native::worker::run(&std::env::temp_dir()).map_err(|why| Error::new(&why))?;
    Ok(Verdict::Good)
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let mut sides = Sides::start(args.plant)?;
    let report = match &args.replay {
        Some(path) => replay(&mut sides, path)?,
        None => search(&mut sides, args)?,
    };
    if let (Some(directory), Some(found)) = (&args.save, &report.found) {
        let path = directory.join(format!("seed-{}-{}.txt", args.seed, found.program_number));
        std::fs::write(&path, &found.text).map_err(|error| Error::of_file(&path, &error))?;
    }
    report.print(args.json)?;
    Ok(if report.found.is_none() { Verdict::Good } else { Verdict::Broken })
}

/// One program of a file.
fn replay(sides: &mut Sides, path: &Path) -> Result<Report, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::of_file(path, &error))?;
    let program =
        parse::program(&text).map_err(|wrong| Error::new(&format!("{}:{wrong}", path.display())))?;
    let started = Instant::now();
    let mut report = Report::new(&sides.host);
    let ran = ours::run(&program, &sides.host)?;
    let done = sides.finish(&program, ran)?;
    report.count(&done);
    if done.difference.is_some() {
        report.note(sides, &done.program, 0)?;
    }
    report.took = started.elapsed();
    Ok(report)
}

/// Random programs until there were enough, or one differs.
fn search(sides: &mut Sides, args: &Args) -> Result<Report, Error> {
    let started = Instant::now();
    let until = args.seconds.map(|seconds| started + Duration::from_secs(seconds));
    let mut report = Report::new(&sides.host);
    let bar = progress(args.ops);
    let host = sides.host.clone();
    std::thread::scope(|scope| {
        // Freehold runs the next programs while Linux runs this one.
        let (send, receive) = sync_channel(4);
        let mut generator = Generator::new(args.seed, &host);
        let ops = args.program_ops as usize;
        scope.spawn(move || {
            loop {
                let program = generator.program(ops);
                let ran = ours::run(&program, &host);
                if send.send((program, ran)).is_err() {
                    return;
                }
            }
        });
        for number in 0.. {
            let out_of_time = until.is_some_and(|until| Instant::now() > until);
            if report.ops >= args.ops || out_of_time {
                break;
            }
            let Ok((program, ran)) = receive.recv() else {
                return Err(Error::new(&"Freehold's side ended early"));
            };
            let ran = ran?;
            let done = sides.finish(&program, ran)?;
            report.count(&done);
            bar.set_position(report.ops);
            if done.difference.is_some() {
                bar.finish_and_clear();
                report.note(sides, &done.program, number)?;
                break;
            }
        }
        drop(receive);
        Ok(())
    })?;
    bar.finish_and_clear();
    report.took = started.elapsed();
    Ok(report)
}

/// A bar on a terminal, nothing elsewhere.
fn progress(ops: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(ops);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} operations") {
        bar.set_style(style);
    }
    bar
}
