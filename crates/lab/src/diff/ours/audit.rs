//! The oracle's look at a program that is over.

use freehold::machine::{CpuId, TaskId};
use oracle::{DenseLedger, Tally};

use super::{SWAP, World};
use crate::watch;

impl World<'_> {
    /// Checks the whole state; nothing is under way, and the files are open.
    pub(super) fn audit(&self, when: &str) {
        self.audit_with(when, true);
    }

    fn audit_with(&self, when: &str, are_open: bool) {
        let frames = self.manager.frames().memmap().end().0 as usize;
        let mut tallies = vec![Tally::default(); frames];
        let opens = |file| if are_open { self.files.opens(file) } else { 0 };
        watch::audit(
            &self.manager,
            &watch::Others::files(&opens),
            &mut DenseLedger(&mut tallies),
            &mut |violation| {
                self.complain(&format!("{when}: {}: {}", violation.rule.id(), violation.text));
            },
        );
    }

    /// Everybody has exited: closes the files, and nothing may be left.
    pub(super) fn check_end(&self) {
        for cpu in 0..2 {
            self.manager.linux().idle(&mut self.manager.cx(CpuId(cpu), TaskId(0)));
        }
        self.pipe.close(&self.manager);
        self.manager.linux().ksm_forget(&mut self.manager.cx(CpuId(0), TaskId(0)));
        if self.traits.swaps {
            let off = self.manager.linux().swapoff(&mut self.manager.cx(CpuId(0), TaskId(0)), SWAP);
            if let Err(errno) = off {
                self.complain(&format!("the swap area stays: {errno}"));
            }
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
