//! First touches of private anonymous memory (Linux: `do_anonymous_page`).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Outcome, Wish};
use machine::entry::Attrs;
use machine::trace::Mapped;
use machine::{Counter, Cx, Event, Machine, level};

impl<'m, M: Machine> Faults<'m, M> {
    /// A load gets the zero page, a store a new frame of zeros (rows 1 and 2 of the COW table).
    pub(crate) fn first_touch(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
    ) -> Result<Outcome, FaultError> {
        if !wish.is_write() {
            return self.map_zero_page(cx, wish);
        }
        if let Some(outcome) = self.first_touch_huge(cx, wish) {
            return Ok(outcome);
        }
        let fresh = self.zeroed_frame(cx, wish)?;
        let outcome = self.install_private(cx, wish, fresh)?;
        if outcome == Outcome::Done {
            cx.count(Counter::FaultAnon);
        }
        Ok(outcome)
    }

    fn map_zero_page(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
    ) -> Result<Outcome, FaultError> {
        let Some(mut leaf) = self.lock_unchanged(cx, wish)? else { return Ok(Outcome::Again) };
        let attrs = Attrs { perms: wish.vma.flags.perms().read_only(), ..wish.attrs() };
        let frame = self.spaces().objects().zero_frame();
        leaf.trace(|| Event::MapChosen { page: wish.page, frame, mapped: Mapped::ZeroPage });
        self.spaces().objects().map_zero(&mut leaf, wish.page, attrs);
        leaf.count(Counter::FaultZero);
        Ok(Outcome::Done)
    }
}
