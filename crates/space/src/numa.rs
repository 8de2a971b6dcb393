//! Entries lose their rights so that the next use of their pages is seen (Linux: `change_prot_numa`,
//! `task_numa_work`).
//!
//! The VMA keeps allowing what it allowed: a fault gives the rights back ([`Spaces::may_write_at_once`] says
//! how far), and with them the answer to "from which node is this page used?".

use crate::error::Error;
use crate::layout::Layout;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::{Vma, VmaFlags};
use core::cell::Cell;
use frame::{Id, State};
use machine::entry::{Attrs, Kind};
use machine::trace::Work;
use machine::{Counter, Cx, Entry, EntryFormat, Level, Machine, Order, Perms, VpnRange, level};
use table::Leaf;

/// Nothing is allowed.
const NONE: Perms = Perms { read: false, write: false, execute: false };

impl<'m, M: Machine> Spaces<'m, M> {
    /// Takes the rights of the entries of a range away; answers of how many pages. What is worth it is
    /// decided as on Linux: not the text of files, not the page of zeros, not pages that several map or that
    /// are pinned. Pages of a large folio that are mapped one by one are left alone.
    ///
    /// Errors: `Killed`.
    pub fn hint_numa(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
    ) -> Result<u64, Error> {
        let mut layout = self.write_layout(cx, space)?;
        let mut hinted = 0;
        layout.for_each_in(range, |layout, id, part| {
            hinted += layout.hint_part(id, part);
            Ok(())
        })?;
        layout.count_n(Counter::NumaPteUpdates, hinted);
        Ok(hinted)
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    fn hint_part(&mut self, id: Id<Vma>, part: VpnRange) -> u64 {
        let vma = self.vma(id);
        let access = vma.flags() & VmaFlags::ACCESS;
        let is_text = vma.file().is_some() && !access.contains(VmaFlags::WRITE);
        if access.is_empty() || is_text {
            return 0;
        }
        let hinted = Cell::new(0);
        self.for_each_entry(part, Work::Protect, |spaces, leaf, entry| {
            let Some(attrs) = worth_it(spaces, leaf, entry) else { return entry };
            let level = leaf.level();
            hinted.set(hinted.get() + (1 << level.span_shift()));
            if level == Level::HUGE {
                leaf.count(Counter::NumaHugePteUpdates);
            }
            M::Entry::with_attrs(entry, Attrs { perms: NONE, ..attrs }, level)
        });
        hinted.get()
    }
}

/// What an entry says, if its page may be moved for whoever uses it.
fn worth_it<M: Machine>(spaces: &Spaces<'_, M>, leaf: &Leaf<'_, '_, M>, entry: Entry) -> Option<Attrs> {
    let level = leaf.level();
    let Kind::Leaf(pfn) = M::Entry::kind(entry, level) else { return None };
    let attrs = M::Entry::attrs(entry);
    if attrs.special || attrs.perms == NONE {
        return None;
    }
    let page = spaces.frames().descriptor(pfn);
    let (meta, counts) = (page.meta(&**leaf), page.counts(&**leaf));
    let whole = meta.is_head() && meta.order() == Order(level.span_shift() as u8);
    let movable = matches!(meta.state(), State::Anon | State::File);
    (whole && movable && counts.maps() == 1 && counts.pins() == 0).then_some(attrs)
}
