//! The oracle's look at a program that is over.

use freehold::frame::{Id, SlabView};
use freehold::machine::{Asid, CpuId, KernelFrame, TaskId};
use freehold::object::File;
use oracle::{Audit, DenseLedger, Holders, Link, Outside, Tally, Tlbs, Translation};
use sim::SimMachine;

use super::World;

/// The machine's TLBs.
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

/// Processes, and the files that are open until the end.
struct Held<'a, 'w> {
    world: &'a World<'w>,
    are_open: bool,
}

impl Holders for Held<'_, '_> {
    fn for_each_slab(&self, visit: &mut dyn FnMut(&'static str, &dyn SlabView, u64)) {
        let linux = self.world.manager.linux();
        for (name, slab) in linux.slab_views() {
            visit(name, slab, linux.all_processes().count() as u64);
        }
    }

    fn opens(&self, file: Id<File>) -> Option<u64> {
        Some(if self.are_open { self.world.files.opens(file) } else { 0 })
    }
}

impl World<'_> {
    /// Checks the whole state; nothing is under way, and the files are open.
    pub(super) fn audit(&self, when: &str) {
        self.audit_with(when, true);
    }

    fn audit_with(&self, when: &str, are_open: bool) {
        let audit = Audit::new(self.sim, self.manager.core(), self.manager.spaces());
        let (seen, held) = (Seen(self.sim), Held { world: self, are_open });
        let outside = Outside { tlbs: &seen, holders: &held };
        let frames = self.manager.frames().memmap().end().0 as usize;
        let mut tallies = vec![Tally::default(); frames];
        audit.run(&mut DenseLedger(&mut tallies), outside, &mut |violation| {
            self.complain(&format!("{when}: {}: {}", violation.rule.id(), violation.text));
        });
    }

    /// Everybody has exited: closes the files, and nothing may be left.
    pub(super) fn check_end(&self) {
        for cpu in 0..2 {
            self.manager.linux().idle(&mut self.manager.cx(CpuId(cpu), TaskId(0)));
        }
        if let Err(why) = self.files.close(&self.manager) {
            self.complain(&why);
        }
        let objects = self.manager.linux().objects();
        objects.drop_clean(self.manager.cx(CpuId(0), TaskId(0)).at(), u64::MAX);
        self.audit_with("all closed", false);
        let spaces = self.manager.spaces();
        let files: u64 = objects.slab_views().iter().map(|(_, slab)| slab.in_use()).sum();
        let left = (spaces.in_use(), spaces.committed(), files);
        if left != ([0, 0, 0], 0, 0) {
            self.complain(&format!("spaces, promised pages and files are left behind: {left:?}"));
        }
        for violation in self.sim.violations() {
            self.complain(&violation.to_string());
        }
    }
}
