//! Noticing which pages are stored to from now on (Linux: `/proc/PID/clear_refs`, value 4).

use crate::error::Error;
use crate::space::Space;
use crate::spaces::Spaces;
use frame::{Flags, Id, State};
use machine::entry::{Attrs, Kind};
use machine::trace::Work;
use machine::{Cx, Entry, EntryFormat, Event, Level, Machine, Vpn, VpnRange, level};
use table::{Cursor, Leaf, Soft, TableBatch};

impl<'m, M: Machine> Spaces<'m, M> {
    /// Makes all anonymous pages of a space clean and read-only: the next store to each faults, and finds its
    /// page as exclusive as it was. The layout is locked for reading only; what entries lost is flushed at
    /// the end.
    ///
    /// Errors: `Killed`.
    // LINUX: fs/proc/task_mmu.c clear_refs_write(). There is no soft-dirty bit here: what an entry said of
    // stores is kept by the page.
    pub fn clear_refs(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, id: Id<Space>) -> Result<(), Error> {
        let space = self.space(id);
        let mut cx = self.read_whole(cx, id);
        let (false, Some(table)) = (space.is_killed(&cx), space.table()) else { return Err(Error::Killed) };
        let walker = self.walker(table);
        let asid = walker.table().domain().asid();
        let mut batch = self.batch(table);
        let mut at = Vpn(0);
        while let Some((pages, vma)) = cx.find(at) {
            at = pages.end;
            if !self.vma(vma).flags().is_private() {
                continue;
            }
            cx.trace(|| Event::WorkBegun { asid, pages, work: Work::Clean });
            batch.answer_for(pages);
            let mut cursor = Cursor::new(pages);
            while let Some((mut leaf, part)) = cursor.next(&walker, cx.at()) {
                self.clean_leaf(&mut leaf, part, &mut batch);
            }
        }
        self.settle(&mut cx, table, &mut batch);
        Ok(())
    }

    fn clean_leaf(&self, leaf: &mut Leaf<'_, 'm, M>, part: VpnRange, batch: &mut TableBatch<'_, 'm, M>) {
        let mut next = part.start;
        while let Some((at, entry)) = leaf.next_used(next, part.end) {
            next = leaf.pages(at).end;
            if let Some(soft) = Soft::of::<M>(entry, leaf.level()) {
                // Its dirty bit stays with it: the page's flags may be on their way, too.
                let (_, token) = leaf.change(at, |_| soft.read_only().entry::<M>());
                batch.push(leaf, token);
                continue;
            }
            let Kind::Leaf(pfn) = M::Entry::kind(entry, leaf.level()) else { continue };
            let attrs = M::Entry::attrs(entry);
            let can_lose = attrs.perms.write || attrs.dirty;
            if attrs.special || !can_lose {
                continue;
            }
            let (page, level) = (self.objects().folio(leaf, pfn).page, leaf.level());
            if page.state(leaf) != State::Anon {
                continue;
            }
            let (old, token) = leaf.change(at, |entry| clean::<M>(entry, level));
            batch.push(leaf, token);
            if M::Entry::attrs(old).dirty {
                page.set(leaf, Flags::DIRTY);
            }
        }
    }
}

fn clean<M: Machine>(entry: Entry, level: Level) -> Entry {
    let attrs = M::Entry::attrs(entry);
    let attrs = Attrs { perms: attrs.perms.read_only(), dirty: false, ..attrs };
    M::Entry::with_attrs(entry, attrs, level)
}
