//! The oracle's view of the machine, and what the replay itself holds.

use std::collections::BTreeSet;

use freehold::frame::{Id, SlabView};
use freehold::machine::entry::Kind;
use freehold::machine::x86_64::X86_64;
use freehold::machine::{Asid, CpuId, EntryFormat, KernelFrame};
use freehold::object::File;
use oracle::{Audit, Holders, Link, Outside, Tlbs, Translation};
use sim::SimMachine;

use super::engine::{Engine, Live};
use super::tally::note;
use super::when::When;

/// The machine's TLBs, as the oracle reads them.
struct Seen<'a>(&'a SimMachine);

impl Tlbs for Seen<'_> {
    fn loaded(&self, cpu: CpuId) -> Option<(KernelFrame, Asid)> {
        self.0.loaded_space(cpu)
    }

    fn for_each_translation(&self, see: &mut dyn FnMut(&Translation)) {
        self.0.for_each_translation(|entry| {
            see(&Translation {
                cpu: entry.cpu,
                asid: entry.asid,
                page: entry.pages.start,
                frame: entry.frame,
                perms: entry.perms,
                dirty: entry.dirty,
            });
        });
    }

    fn for_each_link(&self, see: &mut dyn FnMut(&Link)) {
        self.0.for_each_upper(|upper| {
            see(&Link { cpu: upper.cpu, asid: upper.asid, page: upper.pages.start, table: upper.table });
        });
    }
}

/// The floor above the oracle's view has frames for its processes; the replay keeps every
/// file of the recording open.
struct Held<'a, 'e>(&'a Engine<'e>);

impl Holders for Held<'_, '_> {
    fn for_each_slab(&self, visit: &mut dyn FnMut(&'static str, &dyn SlabView, u64)) {
        for (name, slab) in self.0.manager.linux().slab_views() {
            visit(name, slab, slab.live());
        }
    }

    fn opens(&self, file: Id<File>) -> Option<u64> {
        Some(self.0.files.opens(file))
    }
}

impl Engine<'_> {
    /// Checks the whole state. Nothing is under way.
    pub(crate) fn audit(&self) {
        let audit = Audit::new(self.sim, self.manager.core(), self.manager.spaces());
        let (seen, held) = (Seen(self.sim), Held(self));
        let outside = Outside { tlbs: &seen, holders: &held };
        {
            let tally = &mut *self.tally.borrow_mut();
            let (texts, count) = (&mut tally.violations, &mut tally.violation_count);
            let report = audit.run(&mut *self.ledger.borrow_mut(), outside, &mut |violation| {
                note(texts, count, || format!("{}: {}", violation.rule.id(), violation.text));
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
        if self.when == When::Off {
            return;
        }
        let spaces = self.manager.spaces();
        let Some(space) = self.manager.linux().process(live.id).space().map(|id| spaces.space(id)) else {
            return;
        };
        // A killed space was reaped, and those who share it may not have noticed yet.
        let Some(table) = space.table().filter(|_| !space.was_killed()) else { return };
        let walker = spaces.walker(table);
        let tally = &mut *self.tally.borrow_mut();
        self.shadow.borrow().for_each_stored(live.shadow, &mut |addr, value| {
            tally.swept += 1;
            let seen = walker.quiet_peek(self.sim, addr.page());
            let found = match X86_64::kind(seen.entry, seen.level) {
                Kind::Leaf(frame) => Some(self.sim.peek_word(frame, addr.offset())),
                _ => None,
            };
            if found != Some(value) {
                let (texts, count) = (&mut tally.mismatches, &mut tally.mismatch_count);
                note(texts, count, || {
                    format!("{addr:?} of memory {} holds {found:x?}, not {value:#x}", live.shadow)
                });
            }
        });
    }
}
