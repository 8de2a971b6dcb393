//! Looking which pages of a space were used (Linux: the aging of the multi-generational LRU, `walk_mm`).

use crate::space::Space;
use crate::spaces::Spaces;
use crate::zap::everything;
use frame::{Id, State};
use machine::entry::{Attrs, Kind};
use machine::{Cx, EntryFormat, Level, Machine, level};
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
                while leaf.level() == Level::LEAF
                    && let Some((at, entry)) = leaf.next_used(next, part.end)
                {
                    next = at + 1;
                    let Kind::Leaf(pfn) = M::Entry::kind(entry, Level::LEAF) else { continue };
                    let attrs = M::Entry::attrs(entry);
                    let page = self.frames().descriptor(pfn);
                    let meta = page.meta(&*leaf);
                    if attrs.special || !matches!(meta.state(), State::Anon | State::File) || !meta.is_head()
                    {
                        continue;
                    }
                    if attrs.accessed {
                        used += 1;
                        leaf.relax(at, |entry| {
                            let attrs = Attrs { accessed: false, ..M::Entry::attrs(entry) };
                            M::Entry::with_attrs(entry, attrs, Level::LEAF)
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
