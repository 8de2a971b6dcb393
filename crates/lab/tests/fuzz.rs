//! Whatever a recording says, its replay is clean, or refused with a reason: no panic,
//! no hang, no rule broken.
//!
//! Recordings are made up, or real ones damaged, from a seed that a failure names. A recording that
//! contradicts itself ends its replay; it is then made to say what Freehold answered, so that the events
//! after it count too. `FREEHOLD_FUZZ_SECONDS` makes the test run for that long instead of its usual time,
//! from a seed of `FREEHOLD_FUZZ_SEED` or 0.

#[path = "fuzz/generate.rs"]
mod generate;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/random.rs"]
mod random;
#[path = "fuzz/watch.rs"]
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use freehold::space::HugePages;
use freehold_lab::replay::{Features, Options, replay};
use random::Random;
use record::{EventKind, Recording};

/// How long it runs by default.
const SECONDS: u64 = 15;
/// How often a recording is made to agree with Freehold.
const HEALINGS: usize = 200;

/// What a replay came to.
enum End {
    /// It ran to its end.
    Whole,
    /// It was refused, for this reason.
    Refused(String),
    /// It must not end like this.
    Wrong(String),
}

fn run(recording: &Recording, options: &Options) -> End {
    let replayed = catch_unwind(AssertUnwindSafe(|| replay("fuzz", recording, options)));
    match replayed {
        Err(_) => End::Wrong("a panic outside of tasks".into()),
        Ok(Ok(report)) if report.is_good() => End::Whole,
        Ok(Ok(report)) => End::Wrong(report.text()),
        Ok(Err(error)) if error.status() != 2 => End::Wrong(error.to_string()),
        Ok(Err(error)) => End::Refused(error.to_string()),
    }
}

fn options(random: &mut Random) -> Options {
    let memory = random.pick(&[4 << 20, 8 << 20, 64 << 20, 1 << 30, 1 << 30]);
    let audit = random.pick(&["end", "step", "every=7", "every=100"]);
    let swap =
        random.pick(&[None, None, None, Some("file:64K"), Some("file:16M"), Some("lz4:1M"), Some("lz4:64M")]);
    let ksm = random.pick(&["off", "off", "on", "all", "all,pages=1000,zero-pages"]);
    let features = Features {
        swap: swap.map(|text| text.parse().expect("an area")),
        ksm: ksm.parse().expect("a way of merging"),
    };
    Options {
        cold: random.below(2) == 0,
        cpus: random.pick(&[1, 2, 4, 8]),
        nodes: 1,
        memory,
        audit: audit.parse().expect("a word for audits"),
        seed: random.below(3),
        thp: random.pick(&[HugePages::Never, HugePages::Never, HugePages::Madvise, HugePages::Always]),
        features,
        ..Options::default()
    }
}

/// Makes the recording say what Freehold answered; whether that could be done.
fn heal(recording: &mut Recording, why: &str) -> bool {
    let number = why.strip_prefix("event ").and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
    let Some(number) = number.filter(|&number| number > 0) else { return false };
    let here = why.rsplit_once(" and ").and_then(|(_, rest)| rest.split_once(" here")).map(|(here, _)| here);
    let here = here.and_then(|here| match here.strip_prefix("error ") {
        Some(errno) => errno.parse().ok().map(|errno: i64| -errno),
        None => i64::from_str_radix(here.strip_prefix("0x")?, 16).ok(),
    });
    match (&mut recording.events[number].kind, here) {
        (EventKind::Call { ret, .. }, Some(here)) if *ret != here => *ret = here,
        _ => drop(recording.events.remove(number)),
    }
    generate::repair(recording);
    true
}

/// Drops events as long as it goes wrong still.
fn shrunk(recording: &Recording, options: &Options) -> Recording {
    let mut least = recording.clone();
    let started = Instant::now();
    let mut chunk = least.events.len() / 2;
    while chunk > 0 && started.elapsed() < Duration::from_secs(60) {
        let mut at = 1;
        while at < least.events.len() && started.elapsed() < Duration::from_secs(60) {
            let mut less = least.clone();
            less.events.drain(at..(at + chunk).min(least.events.len()));
            generate::repair(&mut less);
            match run(&less, options) {
                End::Wrong(_) => least = less,
                _ => at += chunk,
            }
        }
        chunk /= 2;
    }
    least
}

fn fail(seed: u64, recording: &Recording, options: &Options, why: &str) -> ! {
    let least = shrunk(recording, options);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{seed}.fhr"));
    least.write(&path).expect("a valid recording and a writable directory");
    let again = match run(&least, options) {
        End::Wrong(why) => why,
        _ => "(not every time)".into(),
    };
    for (number, event) in least.events.iter().enumerate() {
        eprintln!("{number}: {event:x?}");
    }
    panic!("seed {seed}, {}, {options:?}: {why}\nshortened: {again}", path.display());
}

fn one(seed: u64, real: &[Recording]) -> usize {
    watch::begin(seed);
    let mut random = Random::new(seed);
    let options = options(&mut random);
    let mut recording = match random.below(4) {
        0 => {
            let whole = &real[random.below(real.len() as u64) as usize];
            mutate::recording(&mut random, whole)
        }
        _ => generate::recording(&mut random),
    };
    for _ in 0..HEALINGS {
        match run(&recording, &options) {
            End::Whole => return recording.events.len(),
            End::Refused(why) => {
                assert!(!why.contains('\n') && !why.is_empty(), "seed {seed}: {why:?}");
                if !heal(&mut recording, &why) {
                    return 0;
                }
            }
            End::Wrong(why) => fail(seed, &recording, &options, &why),
        }
    }
    0
}

fn real_recordings() -> Vec<Recording> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recordings");
    let names = ["redis-bgsave", "python-fork", "cc-compile", "threads-map", "postgres-pgbench", "node-gc"];
    let read =
        |name: &str| Recording::read(&directory.join(format!("{name}.fhr"))).expect("a good recording");
    names.into_iter().map(read).collect()
}

#[test]
fn absurd_recordings_are_replayed_or_refused() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let limit = Duration::from_secs(number("FREEHOLD_FUZZ_SECONDS").unwrap_or(SECONDS));
    let first = number("FREEHOLD_FUZZ_SEED").unwrap_or(0);
    let started = Instant::now();
    let real = real_recordings();
    watch::start();
    let (mut cases, mut events) = (0, 0);
    for seed in first.. {
        if started.elapsed() >= limit {
            break;
        }
        events += one(seed, &real);
        cases += 1;
    }
    println!("{cases} recordings, {events} events replayed to their end");
    assert!(cases > 0);
}
