//! Whatever a scenario file says, it is refused with a place, or runs: no panic, no hang.
//!
//! Files are those of the repository with lines, words and bytes exchanged, and bytes at random.
//! `FREEHOLD_FUZZ_SECONDS` makes it run for that long, from a seed of `FREEHOLD_FUZZ_SEED` or 0.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use freehold_lab::explore::run::{Kind, Runner};
use freehold_lab::explore::script;
use sim::explore::{Plan, Seed};

use super::files;
use super::random::Random;

/// How long it runs by default.
const SECONDS: u64 = 6;
/// How many points a run may pass.
const STEPS: u64 = 20_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_file_does_harm() {
    let texts: Vec<String> =
        files().iter().map(|path| std::fs::read_to_string(path).expect("a text")).collect();
    let words: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let (seed, started) = (setting("FREEHOLD_FUZZ_SEED", 0), Instant::now());
    let time = Duration::from_secs(setting("FREEHOLD_FUZZ_SECONDS", SECONDS));
    let (mut case, mut ran, mut refused) = (seed, 0, 0);
    while started.elapsed() < time {
        let mut random = Random::new(case);
        let text = mutated(&mut random, &texts, &words);
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&text)));
        match outcome {
            Ok(Ok(true)) => ran += 1,
            Ok(Ok(false)) => refused += 1,
            Ok(Err(what)) => panic!("seed {case}: {what}\n{text}"),
            Err(_) => panic!("seed {case}: a panic\n{text}"),
        }
        case += 1;
    }
    assert!(case < seed + 50 || ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
}

/// Whether the file was read and run.
fn check(text: &str) -> Result<bool, String> {
    let scenario = match script::parse(text) {
        Ok(scenario) => scenario,
        Err(error) if error.line == 0 || error.column == 0 || error.message.contains('\n') => {
            return Err(format!("an error without its place: {error}"));
        }
        Err(_) => return Ok(false),
    };
    let ran = Runner::new(&scenario).run(Plan::follow(Seed::default(), STEPS), None);
    match ran.failure {
        // A scenario that makes no sense any more may expect what is not, wait for ever or run for long: what
        // the manager did is right all the same.
        Some(failure)
            if !matches!(
                failure.kind,
                Kind::Misuse | Kind::Expectation | Kind::Deadlock | Kind::Livelock
            ) =>
        {
            Err(failure.to_string())
        }
        _ => Ok(true),
    }
}

fn mutated(random: &mut Random, texts: &[String], words: &[&str]) -> String {
    let text = &texts[random.below(texts.len() as u64) as usize];
    if random.once_in(20) {
        let bytes: Vec<u8> = (0..random.below(400)).map(|_| random.below(128) as u8).collect();
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    let mut lines: Vec<String> = text.lines().map(Into::into).collect();
    for _ in 0..1 + random.below(4) {
        let (at, other) =
            (random.below(lines.len() as u64) as usize, random.below(lines.len() as u64) as usize);
        match random.below(7) {
            0 => lines.swap(at, other),
            1 if lines.len() > 2 => drop(lines.remove(at)),
            2 => lines.insert(at, lines[other].clone()),
            3 => lines[at] = with_byte(random, &lines[at]),
            4 => {
                let kept = random.below(lines[at].len() as u64 + 1) as usize;
                lines[at] = lines[at].chars().take(kept).collect();
            }
            _ => lines[at] = with_word(random, &lines[at], words),
        }
    }
    lines.join("\n") + "\n"
}

fn with_byte(random: &mut Random, line: &str) -> String {
    let mut bytes = line.as_bytes().to_vec();
    let at = random.below(bytes.len() as u64 + 1) as usize;
    bytes.insert(at, random.pick(b"0123456789[]{}()=<>+-.,:# \tx"));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn with_word(random: &mut Random, line: &str, words: &[&str]) -> String {
    let indent = line.len() - line.trim_start().len();
    let mut own: Vec<&str> = line.split_whitespace().collect();
    if own.is_empty() {
        return line.into();
    }
    let at = random.below(own.len() as u64) as usize;
    own[at] = random.pick(words);
    format!("{}{}", " ".repeat(indent), own.join(" "))
}
