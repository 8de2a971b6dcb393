//! Attachments: who maps which part of an object. The reverse map of files and, for anonymous pages, of
//! lineages.
//!
//! An attachment names a page table and a range of it, not a VMA: the floors above may come and go without
//! this one calling them. Linux: `i_mmap` and `anon_vma`, with `vma_interval_tree` and `anon_vma_chain`.
//!
//! # Rules for whoever changes attachments
//! * Translations of an object's pages exist only where an attachment says so. So attach before the first
//!   translation is installed, detach after the last was taken; attach the upper half before shrinking the
//!   lower one, and extend the survivor of a merge before detaching the other. Covering a page twice is
//!   harmless, not covering it loses it.
//! * Who copies (fork) or moves (mremap) translations attaches the destination **behind** the source
//!   ([`Place::Behind`]): a walk goes in list order, so it meets a translation at the source before it was
//!   moved, or at the destination after (Linux: `vma_interval_tree_insert_after`, `need_rmap_locks`).

use crate::model::{Attachment, Mappers, Mapping, Owner};
use crate::objects::Objects;
use core::ops::Range;
use frame::Id;
use machine::{Cx, Machine, Shortage, VpnRange, level};

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

    /// An attachment, for its mapping and owner. (The fields belong to the owner's lock, or to whoever
    /// attached it.)
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

    /// Takes an attachment out of its list; answers how many attachments and items of merged pages are left.
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
        list.count.get() + list.kept.get()
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

    /// Runs `f` while nobody walks the list, attaches or detaches: for who moves translations to a place that
    /// walks come by before the one they leave (Linux: `need_rmap_locks`).
    pub fn without_walks(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        owner: Owner,
        f: impl FnOnce(&mut Cx<'m, M, { level::RMAP }>),
    ) {
        let mut held = self.mappers(owner).lock.write(cx);
        f(&mut held);
    }

    /// Calls `visit` for every mapping of the indices with the pages that map them, in list order, while
    /// nobody can attach or detach.
    pub fn for_each_mapping(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        owner: Owner,
        indices: Range<u64>,
        mut visit: impl FnMut(&mut Cx<'m, M, { level::RMAP }>, &Mapping, VpnRange),
    ) {
        // A file is kept by its page, which the caller has locked; a lineage by nothing.
        if let Owner::Lineage(lineage) = owner
            && !self.hold_lineage(cx, lineage)
        {
            return;
        }
        let list = self.mappers(owner);
        {
            let mut held = list.lock.read(cx);
            for mapping in self.listed(list).filter_map(Attachment::mapping) {
                let part = mapping.part(&indices);
                if !part.is_empty() {
                    visit(&mut held, &mapping, part);
                }
            }
        }
        if let Owner::Lineage(lineage) = owner {
            self.drop_lineage(cx.at(), lineage);
        }
    }
}
