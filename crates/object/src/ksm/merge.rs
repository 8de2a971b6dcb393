//! The exchange of one mapping: from a page of its own to a merged page.
//!
//! ```text
//! page lock of the page, page lock of the merged page     both only by trying: who scans waits for nobody
//!   the merged page's item                                 first found, then mapped
//!     leaf lock
//!       clear the entry and flush it                       nobody stores to the page any more (CR20, C-12)
//!       references == mappings + one of the caller's?      nobody has it for I/O (C-11)
//!       try_share                                          nobody has it pinned (CR8); nobody will
//!       same bytes?                                        now that nobody can change them
//!       the merged page's entry, read-only                 row 21
//! ```
//! Whatever is refused on the way, the entry comes back as it was, exclusive if it was: in the end all has
//! happened, or nothing.
//!
//! Linux flushes twice (`write_protect_page`, `replace_page`), the first time only if the entry could let a
//! store pass, or if a flush is pending; and it lets the page table go in between. Here the entry is always
//! cleared and flushed before anything is decided, once, and stays away to the end. So there is no entry that
//! only looks harmless (C-12), and nothing to compare twice. Comparing 4 KiB takes less than the flush.

use crate::exclusive::{AnonCtx, Was};
use crate::ksm::items::Noted;
use crate::ksm::stable::is_mergeable;
use crate::ksm_model::Node;
use crate::objects::Objects;
use crate::page::owner_number;
use crate::split::Split;
use frame::{Descriptor, Flags, Id, State};
use machine::entry::{Attrs, Kind};
use machine::{Access, Cx, Entry, EntryFormat, Event, Level, Machine, Pfn, Plant, UserFrame, Vpn, level};
use revoke::Batch;
use table::{Leaf, PageTable, Rss, TableBatch};

/// A mapping that may be exchanged. The caller keeps its address space and the layout as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// The translations.
    pub table: Id<PageTable>,
    /// The page.
    pub page: Vpn,
    /// What the page there belongs to.
    pub ctx: AnonCtx,
}

/// What a mapping is to map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The page it maps now, which becomes the merged page of this node.
    Itself(Id<Node>),
    /// The merged page of this node. The caller has a reference to it.
    Page(Id<Node>, Pfn),
    /// The page of zeros.
    Zero,
}

/// Why a mapping stays as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Busy {
    /// The entry maps something else by now, or does not allow what it did.
    Moved,
    /// Somebody else has the page: locked, pinned, or for I/O. Or the merged page cannot be mapped once more.
    Held,
    /// The bytes are not the same.
    Different,
    /// There is no memory for the item.
    Shortage,
}

/// How merging one mapping ended.
pub type Merging = Result<(), Busy>;

/// The old page of a mapping that was cleared.
struct Lifted {
    pfn: Pfn,
    old: Entry,
    was: Was,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Exchanges what one mapping maps, for a page with the same bytes. The caller has one reference to
    /// `pfn`, and scans. A part of a large page becomes a page of its own first.
    // LINUX: mm/ksm.c try_to_merge_one_page(), write_protect_page(), replace_page().
    pub fn merge_mapping(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        site: &Site,
        pfn: Pfn,
        target: Target,
    ) -> Merging {
        // LINUX: try_to_merge_one_page() splits as late, once there is something to merge with.
        if self.make_small(cx, pfn) == Split::Refused {
            return Err(Busy::Held);
        }
        let mut locked = self.try_lock_page(cx.at(), pfn).ok_or(Busy::Held)?;
        match target {
            Target::Zero => self.exchange(&mut locked, site, pfn, target),
            Target::Itself(node) => self.exchange_noted(&mut locked, site, pfn, (node, target)),
            Target::Page(_, merged) if merged == pfn => Err(Busy::Moved),
            Target::Page(node, merged) => {
                let mut both = self.try_lock_page(&mut locked, merged).ok_or(Busy::Held)?;
                self.exchange_noted(&mut both, site, pfn, (node, target))
            }
        }
    }

    /// The same with an item for it: before the entry is there, so that no mapping is ever without.
    fn exchange_noted(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        site: &Site,
        pfn: Pfn,
        (node, target): (Id<Node>, Target),
    ) -> Merging {
        let noted = self.note_item(cx, node, site.ctx).map_err(|_| Busy::Shortage)?;
        self.exchange(cx, site, pfn, target).inspect_err(|_| self.unnote(cx, node, noted))
    }

    fn unnote(&self, cx: &mut Cx<'m, M, { level::PAGE }>, node: Id<Node>, noted: Noted) {
        self.forget_item(cx, node, noted);
    }

    fn exchange(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        site: &Site,
        pfn: Pfn,
        target: Target,
    ) -> Merging {
        let walker = self.walker(site.table);
        let mut batch = Batch::new(walker.table().domain(), self.frames());
        let merging = match walker.lock_leaf_existing(cx.at(), site.page) {
            Some(mut leaf) => self.exchange_entry(&mut leaf, &mut batch, site.page, pfn, target),
            None => Err(Busy::Moved),
        };
        self.settle(cx.at(), &walker, &mut batch);
        merging
    }

    fn exchange_entry(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        batch: &mut TableBatch<'_, 'm, M>,
        at: Vpn,
        pfn: Pfn,
        target: Target,
    ) -> Merging {
        let page = self.descriptor(pfn);
        let entry = leaf.entry(at);
        let maps_it = leaf.level() == Level::LEAF && M::Entry::kind(entry, Level::LEAF) == Kind::Leaf(pfn);
        // What hardware cannot use, it would not be flushed for either.
        let is_used = maps_it && M::Entry::permits(entry, Level::LEAF, Access::Read);
        if !is_used || M::Entry::attrs(entry).special || !is_mergeable(leaf, page) {
            return Err(Busy::Moved);
        }
        // A look before anybody is disturbed; the one that counts is below.
        if !self.is_only_mapped(leaf, page) {
            return Err(Busy::Held);
        }
        let early = leaf.planted(Plant::KsmIgnoresPendingFlush)
            && looks_harmless::<M>(entry)
            && self.is_same(leaf, pfn, target);
        let (old, token) = leaf.lift(at, Some(Rss::Anon));
        batch.push(leaf, token);
        batch.flush_now(leaf);
        let exchanged = self.take_exclusivity(leaf, (pfn, old)).and_then(|lifted| match early {
            true => self.map_target(leaf, at, &lifted, target),
            false => self.compare_and_map(leaf, at, &lifted, target),
        });
        if exchanged.is_err() {
            leaf.install(at, old, Some(Rss::Anon));
        }
        exchanged
    }

    /// Nobody but the mappings may have the page, and no mapping for itself, from here on.
    fn take_exclusivity(&self, leaf: &mut Leaf<'_, 'm, M>, (pfn, old): (Pfn, Entry)) -> Result<Lifted, Busy> {
        if leaf.planted(Plant::KsmMergesPinned) {
            let was = if self.is_exclusive(leaf, pfn) { Was::Exclusive } else { Was::Shared };
            self.descriptor(pfn).forget_exclusive(leaf);
            return Ok(Lifted { pfn, old, was });
        }
        if !self.is_only_mapped(leaf, self.descriptor(pfn)) {
            return Err(Busy::Held);
        }
        let was = self.try_share(leaf, pfn).map_err(|_| Busy::Held)?;
        Ok(Lifted { pfn, old, was })
    }

    fn compare_and_map(
        &self,
        leaf: &mut Leaf<'_, 'm, M>,
        at: Vpn,
        lifted: &Lifted,
        target: Target,
    ) -> Merging {
        let same = leaf.planted(Plant::KsmComparesEarly) || self.is_same(leaf, lifted.pfn, target);
        let mapped = if same { self.map_target(leaf, at, lifted, target) } else { Err(Busy::Different) };
        if mapped.is_err() && lifted.was == Was::Exclusive {
            // Nobody could get at the page meanwhile: it is as exclusive as it was.
            self.come_back(leaf, lifted.pfn);
        }
        mapped
    }

    fn is_same(&self, leaf: &Leaf<'_, 'm, M>, pfn: Pfn, target: Target) -> bool {
        let like = match target {
            Target::Itself(_) => return true,
            Target::Page(_, merged) => merged,
            Target::Zero => self.zero_frame(),
        };
        leaf.machine().same_bytes(leaf.cpu(), UserFrame(pfn), UserFrame(like))
    }

    fn map_target(&self, leaf: &mut Leaf<'_, 'm, M>, at: Vpn, lifted: &Lifted, target: Target) -> Merging {
        let Lifted { pfn, old, .. } = *lifted;
        let page = self.descriptor(pfn);
        let attrs = M::Entry::attrs(old);
        let read_only = Attrs { perms: attrs.perms.read_only(), dirty: false, ..attrs };
        let (asid, to) = (leaf.table().domain().asid(), self.frame_of(pfn, target));
        leaf.trace(|| Event::Merged { asid, page: at, from: pfn, to });
        match target {
            Target::Itself(node) => {
                page.set_owner(leaf, owner_number(node), 0);
                // Its bytes are stored nowhere: the entry's dirty bit is gone, but not what it said.
                page.set(leaf, Flags::DIRTY);
                page.set_state(leaf, State::Ksm);
                leaf.install(at, M::Entry::leaf(pfn, read_only, Level::LEAF), Some(Rss::Anon));
                return Ok(());
            }
            Target::Page(_, merged) => {
                self.map_again(leaf, merged).map_err(|_| Busy::Held)?;
                leaf.install(at, M::Entry::leaf(merged, read_only, Level::LEAF), Some(Rss::Anon));
            }
            Target::Zero => {
                // LINUX: ksm_map_zero_page(): the dirty bit says that the entry is one of these.
                let zero = Attrs { special: true, dirty: true, ..read_only };
                leaf.install(at, M::Entry::leaf(self.zero_frame(), zero, Level::LEAF), None);
                self.ksm.shared.zero_pages.add_shared(1);
            }
        }
        // The entry was flushed: its reference goes with it. The caller's own keeps the page for now.
        page.remove_map(leaf);
        self.frames().put(leaf.at(), pfn);
        Ok(())
    }

    fn frame_of(&self, pfn: Pfn, target: Target) -> Pfn {
        match target {
            Target::Itself(_) => pfn,
            Target::Page(_, merged) => merged,
            Target::Zero => self.zero_frame(),
        }
    }

    /// Whether nobody has a page but its mappings, and the caller with one reference.
    fn is_only_mapped<const L: u8>(&self, cx: &Cx<'m, M, L>, page: &Descriptor) -> bool {
        let counts = page.counts(cx);
        counts.refs() == counts.maps() + 1 || cx.planted(Plant::KsmMergesPinned)
    }

    /// Makes a merged page, which was merged with none after all, an anonymous page again: the one of the
    /// mapping it was made from. What has others by now stays merged. Its node is in no tree. (scan)
    pub fn unmerge_single(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        site: &Site,
        (node, pfn): (Id<Node>, Pfn),
    ) -> Merging {
        let page = self.descriptor(pfn);
        let mut locked = self.try_lock_page(cx.at(), pfn).ok_or(Busy::Held)?;
        {
            let leaf = self.walker(site.table).lock_leaf_existing((*locked).at(), site.page);
            let leaf = leaf.ok_or(Busy::Moved)?;
            let maps_it = M::Entry::kind(leaf.entry(site.page), leaf.level()) == Kind::Leaf(pfn);
            let counts = page.counts(&leaf);
            if !maps_it || counts.maps() != 1 || counts.refs() != 2 {
                return Err(Busy::Held);
            }
            // As if it was born: its only mapping is here, and read-only.
            page.set_owner(&leaf, owner_number(site.ctx.lineage), site.ctx.index);
            page.set_state(&leaf, State::Anon);
            page.make_exclusive(&leaf);
        }
        self.forget_items(&mut locked, node);
        Ok(())
    }

    /// A mapping of the page of zeros comes or goes that merging made: see [`is_merged_zero`].
    pub fn count_merged_zero(&self, entry: Entry, sign: Sign) {
        if is_merged_zero::<M>(entry) {
            self.ksm.shared.zero_pages.add_shared(match sign {
                Sign::Comes => 1,
                Sign::Goes => 1u64.wrapping_neg(),
            });
        }
    }
}

/// Whether a mapping comes or goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// It comes.
    Comes,
    /// It goes.
    Goes,
}

/// Whether an entry maps the page of zeros in the place of a merged page: hardware never sets its dirty bit.
// LINUX: include/linux/ksm.h is_ksm_zero_pte().
pub fn is_merged_zero<M: Machine>(entry: Entry) -> bool {
    let attrs = M::Entry::attrs(entry);
    matches!(M::Entry::kind(entry, Level::LEAF), Kind::Leaf(_)) && attrs.special && attrs.dirty
}

/// Whether no store passes an entry, as far as the entry says.
fn looks_harmless<M: Machine>(entry: Entry) -> bool {
    let attrs = M::Entry::attrs(entry);
    !attrs.perms.write && !attrs.dirty
}
