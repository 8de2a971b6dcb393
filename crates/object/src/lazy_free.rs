//! Pages that their program said are of no use (`MADV_FREE`; Linux: lazyfree).
//!
//! [`Flags::LAZY_FREE`] says so. It is set only on a page that one entry maps exclusively and nobody else
//! refers to, and goes when the page enters the swap cache: a page that is marked has no slot. Whoever has
//! stored to it since has left a dirty entry, [`Flags::DIRTY`], or refers to it still.

use crate::detach::{Detached, Into};
use crate::objects::Objects;
use crate::page::PageLock;
use crate::swapping::{Stays, SwapOut, is_fit};
use frame::{Flags, State};
use machine::{Cx, Machine, Order, Pfn, level};
use table::Leaf;

impl<'m, M: Machine> Objects<'m, M> {
    /// Reclaim may drop a page from now on without storing it, if only this entry has it; answers whether it
    /// may. The caller takes the entry's dirty bit away under the same lock. Other pages keep their marks:
    /// what the swap cache has of them may be older than they are.
    // LINUX: mm/swap.c folio_mark_lazyfree(). Large folios are not split for it here, and keep their bytes.
    pub fn note_useless(&self, leaf: &Leaf<'_, '_, M>, pfn: Pfn) -> bool {
        let page = self.descriptor(pfn);
        let (meta, counts) = (page.meta(&**leaf), page.counts(&**leaf));
        let alone = counts.is_exclusive() && counts.refs() == 1;
        let plain = meta.is_head() && meta.order() == Order::ZERO && !meta.flags().has(Flags::SWAPCACHED);
        let useless = alone && plain && meta.state() == State::Anon;
        if useless {
            page.clear(&**leaf, Flags::DIRTY);
            page.set(&**leaf, Flags::LAZY_FREE);
        }
        useless
    }

    /// Unmaps a page that is of no use, if nobody has written to it since or may do so without an entry
    /// (SW6). Its frame goes with the caller's reference, which must be the only one beside its mappings.
    pub(crate) fn discard(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn) -> SwapOut {
        match self.try_lock_page(cx.at(), pfn) {
            Some(mut locked) => self.discard_locked(&mut locked, pfn),
            None => Err(Stays::Busy),
        }
    }

    fn discard_locked(&self, locked: &mut PageLock<'_, 'm, M>, pfn: Pfn) -> SwapOut {
        let page = self.descriptor(pfn);
        if !is_fit(locked, page) || !page.test(locked, Flags::LAZY_FREE) {
            return Err(Stays::Unfit);
        }
        match self.detach_page(locked, pfn, Into::Nothing) {
            Detached::All => Ok(()),
            Detached::StillMapped => Err(Stays::Written),
        }
    }
}
