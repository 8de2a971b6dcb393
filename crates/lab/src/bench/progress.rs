//! Which bench runs: on a terminal only.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, nothing elsewhere.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Before any of so many benches.
    pub(super) fn new(benches: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(benches as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {msg} {elapsed}") {
            bar.set_style(style);
        }
        Progress(bar)
    }

    /// A bench begins.
    pub(super) fn begins(&mut self, name: &'static str) {
        if !self.0.message().is_empty() {
            self.0.inc(1);
        }
        self.0.set_message(name);
    }

    /// All are over.
    pub(super) fn ends(self) {
        self.0.finish_and_clear();
    }
}
