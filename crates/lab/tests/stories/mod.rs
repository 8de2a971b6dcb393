//! Stories of failing runs, as documents tell them.

use std::fmt::Write;
use std::path::Path;

use freehold_lab::explore::run::{Entry, Log, What};
use freehold_lab::explore::script::Scenario;
use freehold_lab::explore::{Failing, tell};

/// Columns of a line.
const COLUMNS: usize = 108;
/// What a story's lines begin with: the number of a step.
const MARGIN: usize = 9;

/// How a scenario failed: its file, the schedule, what is wrong, and the steps, with those events that
/// `event` tells.
pub(crate) fn story(
    (file, scenario): (&str, &Scenario),
    failing: &Failing,
    event: fn(&str) -> Option<String>,
) -> String {
    let times = match failing.preemptions {
        0 => "without a preemption".into(),
        1 => "with one preemption".into(),
        more => format!("with {more} preemptions"),
    };
    let mut text = format!("{}.\n`{file}`, {times}:\n\n```text\n", scenario.title);
    let failure = failing.failure.to_string();
    for line in failure.lines().flat_map(wrapped) {
        let _ = writeln!(text, "{line}");
    }
    if let Some(spot) = failing.failure.spot {
        let _ = writeln!(text, "at cpu {}, line {}", spot.cpu, spot.at.line);
    }
    text.push('\n');
    for line in shortened(&tell(&told(&failing.log, event), scenario.cpus.len())) {
        let _ = writeln!(text, "{line}");
    }
    text + "```\n"
}

/// What the scenario's own steps did, and some of the machine's events.
fn told(log: &Log, event: fn(&str) -> Option<String>) -> Log {
    let keep = |entry: &Entry| match &entry.what {
        What::Event(text) => Some(Entry { what: What::Event(event(text)?), ..entry.clone() }),
        _ => Some(entry.clone()),
    };
    Log { entries: log.entries.iter().filter_map(keep).collect() }
}

/// A story without the numbers of steps, and without what a loop repeats.
fn shortened(story: &str) -> Vec<String> {
    let lines: Vec<&str> =
        story.lines().map(|line| line.get(MARGIN..).unwrap_or_default().trim_end()).collect();
    let step = |line: &str| line.split("->").next().map(str::to_owned);
    let alike = lines.chunk_by(|one, other| step(one) == step(other));
    alike
        .flat_map(|lines| match lines {
            [first, .., last] if lines.len() > 3 => {
                vec![first.to_string(), format!("({} more)", lines.len() - 2), last.to_string()]
            }
            few => few.iter().map(ToString::to_string).collect(),
        })
        .collect()
}

/// A line in lines that are short enough.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.last_mut().expect("never empty");
        if last.len() + 1 + word.len() > COLUMNS {
            lines.push(format!("  {word}"));
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// The file must have this text, or gets it.
pub(crate) fn compare(path: &Path, text: &str) {
    if std::env::var_os("FREEHOLD_BLESS").is_some() {
        return std::fs::write(path, text).expect("a writable directory");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).find(|(one, other)| one != other);
    assert!(found == text, "{} is not up to date (FREEHOLD_BLESS=1 writes it): {differs:?}", path.display());
}
