//! What a program's own accesses come to.

use crate::args::user_end;
use crate::errno::Errno;
use crate::held::Iovec;
use crate::process::Process;
use crate::signal::{BusCode, SegvCode, Signal};
use crate::system::Linux;
use fault::{FaultError, SegvKind};
use frame::Id;
use machine::entry::Kind;
use machine::{Access, Cx, EntryFormat, Machine, PAGE_SIZE, UserFrame, VirtAddr, Vpn};
use table::Leaf;

impl<'m, M: Machine> Linux<'m, M> {
    /// A page fault of the process: makes the access possible, or says which signal the program gets.
    /// `Kill` also if memory could not be had in any way.
    pub fn user_fault(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        addr: VirtAddr,
        access: Access,
    ) -> Result<(), Signal> {
        let space = self.process(process).space().ok_or(Signal::Kill)?;
        if addr.0 >= user_end::<M>() {
            return Err(Signal::Segv { code: SegvCode::MapErr, addr });
        }
        self.bring_limits(cx, process, space);
        let made = self.balance.with_memory(cx, self.spaces(), Some(space), self.config.shortage, |cx| {
            self.faults.handle(cx, space, addr, access)
        });
        made.map_err(|error| match error {
            FaultError::Segv(SegvKind::MapErr) => Signal::Segv { code: SegvCode::MapErr, addr },
            FaultError::Segv(SegvKind::AccErr) => Signal::Segv { code: SegvCode::AccErr, addr },
            FaultError::Bus => Signal::Bus { code: BusCode::AdrErr, addr },
            FaultError::Killed | FaultError::Shortage(_) => Signal::Kill,
        })
    }

    /// Stores bytes into the process's memory, faulting pages in. `EFAULT` where it may not store; what
    /// lies before is stored.
    pub fn copy_to_user(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        to: VirtAddr,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        let (mut at, mut left) = (to, bytes);
        while !left.is_empty() {
            let room = (PAGE_SIZE - at.offset()) as usize;
            let (now, later) = left.split_at(room.min(left.len()));
            self.store_in_page(cx, process, at, now)?;
            at = VirtAddr(at.0.checked_add(now.len() as u64).ok_or(Errno::EFAULT)?);
            left = later;
        }
        Ok(())
    }

    /// Loads bytes of the process's memory, faulting pages in. `EFAULT` where it may not load; what lies
    /// before is loaded.
    pub fn copy_from_user(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        from: VirtAddr,
        into: &mut [u8],
    ) -> Result<(), Errno> {
        let bytes = Iovec { base: from.0, len: into.len() as u64 };
        let mut done = 0;
        for piece in bytes.pieces() {
            let part = &mut into[done..done + piece.len as usize];
            let at = VirtAddr(piece.page.addr().0 + piece.offset);
            loop {
                self.user_fault(cx, process, at, Access::Read).map_err(|_| Errno::EFAULT)?;
                if self.load_if_mapped(cx, process, at, part)? {
                    break;
                }
            }
            done += piece.len as usize;
        }
        if done == into.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Loads through the translation if it allows loads still.
    fn load_if_mapped(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        at: VirtAddr,
        into: &mut [u8],
    ) -> Result<bool, Errno> {
        let space = self.space_of(process)?;
        let table = self.spaces().space(space).table().ok_or(Errno::EFAULT)?;
        let walker = self.spaces().walker(table);
        let Some(mut leaf) = walker.lock_leaf_existing(cx.at(), at.page()) else { return Ok(false) };
        let Some(frame) = touch(&mut leaf, at.page(), Access::Read) else { return Ok(false) };
        leaf.machine().read_frame(leaf.cpu(), frame, at.offset(), into);
        Ok(true)
    }

    /// Stores bytes that lie in one page.
    fn store_in_page(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        at: VirtAddr,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        loop {
            self.user_fault(cx, process, at, Access::Write).map_err(|_| Errno::EFAULT)?;
            if self.store_if_mapped(cx, process, at, bytes)? {
                return Ok(());
            }
        }
    }

    /// Stores through the translation if it allows stores still: under the lock of its table it stays what
    /// it is.
    fn store_if_mapped(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        at: VirtAddr,
        bytes: &[u8],
    ) -> Result<bool, Errno> {
        let space = self.space_of(process)?;
        let table = self.spaces().space(space).table().ok_or(Errno::EFAULT)?;
        let walker = self.spaces().walker(table);
        let Some(mut leaf) = walker.lock_leaf_existing(cx.at(), at.page()) else { return Ok(false) };
        let Some(frame) = touch(&mut leaf, at.page(), Access::Write) else { return Ok(false) };
        leaf.machine().write_frame(leaf.cpu(), frame, at.offset(), bytes);
        Ok(true)
    }
}

/// The frame of a page whose entry allows an access, marked as used; under the lock of its table it stays the
/// page's.
fn touch<M: Machine>(leaf: &mut Leaf<'_, '_, M>, page: Vpn, access: Access) -> Option<UserFrame> {
    let (entry, level) = (leaf.entry(page), leaf.level());
    let Kind::Leaf(first) = M::Entry::kind(entry, level) else { return None };
    if !M::Entry::permits(entry, level, access) {
        return None;
    }
    leaf.relax(page, |entry| M::Entry::touched(entry, access));
    Some(UserFrame(first.plus(page.0 & ((1 << level.span_shift()) - 1))))
}
