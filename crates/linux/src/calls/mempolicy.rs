//! `set_mempolicy`, `mbind`, `migrate_pages`.

use crate::args::{is_page_aligned, page_align, pages};
use crate::errno::{Call, Errno};
use crate::process::Process;
use crate::system::Linux;
use frame::{Id, NodeSet, Request};
use machine::{Cx, Machine, NodeId, Vpn, VpnRange, level};
use object::Refused;
use space::{MemPolicy, PolicyMode, Space};

/// Misplaced pages are an error, unless they are moved (`MPOL_MF_STRICT`).
const STRICT: u64 = 1;
/// Misplaced pages of the process alone are moved (`MPOL_MF_MOVE`).
const MOVE: u64 = 2;
/// Pages that others map, too (`MPOL_MF_MOVE_ALL`).
const MOVE_ALL: u64 = 4;
/// The mode of no policy (`MPOL_DEFAULT`).
const DEFAULT: u64 = 0;

/// LINUX: sanitize_mpol_flags(), mpol_new().
fn mode_of(mode: u64, nodes: u64) -> Result<PolicyMode, Errno> {
    Ok(match mode {
        DEFAULT => PolicyMode::Default,
        // A preferred node that is none is the nearest.
        1 if nodes == 0 => PolicyMode::Local,
        1 => PolicyMode::Preferred,
        2 => PolicyMode::Bind,
        3 => PolicyMode::Interleave,
        4 => PolicyMode::Local,
        _ => return Err(Errno::EINVAL),
    })
}

impl<'m, M: Machine> Linux<'m, M> {
    /// `set_mempolicy(mode, nodes)`. The kernel around copies the first 64 bits of the node mask in; flags of
    /// modes (`MPOL_F_*`) are not known. One policy for all threads of the process.
    ///
    /// Errors: `EINVAL`.
    pub fn set_mempolicy(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        mode: u64,
        nodes: u64,
    ) -> Result<(), Errno> {
        let policy = self.policy(mode, nodes)?;
        self.run(cx, process, Call::Mbind, |cx, space| self.spaces().set_space_policy(cx, space, policy))
    }

    /// `mbind(addr, len, mode, nodes, flags)`. It speaks of private pages; pages of files come from the node
    /// of the CPU.
    ///
    /// Errors: `EINVAL`, `EFAULT` (a hole), `ENOMEM`, `EIO` (pages that are misplaced and stay so).
    // LINUX: mm/mempolicy.c do_mbind().
    pub fn mbind(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        (addr, len): (u64, u64),
        (mode, nodes): (u64, u64),
        flags: u64,
    ) -> Result<(), Errno> {
        if flags & !(STRICT | MOVE | MOVE_ALL) != 0 || !is_page_aligned(addr) {
            return Err(Errno::EINVAL);
        }
        mode_of(mode, nodes)?;
        // LINUX: PAGE_ALIGN() wraps: the longest lengths are none.
        let len = page_align(len).unwrap_or(0);
        addr.checked_add(len).ok_or(Errno::EINVAL)?;
        if len == 0 {
            return Ok(());
        }
        let policy = self.policy(mode, nodes)?;
        let range = pages(addr, len);
        let spaces = self.spaces();
        // LINUX: to no policy at all, every page is where it should be.
        let flags = if mode == DEFAULT { flags & !STRICT } else { flags };
        if flags == STRICT {
            let space = self.space_of(process)?;
            self.check_placed(cx.at(), space, range, nodes)?;
        }
        self.run(cx, process, Call::Mbind, |cx, space| spaces.set_policy(cx, space, range, policy))?;
        if flags & (MOVE | MOVE_ALL) == 0 {
            return Ok(());
        }
        let space = self.space_of(process)?;
        let place = |turn, node| match policy.is_met(node, turn) {
            true => None,
            false => Some(policy.request(Request::user(), turn)),
        };
        let left = self.move_range(cx.at(), space, range, flags, place);
        if left > 0 && flags & STRICT != 0 { Err(Errno::EIO) } else { Ok(()) }
    }

    /// `EIO` for a page that is on none of the nodes, unless there is a hole before it (`EFAULT`).
    // LINUX: mm/mempolicy.c queue_pages_test_walk(), queue_folios_pte_range(): with MPOL_MF_STRICT alone the
    // first such page ends the call, and the policy is as it was. Only the nodes count, not which page goes
    // to which.
    fn check_placed(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        nodes: u64,
    ) -> Result<(), Errno> {
        let mut at = range.start;
        while at < range.end {
            let part = self.covered(cx, space, at)?.intersect(&VpnRange::new(at, range.end));
            at = part.end;
            if at < range.end {
                self.covered(cx, space, at)?;
            }
            let mut next = part.start;
            while let Some(page) = self.spaces().next_mapped(cx, space, VpnRange::new(next, part.end)) {
                next = page + 1;
                let found = self.spaces().whereabouts(cx, space, page);
                if found.is_ok_and(|found| nodes >> found.node.0 & 1 == 0) {
                    return Err(Errno::EIO);
                }
                if next >= part.end {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The range of the VMA that has a page.
    fn covered(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
    ) -> Result<VpnRange, Errno> {
        let vma = self.spaces().vma_at(cx, space, page).filter(|vma| vma.range.contains(page));
        vma.map(|vma| vma.range).ok_or(Errno::EFAULT)
    }

    /// `migrate_pages(pid, old, new)`: the process's pages on nodes of `old` move to those of `new`, the
    /// first to the first, the second to the second; of sets that differ in size pages on a node of `new` are
    /// where they should be. Answers how many stay.
    ///
    /// Errors: `EINVAL` for nodes without memory.
    // LINUX: mm/mempolicy.c do_migrate_pages(), which goes through the nodes one by one, so that a chain of
    // moves does not pile pages up; here each page knows its place at once.
    pub fn migrate_pages(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        old: u64,
        new: u64,
    ) -> Result<u64, Errno> {
        self.check_nodes(new)?;
        let space = self.space_of(process)?;
        let (old, new) = (NodeSet(old), NodeSet(new));
        let keeps_order = old.iter().count() == new.iter().count();
        let place = |_, node: NodeId| {
            // LINUX: the relations between nodes are lost anyway; [0-7] to [3,4,5] moves only 0, 1, 2, 6, 7.
            if !keeps_order && new.iter().any(|to| to == node) {
                return None;
            }
            let turn = old.iter().position(|from| from == node)?;
            let to = new.iter().nth(turn % new.iter().count().max(1))?;
            (to != node).then(|| Request::user().only(to))
        };
        let end = machine::VirtAddr(crate::args::user_end::<M>()).page();
        Ok(self.move_range(cx.at(), space, VpnRange::new(Vpn(0), end), MOVE, place))
    }

    /// Moves the pages of a range for which `place` has another place; answers how many of these stay.
    /// `place` is given a page's number, counted in pages of its size, and its node.
    fn move_range(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        flags: u64,
        place: impl Fn(u64, NodeId) -> Option<Request>,
    ) -> u64 {
        let (mut at, mut left) = (range.start, 0);
        while let Some(page) = self.spaces().next_mapped(cx, space, VpnRange::new(at, range.end)) {
            at = page + 1;
            if at >= range.end {
                at = range.end;
            }
            let Ok(found) = self.spaces().whereabouts(cx, space, page) else { continue };
            // All of a large page has one place, by its number among such pages.
            let turn = (page.0.wrapping_sub(found.part)) >> found.order.0;
            let Some(request) = place(turn, found.node) else { continue };
            let may_move = flags & MOVE_ALL != 0 || flags & MOVE != 0 && !found.shared;
            let moved = may_move.then(|| self.spaces().move_page(cx, space, page, &request));
            left += u64::from(!matches!(moved, Some(Ok(_) | Err(Refused::Gone))));
        }
        left
    }

    /// LINUX: mpol_new(), mpol_set_nodemask().
    fn policy(&self, mode: u64, nodes: u64) -> Result<MemPolicy, Errno> {
        let mode = mode_of(mode, nodes)?;
        if nodes != 0 {
            self.check_nodes(nodes)?;
        }
        MemPolicy::new(mode, nodes).ok_or(Errno::EINVAL)
    }

    /// Whether there are nodes, and all of them have memory.
    fn check_nodes(&self, nodes: u64) -> Result<(), Errno> {
        let all = NodeSet(nodes).iter().all(|node| self.node(i32::from(node.0)).is_ok());
        if nodes != 0 && nodes != u64::MAX && all { Ok(()) } else { Err(Errno::EINVAL) }
    }
}
