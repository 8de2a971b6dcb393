//! Attachments: who maps which part of an object. The reverse map of files and, for anonymous pages, of lineages.
//!
//! An attachment names a page table and a range of it, not a VMA: the floors above may come and go without this one
//! calling them. Linux: `i_mmap` and `anon_vma`, with `vma_interval_tree` and `anon_vma_chain`.
//!
//! # Rules for whoever changes attachments
//! * Translations of an object's pages exist only where an attachment says so. So attach before the first translation
//!   is installed, detach after the last was taken; attach the upper half before shrinking the lower one, and extend the
//!   survivor of a merge before detaching the other. Covering a page twice is harmless, not covering it loses it.
//! * Who copies (fork) or moves (mremap) translations attaches the destination **behind** the source
//!   ([`Place::Behind`]): a walk goes in list order, so it meets a translation at the source before it was moved, or at
//!   the destination after (Linux: `vma_interval_tree_insert_after`, `need_rmap_locks`).

use crate::{File, Lineage, Objects};
use frame::Id;
use machine::lock::Sleep;
use machine::{Cx, Field, FieldValue, Machine, Shortage, Vpn, VpnRange, level};
use table::PageTable;

/// Whether stores through a mapping go to the object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// They stay with the mapper: pages are copied before they are written.
    Private = 0,
    /// They are seen by everybody who maps the object.
    Shared = 1,
}

impl FieldValue for Sharing {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        if bits == 0 { Sharing::Private } else { Sharing::Shared }
    }
}

/// What pages belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A file (or shared memory): pages `index` of its cache.
    File(Id<File>),
    /// A family of address spaces: anonymous pages by their linear index.
    Lineage(Id<Lineage>),
}

impl FieldValue for Owner {
    fn to_bits(self) -> u64 {
        match self {
            Owner::File(id) => u64::from(id.raw()) << 1,
            Owner::Lineage(id) => u64::from(id.raw()) << 1 | 1,
        }
    }
    fn from_bits(bits: u64) -> Self {
        match bits & 1 {
            0 => Owner::File(Id::from_raw((bits >> 1) as u32)),
            _ => Owner::Lineage(Id::from_raw((bits >> 1) as u32)),
        }
    }
}

/// A part of an address space that maps a part of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The translations.
    pub table: Id<PageTable>,
    /// Where in the address space.
    pub range: VpnRange,
    /// Page of the object at `range.start`.
    pub first: u64,
    /// Whether stores go to the object.
    pub sharing: Sharing,
}

impl Mapping {
    /// The pages of the address space that map `indices` of the object.
    pub fn part(&self, indices: &core::ops::Range<u64>) -> VpnRange {
        let end = self.first.saturating_add(self.range.pages());
        let from = indices.start.clamp(self.first, end);
        let to = indices.end.clamp(from, end);
        VpnRange::sized(self.range.start + (from - self.first), to - from)
    }

    /// The page of the object at a page of the address space.
    pub fn index_of(&self, page: Vpn) -> u64 {
        self.first + (page - self.range.start)
    }

    /// Where a page of the object is mapped.
    pub fn page_of(&self, index: u64) -> Option<Vpn> {
        let pages = index.checked_sub(self.first)?;
        (pages < self.range.pages()).then(|| self.range.start + pages)
    }
}

machine::cells! {
    /// The list of an object's attachments.
    pub struct Mappers {
        /// Covers the list and the places of its members.
        pub(crate) lock: Sleep<{ level::RMAP }>,
        /// (lock)
        first: Field<Option<Id<Attachment>>>,
        /// (lock)
        last: Field<Option<Id<Attachment>>>,
        /// (lock) How many.
        count: Field<u64>,
    }
}

machine::cells! {
    /// One mapping of an object. All fields: (lock of the owner's list).
    pub struct Attachment {
        owner: Field<Owner>,
        table: Field<Option<Id<PageTable>>>,
        start: Field<Vpn>,
        end: Field<Vpn>,
        first: Field<u64>,
        sharing: Field<Sharing>,
        next: Field<Option<Id<Attachment>>>,
        before: Field<Option<Id<Attachment>>>,
    }
}

impl Attachment {
    /// What it maps; `None` while it is in no list.
    pub fn mapping(&self) -> Option<Mapping> {
        Some(Mapping {
            table: self.table.get()?,
            range: VpnRange::new(self.start.get(), self.end.get()),
            first: self.first.get(),
            sharing: self.sharing.get(),
        })
    }

    /// Whose pages it maps.
    pub fn owner(&self) -> Owner {
        self.owner.get()
    }

    fn place(&self, range: VpnRange, first: u64) {
        self.start.set(range.start);
        self.end.set(range.end);
        self.first.set(first);
    }
}

impl Mappers {
    /// How many attachments there are.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// The first attachment. (lock)
    pub(crate) fn first(&self) -> Option<Id<Attachment>> {
        self.first.get()
    }
}

/// Where in the list a new attachment goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Anywhere: no translation is copied or moved to it.
    Any,
    /// Behind the attachment whose translations will be copied or moved to it.
    Behind(Id<Attachment>),
}

impl<'m, M: Machine> Objects<'m, M> {
    /// An attachment for later use: [`Objects::attach`] with it cannot fail. An unused one goes back with
    /// [`Objects::free_attachment`].
    pub fn new_attachment(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
    ) -> Result<Id<Attachment>, Shortage> {
        self.attachments.alloc(cx, self.frames())
    }

    /// Gives back an attachment that is in no list.
    pub fn free_attachment(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, id: Id<Attachment>) {
        debug_assert!(
            self.attachments.get(id).mapping().is_none(),
            "an attachment is detached before it is freed"
        );
        self.attachments.free(cx, id);
    }

    /// An attachment, for its mapping and owner. (The fields belong to the owner's lock, or to whoever attached it.)
    pub fn attachment(&self, id: Id<Attachment>) -> &'m Attachment {
        self.attachments.get(id)
    }

    /// The list an owner's attachments are in.
    pub fn mappers(&self, owner: Owner) -> &'m Mappers {
        match owner {
            Owner::File(id) => &self.files.get(id).mappers,
            Owner::Lineage(id) => &self.lineages.get(id).mappers,
        }
    }

    /// Notes that part of an address space maps part of an object.
    pub fn attach(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        id: Id<Attachment>,
        owner: Owner,
        mapping: &Mapping,
        place: Place,
    ) {
        let list = self.mappers(owner);
        let attachment = self.attachments.get(id);
        debug_assert!(attachment.mapping().is_none(), "an attachment is in one list");
        let _held = list.lock.write(cx);
        attachment.owner.set(owner);
        attachment.table.set(Some(mapping.table));
        attachment.sharing.set(mapping.sharing);
        attachment.place(mapping.range, mapping.first);
        let before = match place {
            Place::Any => list.last.get(),
            Place::Behind(source) => {
                debug_assert_eq!(self.attachments.get(source).owner(), owner, "behind one of the same list");
                Some(source)
            }
        };
        self.link(list, id, before);
    }

    /// Changes where an attachment is; what is mapped stays where it is.
    pub fn resize_attachment(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        id: Id<Attachment>,
        range: VpnRange,
        first: u64,
    ) {
        let attachment = self.attachments.get(id);
        let _held = self.mappers(attachment.owner()).lock.write(cx);
        debug_assert!(attachment.mapping().is_some(), "only what is attached is resized");
        attachment.place(range, first);
    }

    /// Takes an attachment out of its list and frees it. No translation of its range is left.
    pub fn detach(&self, cx: &mut Cx<'m, M, { level::PAGE }>, id: Id<Attachment>) {
        self.unlist(cx, id);
        self.attachments.free(cx.at(), id);
    }

    /// Takes an attachment out of its list; answers how many are left.
    pub(crate) fn unlist(&self, cx: &mut Cx<'m, M, { level::PAGE }>, id: Id<Attachment>) -> u64 {
        let attachment = self.attachments.get(id);
        let list = self.mappers(attachment.owner());
        let _held = list.lock.write(cx);
        debug_assert!(attachment.mapping().is_some(), "only what is attached is detached");
        let (before, next) = (attachment.before.get(), attachment.next.get());
        match before {
            Some(before) => self.attachments.get(before).next.set(next),
            None => list.first.set(next),
        }
        match next {
            Some(next) => self.attachments.get(next).before.set(before),
            None => list.last.set(before),
        }
        attachment.table.set(None);
        list.count.sub(1);
        list.count.get()
    }

    /// (lock) Puts an attachment behind `before`, or first.
    fn link(&self, list: &Mappers, id: Id<Attachment>, before: Option<Id<Attachment>>) {
        let attachment = self.attachments.get(id);
        let next = match before {
            Some(before) => self.attachments.get(before).next.replace(Some(id)),
            None => list.first.replace(Some(id)),
        };
        match next {
            Some(next) => self.attachments.get(next).before.set(Some(id)),
            None => list.last.set(Some(id)),
        }
        attachment.before.set(before);
        attachment.next.set(next);
        list.count.add(1);
    }

    /// (lock) The attachments of a list, in order.
    pub(crate) fn listed(&self, list: &Mappers) -> impl Iterator<Item = &'m Attachment> + '_ {
        let mut next = list.first();
        core::iter::from_fn(move || {
            let attachment = self.attachments.get(next?);
            next = attachment.next.get();
            Some(attachment)
        })
    }

    /// Calls `visit` for every mapping of the indices with the pages that map them, in list order, while nobody can
    /// attach or detach.
    pub fn for_each_mapping(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        owner: Owner,
        indices: core::ops::Range<u64>,
        mut visit: impl FnMut(&mut Cx<'m, M, { level::RMAP }>, &Mapping, VpnRange),
    ) {
        let list = self.mappers(owner);
        let mut held = list.lock.read(cx);
        for mapping in self.listed(list).filter_map(Attachment::mapping) {
            let part = mapping.part(&indices);
            if !part.is_empty() {
                visit(&mut held, &mapping, part);
            }
        }
    }
}
