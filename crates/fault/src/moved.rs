//! Faults on pages that are being moved (Linux: `migration_entry_wait`).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Outcome, Wish};
use machine::{Cx, Machine, Pfn, level};

impl<'m, M: Machine> Faults<'m, M> {
    /// Waits until the page has arrived or has been put back, holding nothing; then the fault looks again.
    pub(crate) fn wait_moved(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        frame: Pfn,
    ) -> Result<Outcome, FaultError> {
        let objects = self.spaces().objects();
        let page = match self.lock_unchanged(cx, wish)? {
            Some(leaf) => objects.will_wait_moved(&leaf, frame),
            None => return Ok(Outcome::Again),
        };
        objects.wait_moved(cx.at(), page);
        Ok(Outcome::Again)
    }
}
