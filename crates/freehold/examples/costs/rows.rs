//! The rows of the tables.

use std::io::Write;

use sim::{CAUSES, CAUSES_LEN, Cause};

/// Why there is no table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trouble(pub(crate) String);

impl<E: std::fmt::Debug> From<E> for Trouble
where
    E: NotTrouble,
{
    fn from(error: E) -> Self {
        Trouble(format!("{error:?}"))
    }
}

/// Errors of others.
pub(crate) trait NotTrouble {}
impl NotTrouble for freehold::linux::Errno {}
impl NotTrouble for freehold::machine::Shortage {}
impl NotTrouble for freehold::object::FileError {}
impl NotTrouble for sim::Signal {}
impl NotTrouble for sim::SimError {}
impl NotTrouble for std::io::Error {}

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sizes {
    /// Pages of most rows, whose costs are divided by them.
    pub(crate) pages: u64,
    /// MiB that are forked.
    pub(crate) fork_mib: u64,
}

/// Simulated time, and how many shared words were touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cost {
    by_cause: [u64; CAUSES_LEN],
    /// Words of tables, descriptors and locks that were read or written.
    pub(crate) words: u64,
}

impl Cost {
    pub(crate) fn of(report: &sim::RunReport) -> Cost {
        let mut by_cause = [0; CAUSES_LEN];
        for (place, cause) in by_cause.iter_mut().zip(CAUSES) {
            *place = report.time(*cause);
        }
        Cost { by_cause, words: report.events.word_accesses }
    }

    pub(crate) fn since(self, before: Cost) -> Cost {
        let mut by_cause = self.by_cause;
        by_cause.iter_mut().zip(before.by_cause).for_each(|(now, before)| *now -= before);
        Cost { by_cause, words: self.words - before.words }
    }

    fn causes(self) -> impl Iterator<Item = (Cause, u64)> {
        CAUSES.iter().copied().zip(self.by_cause)
    }

    /// Time of the processor, in ns: without what devices take.
    pub(crate) fn cpu(self) -> u64 {
        self.causes().filter(|(cause, _)| !is_device(*cause)).map(|(_, ns)| ns).sum()
    }

    /// What devices take, in ns.
    pub(crate) fn device(self) -> u64 {
        self.causes().filter(|(cause, _)| is_device(*cause)).map(|(_, ns)| ns).sum()
    }

    /// The largest causes.
    fn mostly(self, times: u64) -> String {
        let mut causes: Vec<(Cause, u64)> = self.causes().filter(|(cause, _)| !is_device(*cause)).collect();
        causes.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
        let shown = causes.iter().take(3).filter(|(_, ns)| ns * 20 > self.cpu());
        shown
            .map(|(cause, ns)| format!("{} {}", cause.name(), rounded(*ns, times)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn is_device(cause: Cause) -> bool {
    matches!(cause, Cause::FileRead | Cause::FileWrite | Cause::Idle)
}

/// A row: what was done how often, and what all of it cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) times: u64,
    pub(crate) cost: Cost,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// A number with at most one digit behind the point.
fn rounded(total: u64, times: u64) -> String {
    let tenths = (total * 10 + times / 2) / times.max(1);
    match tenths {
        0..1000 if !tenths.is_multiple_of(10) => format!("{}.{}", tenths / 10, tenths % 10),
        _ => grouped((tenths + 5) / 10),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Prints the tables as Markdown.
pub(crate) fn print(tables: &[Table]) -> Result<(), Trouble> {
    let mut out = std::io::stdout().lock();
    for table in tables {
        writeln!(out, "| {} | ns | words | device, ns | mostly |\n|---|---|---|---|---|", table.name)?;
        for Row { what, times, cost } in &table.rows {
            let device = if cost.device() > 0 { rounded(cost.device(), *times) } else { String::new() };
            let (ns, words) = (rounded(cost.cpu(), *times), rounded(cost.words, *times));
            writeln!(out, "| {what} | {ns} | {words} | {device} | {} |", cost.mostly(*times))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
