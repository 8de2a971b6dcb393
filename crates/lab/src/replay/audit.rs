//! The oracle looks at a replay, and the shadow's words are compared with memory.

use std::collections::BTreeSet;

use super::engine::{Engine, Live};
use super::tally::note;
use super::when::When;
use crate::watch;

impl Engine<'_> {
    /// Checks the whole state. Nothing is under way.
    pub(crate) fn audit(&self) {
        let opens = |file| self.files.opens(file);
        {
            let tally = &mut *self.tally.borrow_mut();
            let (texts, count) = (&mut tally.violations, &mut tally.violation_count);
            let ledger = &mut *self.ledger.borrow_mut();
            let unclaimed = &self.judges.unclaimed;
            let report =
                watch::audit(self.manager, &watch::Others::files(&opens), ledger, &mut |violation| {
                    if !unclaimed.contains(&violation.rule) {
                        note(texts, count, || format!("{}: {}", violation.rule.id(), violation.text));
                    }
                });
            tally.audits += 1;
            tally.checked.add(&report);
        }
        self.sweep_all();
    }

    /// Compares every word that programs stored to private memory with the frame it must be in: a page that
    /// was lost is noticed though nobody loads it again.
    fn sweep_all(&self) {
        let mut swept = BTreeSet::new();
        for live in self.processes.borrow().iter().flatten() {
            if swept.insert(live.shadow) {
                self.sweep(*live);
            }
        }
    }

    /// The same for one process's memory. Nothing is under way in it.
    pub(crate) fn sweep(&self, live: Live) {
        if self.judges.when == When::Off {
            return;
        }
        let tally = &mut *self.tally.borrow_mut();
        let shadow = &*self.shadow.borrow();
        watch::for_each_stored(self.manager, live.id, (shadow, live.shadow), &mut |addr, value, found| {
            tally.swept += 1;
            if found != Some(value) {
                let (texts, count) = (&mut tally.mismatches, &mut tally.mismatch_count);
                note(texts, count, || {
                    format!("{addr:?} of memory {} holds {found:x?}, not {value:#x}", live.shadow)
                });
            }
        });
    }
}
