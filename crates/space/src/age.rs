//! Looking which pages of a space were used (Linux: the aging of the multi-generational LRU, `walk_mm`).

use crate::space::Space;
use crate::spaces::Spaces;
use crate::zap::everything;
use frame::{Id, State};
use machine::entry::{Attrs, Kind};
use machine::{Cx, EntryFormat, Machine, level};
use table::Cursor;

impl<'m, M: Machine> Spaces<'m, M> {
    /// Gives every small page of a space that was used since the last time the age `now`, and takes the marks
    /// of use away; `oldest` is the age of pages that were never looked at and are not used. Nothing is
    /// flushed: a CPU that keeps a translation may not mark the next use of it. Answers how many were used.
    pub fn age_pages(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        id: Id<Space>,
        (now, oldest): (u8, impl Fn(u8) -> u8),
    ) -> u64 {
        let mut used = 0;
        if !self.try_retain(cx, id) {
            return used;
        }
        if let Some(table) = self.space(id).table() {
            let walker = self.walker(table);
            let mut cursor = Cursor::new(everything::<M>());
            while let Some((mut leaf, part)) = cursor.next(&walker, cx.at()) {
                let mut next = part.start;
                while let Some((at, entry)) = leaf.next_used(next, part.end) {
                    next = leaf.pages(at).end;
                    let level = leaf.level();
                    let Kind::Leaf(pfn) = M::Entry::kind(entry, level) else { continue };
                    let attrs = M::Entry::attrs(entry);
                    if attrs.special {
                        continue;
                    }
                    let folio = self.objects().folio(&leaf, pfn);
                    let (page, meta) = (folio.page, folio.page.meta(&*leaf));
                    // A folio is as old as the page of it that was used last.
                    let counts = folio.head == pfn || attrs.accessed;
                    if !counts || !matches!(meta.state(), State::Anon | State::File) {
                        continue;
                    }
                    if attrs.accessed {
                        used += 1;
                        leaf.relax(at, |entry| {
                            let attrs = Attrs { accessed: false, ..M::Entry::attrs(entry) };
                            M::Entry::with_attrs(entry, attrs, level)
                        });
                    }
                    let age = if attrs.accessed { now } else { oldest(meta.age()) };
                    if age != meta.age() {
                        page.set_age(&*leaf, age);
                    }
                }
            }
        }
        self.release(cx, id);
        used
    }
}
