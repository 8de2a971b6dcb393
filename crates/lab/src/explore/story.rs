//! What happened under a schedule, for people: a line each, a column for each CPU.

use std::fmt::Write;

use super::run::{Entry, Log, What};

/// Where the first CPU's column starts.
const MARGIN: usize = 9;
/// The columns' width, by how many there are; more CPUs have the last one.
const WIDTHS: [usize; 4] = [0, 0, 46, 32];
const NARROW: usize = 24;

/// The story of a run on so many CPUs.
pub fn tell(log: &Log, cpus: usize) -> String {
    let width = WIDTHS.get(cpus).copied().unwrap_or(NARROW);
    let mut text = format!("{:>MARGIN$}", "step  ");
    for cpu in 0..cpus {
        let head = format!("cpu {cpu}");
        let _ = if cpu + 1 < cpus { write!(text, "{head:width$}") } else { write!(text, "{head}") };
    }
    text.push('\n');
    let mut entries = log.entries.iter().peekable();
    while let Some(entry) = entries.next() {
        let next = entries.peek().copied();
        let is_whole = next.is_some_and(|next| ends(entry, next));
        let line = match (&entry.what, next.map(|next| &next.what)) {
            (What::Begins(_, step), Some(What::Ends(_, came_to))) if is_whole => {
                entries.next();
                format!("{step}{}", arrow(came_to))
            }
            (What::Begins(_, step), _) => format!("{step} ..."),
            (What::Ends(place, came_to), _) => {
                format!("... {}{}", step_at(log, entry.cpu, *place), arrow(came_to))
            }
            (What::Event(what), _) => format!("  {what}"),
        };
        let process = entry.process.as_deref().filter(|_| names_processes(log));
        let process = process.map_or(String::new(), |name| format!("{name}: "));
        let step = if entry.step == 0 { String::new() } else { entry.step.to_string() };
        let room = entry.cpu as usize * width;
        let _ = writeln!(text, "{step:>7}  {:room$}{process}{line}", "");
    }
    text
}

/// Whether an entry is the end of what another one begins.
fn ends(first: &Entry, second: &Entry) -> bool {
    match (&first.what, &second.what) {
        (What::Begins(begun, _), What::Ends(ended, _)) => first.cpu == second.cpu && begun == ended,
        _ => false,
    }
}

/// Names of processes are worth telling if there are several.
fn names_processes(log: &Log) -> bool {
    let mut names = log.entries.iter().filter_map(|entry| entry.process.as_deref());
    names.next().is_some_and(|first| names.any(|other| other != first))
}

fn arrow(came_to: &str) -> String {
    if came_to.is_empty() { String::new() } else { format!("  -> {came_to}") }
}

/// The words of a step that ends.
fn step_at(log: &Log, cpu: u32, place: super::script::Place) -> &str {
    let begun = log.entries.iter().find_map(|entry| match &entry.what {
        What::Begins(at, text) if entry.cpu == cpu && *at == place => Some(text.as_str()),
        _ => None,
    });
    begun.unwrap_or("the step")
}
