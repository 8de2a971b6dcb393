//! VMAs in the lists of what they map, so that pages find their mappings.
//!
//! A VMA of a file is in the file's list. A VMA whose anonymous pages were moved is in its lineage's list
//! too: pages that were not moved are found at their own page numbers in every member of the lineage.

use crate::layout::Layout;
use crate::prepare::Prepared;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Vma, VmaFlags};
use frame::Id;
use machine::{Cx, Machine, VpnRange, level};
use object::{Attachment, Mapping, Owner, Place, Sharing};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Puts a new VMA into the lists it belongs to, behind the VMA whose pages it will
    /// get: a walk of the list that meets the source first cannot miss a page on its
    /// way (Linux: `anon_vma_clone`'s order, `move_page_tables`).
    pub(crate) fn attach(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        space: &Space,
        vma: &Vma,
        prepared: &mut Prepared<'m, M>,
        source: Option<&Vma>,
    ) {
        let Some(table) = space.table.get() else { return };
        let range = vma.range();
        let shared = vma.flags().contains(VmaFlags::SHARED);
        let sharing = if shared { Sharing::Shared } else { Sharing::Private };
        if let Some(file) = vma.file() {
            let behind = source.and_then(Vma::attachment);
            let mapping = Mapping { table, range, first: vma.file_index(range.start), sharing };
            let attachment = prepared.take_attachment();
            self.objects().retain(cx.at(), file);
            self.objects().attach(cx.at(), attachment, Owner::File(file), &mapping, place(behind));
            vma.set_attachment(Some(attachment));
        }
        if let Some(lineage) = self.lineage(space).filter(|_| vma.is_moved()) {
            let behind = source.and_then(Vma::moved_attachment);
            let first = vma.anon_index(range.start);
            let mapping = Mapping { table, range, first, sharing: Sharing::Private };
            let attachment = prepared.take_attachment();
            self.objects().attach(cx.at(), attachment, lineage, &mapping, place(behind));
            vma.set_moved_attachment(Some(attachment));
        }
    }

    /// The lineage a space belongs to.
    pub(crate) fn lineage(&self, space: &Space) -> Option<Owner> {
        space.member.get().map(|member| self.objects().attachment(member).owner())
    }
}

fn place(behind: Option<Id<Attachment>>) -> Place {
    behind.map_or(Place::Any, Place::Behind)
}

impl<M: Machine> Layout<'_, '_, M> {
    /// Tells the lists where a VMA is now.
    pub(crate) fn resize_attachments(&mut self, vma: &Vma, range: VpnRange) {
        let objects = self.spaces.objects();
        if let Some(attachment) = vma.attachment() {
            objects.resize_attachment(self.at(), attachment, range, vma.file_index(range.start));
        }
        if let Some(attachment) = vma.moved_attachment() {
            objects.resize_attachment(self.at(), attachment, range, vma.anon_index(range.start));
        }
    }

    /// Takes a VMA out of the lists; its translations are gone.
    pub(crate) fn detach(&mut self, vma: &Vma) {
        let objects = self.spaces.objects();
        if let Some(attachment) = vma.moved_attachment() {
            objects.detach(self.at(), attachment);
            vma.set_moved_attachment(None);
        }
        if let (Some(attachment), Some(file)) = (vma.attachment(), vma.file()) {
            objects.detach(self.at(), attachment);
            vma.set_attachment(None);
            // A write error is remembered by the file for whoever syncs it next.
            let _ = objects.close(self.at(), file);
        }
    }
}
