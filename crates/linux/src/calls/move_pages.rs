//! `move_pages`: which node pages are on, and moving them elsewhere.

use crate::args::user_end;
use crate::errno::Errno;
use crate::process::Process;
use crate::system::Linux;
use frame::{Id, Request};
use machine::{Cx, Machine, NodeId, VirtAddr, level};
use object::Refused;
use space::{Mapped, Space, Whereabouts};

/// Pages of the process alone are moved (`MPOL_MF_MOVE`).
const MOVE: u64 = 2;
/// Pages that others map, too (`MPOL_MF_MOVE_ALL`).
const MOVE_ALL: u64 = 4;

/// What `move_pages` is asked. The kernel around copies the arrays in, and the answers out.
#[derive(Debug)]
pub struct MovePages<'a> {
    /// Addresses of pages.
    pub pages: &'a [u64],
    /// Where each is to go; `None` only asks where they are.
    pub nodes: Option<&'a [i32]>,
    /// The node each is on afterwards, or an errno, negated. As long as `pages`.
    pub status: &'a mut [i32],
    /// `MPOL_MF_MOVE` (2), `MPOL_MF_MOVE_ALL` (4).
    pub flags: u64,
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `move_pages(pid, count, pages, nodes, status, flags)`. Answers how many pages were to move and did
    /// not.
    ///
    /// Errors: `EINVAL` (flags), `ENODEV` (no such node, or none with memory), `ESRCH`.
    // LINUX: mm/migrate.c kernel_move_pages(). A page that stays for lack of a frame, or because somebody
    // uses it, says so in its status (ENOMEM, EBUSY) as the manual has it; Linux 6.12 leaves the status of
    // some of them as it was. MPOL_MF_MOVE_ALL needs CAP_SYS_NICE, which the kernel around judges.
    pub fn move_pages(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        args: MovePages<'_>,
    ) -> Result<u64, Errno> {
        if args.flags & !(MOVE | MOVE_ALL) != 0 || args.status.len() != args.pages.len() {
            return Err(Errno::EINVAL);
        }
        let space = self.space_of(process)?;
        let Some(nodes) = args.nodes else {
            for (&addr, status) in args.pages.iter().zip(args.status) {
                *status = self.where_is(cx.at(), space, addr).map_or_else(negated, |at| i32::from(at.node.0));
            }
            return Ok(0);
        };
        let mut left = 0;
        for ((&addr, &node), status) in args.pages.iter().zip(nodes).zip(args.status) {
            let node = self.node(node)?;
            *status = match self.move_one(cx.at(), space, (addr, node), args.flags) {
                Ok(node) => i32::from(node.0),
                Err(error) => {
                    left += u64::from(matches!(error, Errno::EBUSY | Errno::ENOMEM));
                    negated(error)
                }
            };
        }
        Ok(left)
    }

    /// A node that has memory.
    pub(crate) fn node(&self, number: i32) -> Result<NodeId, Errno> {
        let node = u8::try_from(number).map_err(|_| Errno::ENODEV)?;
        let mut zones = self.spaces().frames().zones();
        let has_memory = zones.any(|zone| zone.node.0 == node && zone.present > 0);
        if has_memory { Ok(NodeId(node)) } else { Err(Errno::ENODEV) }
    }

    // LINUX: do_pages_stat_array().
    fn where_is(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        addr: u64,
    ) -> Result<Whereabouts, Errno> {
        self.in_a_vma(cx, space, addr)?;
        self.spaces().whereabouts(cx, space, VirtAddr(addr).page()).map_err(|instead| match instead {
            Mapped::Zero => Errno::EFAULT,
            _ => Errno::ENOENT,
        })
    }

    // LINUX: add_folio_for_migration().
    fn move_one(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        (addr, node): (u64, NodeId),
        flags: u64,
    ) -> Result<NodeId, Errno> {
        let found = self.where_is(cx, space, addr)?;
        if found.node == node {
            return Ok(node);
        }
        if flags & MOVE_ALL == 0 && found.shared {
            return Err(Errno::EACCES);
        }
        match self.spaces().move_page(cx, space, VirtAddr(addr).page(), &Request::user().only(node)) {
            Ok(_) => Ok(node),
            Err(Refused::Gone) => Err(Errno::ENOENT),
            Err(Refused::Shortage(_)) => Err(Errno::ENOMEM),
            Err(Refused::Busy | Refused::Pinned | Refused::Unmovable) => Err(Errno::EBUSY),
        }
    }

    fn in_a_vma(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        addr: u64,
    ) -> Result<(), Errno> {
        let page = VirtAddr(addr).page();
        let found = self.spaces().vma_at(cx, space, page).filter(|vma| vma.range.contains(page));
        if addr < user_end::<M>() && found.is_some() { Ok(()) } else { Err(Errno::EFAULT) }
    }
}

fn negated(error: Errno) -> i32 {
    -error.number()
}
