//! `brk`: the heap's end.

use crate::error::Error;
use crate::layout::Layout;
use crate::map::{Replaced, VMAS_MAX};
use crate::place::user_end;
use crate::prepare::Needs;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Content, STACK_GUARD, VmaFlags};
use frame::Id;
use machine::{Cx, Machine, PAGE_SIZE, Perms, VirtAddr, Vpn, VpnRange, level};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Says where the heap starts: at program start, before any `set_break`.
    pub fn init_break(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, space: Id<Space>, start: u64) {
        if let Ok(layout) = self.write_layout(cx, space) {
            layout.space.break_start.set(start);
            layout.space.break_end.set(start);
        }
    }

    /// Moves the heap's end; answers the end in force, which is the old one if the
    /// move was refused (Linux: `brk`).
    ///
    /// `Err` only for `Shortage` and `Killed`: everything else is the old end.
    pub fn set_break(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        wanted: u64,
    ) -> Result<u64, Error> {
        let mut layout = self.write_layout(cx, space)?;
        match layout.set_break(wanted) {
            Ok(()) => Ok(layout.space.break_end.get()),
            Err(error @ (Error::Shortage(_) | Error::Killed)) => Err(error),
            Err(_) => Ok(layout.space.break_end.get()),
        }
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    fn set_break(&mut self, wanted: u64) -> Result<(), Error> {
        let (start, old) = (self.space.break_start.get(), self.space.break_end.get());
        if wanted < start || wanted > user_end::<M>().addr().0 {
            return Err(Error::NoMemory);
        }
        if wanted - start > self.space.limits().data {
            return Err(Error::NoMemory);
        }
        let page_up = |addr: u64| VirtAddr(addr.next_multiple_of(PAGE_SIZE)).page();
        let (from, to) = (page_up(old), page_up(wanted));
        if to < from {
            // What was heap may have been unmapped or moved: then there is nothing to shrink (Linux: `brk`).
            if self.first_in(VpnRange::new(to, from)).is_none() {
                return Err(Error::NoMemory);
            }
            self.unmap(VpnRange::new(to, from))?;
        } else if to > from {
            self.extend_heap(VpnRange::new(from, to))?;
        }
        self.space.break_end.set(wanted);
        Ok(())
    }

    fn extend_heap(&mut self, range: VpnRange) -> Result<(), Error> {
        // A page stays free behind the heap, and a stack keeps its guard (Linux: the same check in `brk`).
        let room = VpnRange::new(range.start, range.end + 1 + self.guard_behind(range.end));
        if self.first_in(room).is_some() || self.count() > VMAS_MAX {
            return Err(Error::NoMemory);
        }
        let all = Perms { read: true, write: true, execute: true };
        let mut flags = VmaFlags::MAY_READ | VmaFlags::MAY_WRITE | VmaFlags::MAY_EXEC;
        flags = self.with_future(flags);
        flags = flags.with_perms(Perms { execute: false, ..all });
        self.check_lock_limit(flags, range.pages())?;
        self.check_size(flags, range.pages(), &Replaced::NOTHING)?;
        flags |= VmaFlags::ACCOUNTED;
        self.commit(range.pages())?;
        let content = Content { flags, ..Content::default() };
        let mut prepared = match self.prepare(Needs::default().and(&content)) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.uncommit(range.pages());
                return Err(error);
            }
        };
        self.add(&mut prepared, range, &content);
        self.give_back(prepared);
        Ok(())
    }

    fn guard_behind(&self, page: Vpn) -> u64 {
        let stack = |id| self.vma(id).flags().contains(VmaFlags::GROWS_DOWN);
        if self.find(page).is_some_and(stack) { STACK_GUARD } else { 0 }
    }
}
