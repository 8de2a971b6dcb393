//! Lists of free blocks, linked through the blocks' own descriptors.

use crate::descriptor::Links;
use crate::memmap::MemMap;
use machine::{Field, Pfn};

machine::cells! {
    /// A list of blocks the allocator has. Covered by the lock of what it is part of.
    pub(crate) struct FreeList {
        first: Field<Option<Pfn>>,
        last: Field<Option<Pfn>>,
        count: Field<u64>,
    }
}

/// Which end of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Taken next.
    Front,
    /// Taken last.
    Back,
}

impl FreeList {
    /// An empty list, for blocks on their way.
    #[inline]
    pub(crate) fn new() -> Self {
        FreeList { first: Field::new(None), last: Field::new(None), count: Field::new(0) }
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<Pfn> {
        self.first.get()
    }

    /// How many blocks are in it.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.count.get()
    }

    #[inline]
    pub(crate) fn push(&self, memmap: &MemMap<'_>, pfn: Pfn, end: End) {
        let links = match end {
            End::Front => Links { previous: None, next: self.first.get() },
            End::Back => Links { previous: self.last.get(), next: None },
        };
        memmap.descriptor(pfn).links_field().set(links);
        self.point_before(memmap, links.next, Some(pfn));
        self.point_after(memmap, links.previous, Some(pfn));
        self.count.add(1);
    }

    #[inline]
    pub(crate) fn remove(&self, memmap: &MemMap<'_>, pfn: Pfn) {
        debug_assert!(self.count.get() > 0, "a free list is shorter than its blocks");
        let Links { previous, next } = memmap.descriptor(pfn).links_field().get();
        self.point_before(memmap, next, previous);
        self.point_after(memmap, previous, next);
        self.count.sub(1);
    }

    #[inline]
    pub(crate) fn pop(&self, memmap: &MemMap<'_>, end: End) -> Option<Pfn> {
        let pfn = match end {
            End::Front => self.first.get(),
            End::Back => self.last.get(),
        }?;
        self.remove(memmap, pfn);
        Some(pfn)
    }

    /// Moves all of `other` behind what is here.
    #[inline]
    pub(crate) fn append(&self, memmap: &MemMap<'_>, other: &FreeList) {
        let Some(first) = other.first.get() else { return };
        let last = other.last.replace(None);
        let links = memmap.descriptor(first).links_field();
        links.set(Links { previous: self.last.get(), ..links.get() });
        self.point_after(memmap, self.last.get(), Some(first));
        self.last.set(last);
        self.count.add(other.count.replace(0));
        other.first.set(None);
    }

    /// The blocks, from the front, on a quiet machine.
    #[inline]
    pub(crate) fn iter<'a>(&'a self, memmap: &'a MemMap<'_>) -> impl Iterator<Item = Pfn> + 'a {
        core::iter::successors(self.first.get(), |&pfn| memmap.descriptor(pfn).links_field().get().next)
    }

    /// Makes what follows (`None`: the list's end) point back to `to`.
    #[inline]
    fn point_before(&self, memmap: &MemMap<'_>, from: Option<Pfn>, to: Option<Pfn>) {
        match from.map(|pfn| memmap.descriptor(pfn).links_field()) {
            Some(links) => links.set(Links { previous: to, ..links.get() }),
            None => self.last.set(to),
        }
    }

    /// Makes what goes before (`None`: the list's start) point on to `to`.
    #[inline]
    fn point_after(&self, memmap: &MemMap<'_>, from: Option<Pfn>, to: Option<Pfn>) {
        match from.map(|pfn| memmap.descriptor(pfn).links_field()) {
            Some(links) => links.set(Links { next: to, ..links.get() }),
            None => self.first.set(to),
        }
    }
}
