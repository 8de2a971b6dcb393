//! `docs/planted.md`: how each planted bug shows.

use std::fmt::Write;
use std::path::Path;

use freehold_lab::explore::run::{Log, What};
use freehold_lab::explore::tell;

use crate::Caught;

const HEAD: &str = "\
# How planted bugs show

What `freehold explore` tells when a bug is planted ([judges.md](judges.md#planted-bugs)): the scenario that
catches it, what fails, and the shortest schedule that was found, a column for each CPU. A step with `...`
goes on where its CPU has the next `...`, or not at all. Left out is what changes with every change of the
manager: the numbers of `explore`'s first column, and what it tells of frames and translations between the
steps.

`FREEHOLD_BLESS=1 cargo test -p freehold-lab --test mutants` writes this file; without it the test compares.
";

/// Columns of a line.
const COLUMNS: usize = 108;
/// What a story's lines begin with: the number of a step.
const MARGIN: usize = 9;

/// The file's text.
pub(crate) fn of(caught: &[Caught]) -> String {
    caught.iter().fold(HEAD.to_owned(), |text, caught| text + &section(caught))
}

fn section(caught: &Caught) -> String {
    let Caught { row, scenario, failing } = caught;
    let times = match failing.preemptions {
        0 => "without a preemption".into(),
        1 => "with one preemption".into(),
        more => format!("with {more} preemptions"),
    };
    let mut text = format!("\n## `{}`\n\n", row.plant);
    let _ = writeln!(text, "{}.\n`{}`, {times}:\n\n```text", scenario.title, row.file());
    let failure = failing.failure.to_string();
    for line in failure.lines().flat_map(wrapped) {
        let _ = writeln!(text, "{line}");
    }
    if let Some(spot) = failing.failure.spot {
        let _ = writeln!(text, "at cpu {}, line {}", spot.cpu, spot.at.line);
    }
    text.push('\n');
    for line in shortened(&tell(&steps_of(&failing.log), scenario.cpus.len())) {
        let _ = writeln!(text, "{line}");
    }
    text + "```\n"
}

/// What the scenario's own steps did.
fn steps_of(log: &Log) -> Log {
    let steps = log.entries.iter().filter(|entry| !matches!(entry.what, What::Event(_)));
    Log { entries: steps.cloned().collect() }
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
