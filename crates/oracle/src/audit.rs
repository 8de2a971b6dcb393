//! The audit.

use crate::checks::{blocks, files, locks, merged, slabs, spaces as address_spaces, swap, tlbs};
use crate::context::Run;
use crate::ledger::Ledger;
use crate::named::Named;
use crate::outside::Outside;
use crate::report::Report;
use crate::violation::Violation;
use machine::{Core, Machine};
use space::Spaces;

/// Looks at the whole state of a machine.
pub struct Audit<'a, 'm, M: Machine> {
    machine: &'m M,
    core: Core<'m>,
    spaces: &'a Spaces<'m, M>,
}

impl<'a, 'm, M: Machine> Audit<'a, 'm, M> {
    /// Of this machine, and of everything below its address spaces.
    pub fn new(machine: &'m M, core: Core<'m>, spaces: &'a Spaces<'m, M>) -> Self {
        Audit { machine, core, spaces }
    }

    /// Checks every rule; tells `sink` of each violation. The machine is quiet: no operation is in flight on
    /// any CPU, and the caller holds nothing of the manager but what `outside` tells of.
    pub fn run(
        &self,
        ledger: &mut dyn Ledger,
        outside: Outside<'_>,
        sink: &mut dyn FnMut(Violation),
    ) -> Report {
        ledger.clear();
        let (machine, core, spaces) = (self.machine, self.core, self.spaces);
        let (report, named) = (Report::EMPTY, Named::default());
        let mut run = Run { machine, core, spaces, outside, ledger, sink, report, named };
        slabs::claim_frames(&mut run);
        swap::claim_frames(&mut run);
        let file_sums = files::check(&mut run);
        let space_sums = address_spaces::check(&mut run, file_sums.listed);
        swap::check(&mut run);
        let merge_sums = merged::check(&mut run, &space_sums);
        slabs::fr6(&mut run, &file_sums, &space_sums, &merge_sums);
        blocks::check(&mut run);
        tlbs::check(&mut run);
        locks::check(&mut run);
        run.report
    }
}
