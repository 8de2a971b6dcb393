//! What a replay counts beside the manager and the machine.

use super::peaks::Peaks;

/// Counts of the replay itself.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Accesses that got a signal.
    pub(crate) signals: u64,
    /// Calls that answered something else than on Linux; the replay went on.
    pub(crate) differences: Vec<String>,
    /// How many there were in all.
    pub(crate) difference_count: u64,
    /// Loads (or stores) that the shadow did not agree with, described.
    pub(crate) mismatches: Vec<String>,
    /// How many there were in all.
    pub(crate) mismatch_count: u64,
    /// Rules broken, described.
    pub(crate) violations: Vec<String>,
    /// How many there were in all.
    pub(crate) violation_count: u64,
    /// Stored words compared with the frames behind them.
    pub(crate) swept: u64,
    /// What the audits visited and checked.
    pub(crate) checked: oracle::Report,
    /// Audits made.
    pub(crate) audits: u64,
    /// Most resident pages of all processes together, seen at any event.
    pub(crate) peak_rss_pages: u64,
    /// The same for the largest process: what `ru_maxrss` tells.
    pub(crate) peak_rss_one_pages: u64,
    /// Most frames handed out at any event: to programs, files, tables and the manager itself.
    pub(crate) peak_frames: u64,
    /// Most page tables of all processes together.
    pub(crate) peak_tables: u64,
    /// Most of what comes and goes.
    pub(crate) peaks: Peaks,
    /// Processes killed for want of memory.
    pub(crate) killed: u64,
}

/// How many descriptions of one kind are kept.
const KEPT: usize = 10;

/// Counts one, and keeps the text of the first few.
pub(crate) fn note(texts: &mut Vec<String>, count: &mut u64, text: impl FnOnce() -> String) {
    *count += 1;
    if texts.len() < KEPT {
        texts.push(text());
    }
}
