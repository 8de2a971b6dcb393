//! Steps about pages of 2 MiB.

use freehold::linux::Errno;
use freehold::machine::{HUGE_ORDER, Vpn, VpnRange};
use freehold::object::Split;

use super::world::{Actor, Live, World};

impl World<'_> {
    /// Every folio of 2 MiB of which a page is mapped there becomes small ones; `EAGAIN` for the last that
    /// stays. What programs see does not change.
    pub(super) fn split_pages(&self, who: Actor<'_>, live: Live, range: VpnRange) -> Result<(), Errno> {
        let linux = self.manager.linux();
        let mut cx = self.cx(who.ctx);
        let space = linux.process(live.id).space().ok_or(Errno::ESRCH)?;
        let mut outcome = Ok(());
        for page in (range.start.0..range.end.0).step_by(HUGE_ORDER.frames() as usize).map(Vpn) {
            if linux.spaces().split_folio_at(cx.at(), space, page) == Some(Split::Refused) {
                outcome = Err(Errno::EAGAIN);
            }
        }
        outcome
    }
}
