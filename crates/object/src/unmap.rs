//! Reaching every translation of a file's pages through its attachments.

use crate::account::MappedFile;
use crate::model::{File, Mapping, Owner, Sharing};
use crate::objects::Objects;
use crate::writeback::Chosen;
use core::ops::Range;
use frame::Id;
use machine::entry::{Attrs, Kind};
use machine::trace::Work;
use machine::{Cx, Entry, EntryFormat, Event, Level, Machine, level};
use revoke::Batch;

impl<'m, M: Machine> Objects<'m, M> {
    /// Takes away every translation in the parts of address spaces that map these pages of a file, private
    /// copies included (Linux: `unmap_mapping_range` with `even_cows`). The pages were disowned before, and
    /// the walk skips no table that a fault may be about to fill ([`table::Cursor::next`]): none is installed
    /// behind it.
    pub(crate) fn unmap_file(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        file: Id<File>,
        indices: Range<u64>,
    ) {
        self.for_each_mapping(cx, Owner::File(file), indices, |cx, mapping, part| {
            let walker = self.walker(mapping.table);
            let asid = walker.table().domain().asid();
            cx.trace(|| Event::WorkBegun { asid, pages: part, work: Work::Truncate });
            let mut batch = Batch::new(walker.table().domain(), self.frames());
            let bias = mapping.first.wrapping_sub(mapping.range.start.0);
            let mut unmapper = self.unmapper(Some(MappedFile { file, bias }));
            walker.sweep(cx, part, &mut batch, &mut unmapper);
            self.settle(cx, &walker, &mut batch);
        });
    }

    /// Write-protects and cleans every shared translation of the chosen pages, and settles (Linux:
    /// `page_mkclean`).
    pub(crate) fn clean_mappings(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        file: Id<File>,
        chosen: &Chosen,
    ) {
        self.for_each_mapping(cx, Owner::File(file), chosen.indices(), |cx, mapping, _| {
            if mapping.sharing == Sharing::Shared {
                self.clean_mapping(cx, mapping, chosen);
            }
        });
    }

    fn clean_mapping(&self, cx: &mut Cx<'m, M, { level::RMAP }>, mapping: &Mapping, chosen: &Chosen) {
        let walker = self.walker(mapping.table);
        let mut batch = Batch::new(walker.table().domain(), self.frames());
        let (asid, pages) = (walker.table().domain().asid(), mapping.part(&chosen.indices()));
        cx.trace(|| Event::WorkBegun { asid, pages, work: Work::Clean });
        batch.answer_for(pages);
        let mut pages =
            chosen.iter().filter_map(|page| Some((mapping.page_of(page.ctx().index)?, page))).peekable();
        while let Some(&(first, _)) = pages.peek() {
            let Some(mut leaf) = walker.lock_leaf_existing(cx, first) else {
                pages.next();
                continue;
            };
            while let Some((at, page)) = pages.next_if(|&(at, _)| leaf.span().contains(at)) {
                let entry = leaf.entry(at);
                let attrs = M::Entry::attrs(entry);
                let maps_it = M::Entry::kind(entry, Level::LEAF) == Kind::Leaf(page.pfn());
                if maps_it && (attrs.dirty || attrs.perms.write) {
                    let (_, token) = leaf.change(at, clean::<M>);
                    batch.push(&mut leaf, token);
                }
            }
        }
        self.settle(cx, &walker, &mut batch);
    }
}

/// The entry without what lets stores pass unseen.
fn clean<M: Machine>(entry: Entry) -> Entry {
    let attrs = M::Entry::attrs(entry);
    let attrs = Attrs { perms: attrs.perms.read_only(), dirty: false, ..attrs };
    M::Entry::with_attrs(entry, attrs, Level::LEAF)
}
