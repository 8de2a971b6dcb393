//! Dropping cached pages that nobody uses and that can be read again.

use crate::model::{File, FileKind};
use crate::objects::Objects;
use crate::page::PageCtx;
use crate::radix::{Locked, Mark};
use core::ops::Range;
use frame::{Flags, Id};
use machine::trace::Uncached;
use machine::{Counter, Cx, Machine, NodeSet, Order, Pfn, level};

/// Whether a page that was used lately is spared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spare {
    /// It loses its mark and stays.
    Referenced,
    /// It goes like any other.
    Nothing,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Drops up to `want` clean, unused pages of all files; answers how many. Pages used since the last time
    /// are spared in a first round. Files that nobody has open and that have no page left go as well.
    pub fn drop_clean(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, want: u64) -> u64 {
        self.drop_clean_of(cx, NodeSet::ALL, want)
    }

    /// The same for pages on some nodes.
    pub fn drop_clean_of(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, nodes: NodeSet, want: u64) -> u64 {
        let mut dropped = 0;
        for spare in [Spare::Referenced, Spare::Nothing].map(|spare| (spare, nodes)) {
            for _ in 0..self.buckets() {
                let bucket = self.turn_hand();
                self.for_each_held(cx, bucket, |cx, id| {
                    if dropped < want {
                        dropped += self.drop_of_file(cx, id, 0..u64::MAX, (want - dropped, spare));
                    }
                });
                if dropped >= want {
                    return dropped;
                }
            }
        }
        dropped
    }

    /// Drops the clean, unused pages in a range of a file (Linux: `invalidate_mapping_pages`); answers how
    /// many.
    pub fn invalidate(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        file: Id<File>,
        range: Range<u64>,
    ) -> u64 {
        self.drop_of_file(cx, file, range, (u64::MAX, (Spare::Nothing, NodeSet::ALL)))
    }

    fn drop_of_file(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        id: Id<File>,
        range: Range<u64>,
        (want, spare): (u64, (Spare, NodeSet)),
    ) -> u64 {
        let file = self.files.get(id);
        if file.kind() == FileKind::Memory {
            return 0;
        }
        let (mut at, mut dropped) = (range.start, 0);
        while dropped < want {
            // One page a hold of the lock: it is a spin lock, and faults wait for it.
            let mut held = file.cache.lock(cx);
            let Some((index, pfn)) = file.tree.next(&held, &self.nodes, at, range.end, Mark::Present) else {
                break;
            };
            at = index + 1;
            if self.drop_page(&mut held, PageCtx { file: id, index }, pfn, spare) {
                dropped += 1;
                held.count(Counter::PgSteal);
            }
        }
        dropped
    }

    /// Drops a page if it is clean and only the cache has a reference to it. Taking that last reference away
    /// first (Linux: `folio_ref_freeze`) makes lookups without a lock fail; whoever had come before it holds
    /// a reference.
    fn drop_page(
        &self,
        held: &mut Locked<'_, 'm, M>,
        ctx: PageCtx,
        pfn: Pfn,
        (spare, nodes): (Spare, NodeSet),
    ) -> bool {
        let page = self.descriptor(pfn);
        if !nodes.contains(page.node(held)) {
            return false;
        }
        let was_used = spare == Spare::Referenced && page.test_and_clear(held, Flags::REFERENCED);
        let is_dirty = self.files.get(ctx.file).tree.has(held, &self.nodes, ctx.index, Mark::Dirty);
        if was_used || is_dirty || page.test(held, Flags::LOCKED.and(Flags::WRITEBACK)) || !page.freeze(held)
        {
            return false;
        }
        self.uncache(held, ctx, pfn, Uncached::Dropped);
        self.frames().free(held.at(), pfn, Order::ZERO);
        true
    }
}
