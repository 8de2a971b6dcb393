//! Steps that move pages to other frames.

use freehold::frame::Request;
use freehold::linux::{Errno, MovePages};
use freehold::machine::{PAGE_SIZE, Vpn, VpnRange};
use freehold::object::Refused;

use super::super::script::Moving;
use super::world::{Actor, Live, World};

/// `MPOL_MF_MOVE_ALL`: pages that others map, too.
const MOVE_ALL: u64 = 4;

impl World<'_> {
    /// Every page moves, or the errno of the first that stays. What programs see does not change.
    pub(super) fn move_pages(
        &self,
        who: Actor<'_>,
        live: Live,
        range: VpnRange,
        moving: Moving,
    ) -> Result<(), Errno> {
        if moving == Moving::WhenUsed {
            let (addr, len) = (range.start.addr().0, range.pages() * PAGE_SIZE);
            let hinted = self.manager.linux().hint_numa(&mut self.cx(who.ctx), live.id, addr, len);
            return hinted.map(drop);
        }
        (range.start.0..range.end.0).map(Vpn).try_for_each(|page| match moving {
            Moving::Anywhere => self.move_anywhere(who, live, page),
            Moving::ToNode(node) => self.move_to(who, live, page, node as i32),
            Moving::WhenUsed => Ok(()),
        })
    }

    fn move_anywhere(&self, who: Actor<'_>, live: Live, page: Vpn) -> Result<(), Errno> {
        let linux = self.manager.linux();
        let mut cx = self.cx(who.ctx);
        let space = linux.process(live.id).space().ok_or(Errno::ESRCH)?;
        let moved = linux.spaces().move_page(cx.at(), space, page, &Request::user());
        moved.map(drop).map_err(|refused| match refused {
            Refused::Gone => Errno::ENOENT,
            Refused::Unmovable => Errno::EINVAL,
            Refused::Pinned | Refused::Busy => Errno::EBUSY,
            Refused::Shortage(_) => Errno::ENOMEM,
        })
    }

    fn move_to(&self, who: Actor<'_>, live: Live, page: Vpn, node: i32) -> Result<(), Errno> {
        let mut status = [0];
        let (pages, nodes) = ([page.addr().0], [node]);
        let args = MovePages { pages: &pages, nodes: Some(&nodes), status: &mut status, flags: MOVE_ALL };
        self.manager.linux().move_pages(&mut self.cx(who.ctx), live.id, args)?;
        let refused = [Errno::ENOENT, Errno::EACCES, Errno::EFAULT, Errno::EBUSY, Errno::ENOMEM];
        match refused.into_iter().find(|error| error.number() == -status[0]) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
