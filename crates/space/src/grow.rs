//! Stacks that grow downwards (Linux: `expand_downwards`, `acct_stack_growth`).

use crate::error::Error;
use crate::layout::Layout;
use crate::map::Replaced;
use crate::place::LOWEST;
use crate::space::{Sign, Space, limit_pages};
use crate::spaces::Spaces;
use crate::vma::{STACK_GUARD, Vma, VmaFlags};
use frame::Id;
use machine::{Cx, Machine, Plant, Vpn, VpnRange, level};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Extends the stack above this page down to it.
    ///
    /// Errors: `Fault` if there is no stack to extend or it must not grow so far,
    /// `NoMemory` for limits, `Killed`, `Shortage`.
    pub fn grow_stack(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        page: Vpn,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        layout.grow_stack(page)
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    fn grow_stack(&mut self, page: Vpn) -> Result<(), Error> {
        let id = self.find(page).ok_or(Error::Fault)?;
        let old = self.vma(id).range();
        if old.contains(page) {
            return Ok(());
        }
        let flags = self.vma(id).flags();
        if !flags.contains(VmaFlags::GROWS_DOWN) || page < LOWEST || self.too_near_below(page) {
            return Err(Error::Fault);
        }
        let more = old.start - page;
        let size = old.end - page;
        if size > limit_pages(self.space.limits().stack) {
            return Err(Error::NoMemory);
        }
        self.check_size(flags, more, &Replaced::NOTHING)?;
        self.check_lock_limit(flags, more)?;
        let commit = if flags.contains(VmaFlags::ACCOUNTED) { more } else { 0 };
        self.commit(commit)?;
        self.extend_down(id, page, flags, more);
        Ok(())
    }

    fn extend_down(&mut self, id: Id<Vma>, page: Vpn, flags: VmaFlags, more: u64) {
        self.begin_change(id);
        let end = self.vma(id).range().end;
        self.resize(id, VpnRange::new(page, end));
        self.account(flags, more, Sign::Plus);
        self.end_change(id);
    }

    /// Whether a mapping that can be accessed lies within the guard below the page.
    fn too_near_below(&self, page: Vpn) -> bool {
        self.before(page).is_some_and(|id| {
            let vma = self.vma(id);
            let inert =
                !vma.flags().intersects(VmaFlags::ACCESS) || vma.flags().contains(VmaFlags::GROWS_DOWN);
            let gap = if self.planted(Plant::GuardGapForgotten) { 0 } else { STACK_GUARD };
            !inert && page - vma.range().end < gap
        })
    }
}
