//! A folio of 2 MiB becomes 512 small ones, or stays as it was.
//!
//! ```text
//! page lock                   nobody else detaches it
//!   counts as expected?       a hint: with a pin, or a reference of somebody else's, nothing is tried
//!   every entry of 2 MiB      becomes 512 of 4 KiB, each page as exclusive as the whole was (CR21)
//!   every entry of 4 KiB      becomes a migration entry, or a pin refuses (CR8)
//!   references frozen         only the caller's is left, and nobody can get another (CR22)
//!   descriptors               512 folios, each locked, each with a reference of the caller's
//!   every migration entry     maps its page again, as it did
//! ```
//!
//! A refusal at any step puts every entry back as it was, but for its size: pins stay valid, data is where it
//! was (C-9). It is an answer, and counted. Linux: `split_huge_page_to_list_to_order`.

use crate::detach::{Detached, Into};
use crate::objects::Objects;
use crate::page::unlock_page;
use frame::{Counts, State};
use machine::{Counter, Cx, HUGE_ORDER, Machine, Pfn, Plant, level};
use revoke::Batch;
use table::Cursor;

/// How splitting a folio ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Split {
    /// It is small folios now; those that nothing mapped are free.
    Done,
    /// Somebody has a pin or a reference, or is busy with it: it is as large as it was. Linux: `EAGAIN`.
    Refused,
}

const PAGES: u64 = HUGE_ORDER.frames();

impl<'m, M: Machine> Objects<'m, M> {
    /// Splits the anonymous folio of 2 MiB that a frame is part of. The caller has one reference to it, which
    /// is one to that frame afterwards.
    pub fn split_folio(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn) -> Split {
        let head = self.frames().folio(cx, pfn).0;
        let page = self.descriptor(head);
        let done = match self.try_lock_page(cx.at(), head) {
            Some(mut held) => {
                let is_large = page.state(&held) == State::Anon && page.order(&held) == HUGE_ORDER;
                is_large && self.split_locked(&mut held, head)
            }
            None => false,
        };
        cx.count(if done { Counter::ThpSplitPage } else { Counter::ThpSplitPageFailed });
        if !done {
            return Split::Refused;
        }
        for part in (0..PAGES).map(|i| head.plus(i)) {
            if part != head {
                unlock_page(cx, self.descriptor(part));
            }
            if part != pfn {
                self.frames().put(cx.at(), part);
            }
        }
        Split::Done
    }

    /// Makes sure that a frame, to which the caller has a reference, is a folio of its own.
    pub(crate) fn make_small(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn) -> Split {
        match self.frames().folio(cx, pfn).1 {
            HUGE_ORDER => self.split_folio(cx, pfn),
            _ => Split::Done,
        }
    }

    fn split_locked(&self, cx: &mut Cx<'m, M, { level::PAGE }>, head: Pfn) -> bool {
        let page = self.descriptor(head);
        let counts = page.counts(cx);
        if counts.pins() > 0 || counts.refs() != counts.maps() + 1 {
            return false;
        }
        self.split_entries(cx, head);
        let detached = self.detach_page(cx, head, Into::Migration);
        let frozen =
            detached == Detached::All && page.freeze_at(cx, 1) || cx.planted(Plant::SplitIgnoresRefusal);
        if frozen {
            self.frames().split_folio(cx.at(), head, |_| Counts::ONE);
        }
        self.restore_page(cx, (head, PAGES), head);
        frozen
    }

    /// Splits every entry of 2 MiB that maps a folio. None is made meanwhile: a child's is a copy of its
    /// parent's, and its mapping comes behind the parent's in the list.
    fn split_entries(&self, cx: &mut Cx<'m, M, { level::PAGE }>, head: Pfn) {
        let page = self.descriptor(head);
        let Some(owner) = self.owner_of(cx, page) else { return };
        let index = page.index(cx);
        self.for_each_mapping(cx, owner, index..index + PAGES, |cx, mapping, part| {
            let walker = self.walker(mapping.table);
            let mut batch = Batch::new(walker.table().domain(), self.frames());
            let mut cursor = Cursor::new(part);
            while walker.may_have_huge() {
                let Some((mut leaf, part)) = cursor.next(&walker, cx) else { break };
                if Self::maps_whole(&leaf, head) {
                    let entry = leaf.entry(part.start);
                    self.splits(&mut leaf, entry);
                    leaf.split(&walker, &mut batch);
                }
            }
            self.settle(cx, &walker, &mut batch);
        });
    }
}
