//! The scanner of same-page merging (Linux: `ksmd`).
//!
//! A step looks at some pages of mergeable memory, one after the other through all spaces. Each page is
//! looked for among the merged ones first. One that has not changed since the last pass is then looked for
//! among the candidates of this pass: two equal ones become a merged page. At the end of a pass the
//! candidates are forgotten, for their pages may change without anybody knowing.
//!
//! One task scans at a time. It waits for no page and no memory: what is busy, or what there is no memory
//! for, is left for the next pass. A space that exits meanwhile is passed over; one whose last user leaves
//! while the scanner looks at it is taken down by the scanner.

use frame::Id;
use machine::lock::Sleep;
use machine::{Boot, Cx, Field, Machine, Pfn, Shortage, UserFrame, Vpn, level};
use object::ksm::{Node, Totals};
use object::{Merging, Sight, Split, Target};
use space::{NextPage, Space, Spaces};

/// Mappings of one merged page, unless fork makes more (Linux: `max_page_sharing`).
const SHARING_DEFAULT: u64 = 256;
/// Pages a step looks at (Linux: `pages_to_scan`).
const PAGES_DEFAULT: u64 = 100;
/// Milliseconds between two steps (Linux: `sleep_millisecs`).
const SLEEP_DEFAULT: u64 = 20;

/// Keys of two nodes for one hash differ by this: an odd number with bits everywhere.
const NODE_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the scanner is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Run {
    /// Nothing; what is merged stays merged.
    Stop = 0,
    /// Scan.
    Merge = 1,
    /// Nothing; what was merged has been undone.
    Unmerge = 2,
}

impl machine::FieldValue for Run {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        match bits {
            1 => Run::Merge,
            2 => Run::Unmerge,
            _ => Run::Stop,
        }
    }
}

/// What an administrator chooses: `/sys/kernel/mm/ksm`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KsmSettings {
    /// Whether the scanner runs.
    pub run: Run,
    /// Pages of a step.
    pub pages_to_scan: u64,
    /// Milliseconds between two steps: for whoever calls the scanner.
    pub sleep_millisecs: u64,
    /// Whether pages of zeros are merged with the page of zeros.
    pub use_zero_pages: bool,
    /// Mappings of one merged page; at least 2.
    pub max_page_sharing: u64,
    /// Whether pages of several nodes are merged with each other. (Changed only while nothing is merged.)
    pub merge_across_nodes: bool,
}

impl KsmSettings {
    /// As Linux starts: stopped.
    pub const DEFAULT: KsmSettings = KsmSettings {
        run: Run::Stop,
        pages_to_scan: PAGES_DEFAULT,
        sleep_millisecs: SLEEP_DEFAULT,
        use_zero_pages: false,
        max_page_sharing: SHARING_DEFAULT,
        merge_across_nodes: true,
    };
}

machine::cells! {
    /// What all CPUs share.
    pub(crate) struct Shared {
        /// One scans at a time (scan).
        lock: Sleep<{ level::PROCESS }>,
        run: Field<Run>,
        pages_to_scan: Field<u64>,
        sleep_millisecs: Field<u64>,
        use_zero_pages: Field<bool>,
        max_page_sharing: Field<u64>,
        merge_across_nodes: Field<bool>,
        /// (scan) Whether a pass is under way.
        is_passing: Field<bool>,
        /// (scan) The space the pass has come to, as its number.
        space: Field<u64>,
        /// (scan) The page there.
        page: Field<Vpn>,
        /// (scan) Passes that are over.
        full_scans: Field<u64>,
        /// (scan) Pages looked at.
        scanned: Field<u64>,
        /// (scan) Pages of this pass that had changed.
        volatile: Field<u64>,
    }
}

/// The scanner.
pub struct Ksm<'m> {
    shared: &'m Shared,
}

/// How merging stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct KsmReport {
    /// What is merged now.
    pub totals: Totals,
    /// Passes over all mergeable memory (Linux: `full_scans`).
    pub full_scans: u64,
    /// Pages looked at (Linux: `pages_scanned`).
    pub scanned: u64,
    /// Pages that had changed, in the last pass or so far in this one (Linux: `pages_volatile`).
    pub volatile: u64,
}

/// A page that is looked at, with a reference to its frame; its space has a user more.
#[derive(Clone, Copy)]
struct Found {
    space: Id<Space>,
    page: Vpn,
    frame: Pfn,
}

/// The scanner at work.
struct Scan<'a, 'c, 'm, M: Machine> {
    shared: &'a Shared,
    spaces: &'a Spaces<'m, M>,
    cx: &'c mut Cx<'m, M, { level::PROCESS }>,
    /// The hash of a page of zeros, if such pages are merged.
    zeros: Option<u64>,
}

impl<'m> Ksm<'m> {
    /// Lays the shared part out in boot memory.
    pub(crate) fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let ksm = Ksm { shared: &boot.array::<Shared>(1)?[0] };
        ksm.set(&KsmSettings::DEFAULT);
        Ok(ksm)
    }

    /// The settings.
    pub fn settings(&self) -> KsmSettings {
        KsmSettings {
            run: self.shared.run.get(),
            pages_to_scan: self.shared.pages_to_scan.get(),
            sleep_millisecs: self.shared.sleep_millisecs.get(),
            use_zero_pages: self.shared.use_zero_pages.get(),
            max_page_sharing: self.shared.max_page_sharing.get(),
            merge_across_nodes: self.shared.merge_across_nodes.get(),
        }
    }

    /// Other settings, from the next page on. Whoever chooses [`Run::Unmerge`] undoes what is merged
    /// afterwards.
    pub fn set(&self, settings: &KsmSettings) {
        self.shared.run.set(settings.run);
        self.shared.pages_to_scan.set(settings.pages_to_scan);
        self.shared.sleep_millisecs.set(settings.sleep_millisecs);
        self.shared.use_zero_pages.set(settings.use_zero_pages);
        self.shared.max_page_sharing.set(settings.max_page_sharing.max(2));
        self.shared.merge_across_nodes.set(settings.merge_across_nodes);
    }

    /// Whether nobody scans or waits to: for checkers of a quiet machine.
    pub fn is_idle(&self) -> bool {
        self.shared.lock.is_idle()
    }

    /// How merging stands.
    pub fn report<M: Machine>(&self, cx: &mut Cx<'m, M>, spaces: &Spaces<'m, M>) -> KsmReport {
        let _held = self.shared.lock.write(cx);
        KsmReport {
            totals: spaces.objects().merge_totals(),
            full_scans: self.shared.full_scans.get(),
            scanned: self.shared.scanned.get(),
            volatile: self.shared.volatile.get(),
        }
    }

    /// Looks at up to `budget` pages, and not beyond the end of a pass; answers at how many. Whether the
    /// scanner is to run is the caller's to ask.
    // LINUX: mm/ksm.c ksm_do_scan().
    pub fn scan<M: Machine>(&self, cx: &mut Cx<'m, M>, spaces: &Spaces<'m, M>, budget: u64) -> u64 {
        let mut cx = self.shared.lock.write(cx);
        let zeros = self.shared.use_zero_pages.get().then(|| {
            let zero = UserFrame(spaces.objects().zero_frame());
            cx.machine().hash_bytes(cx.cpu(), zero)
        });
        let mut scan = Scan { shared: self.shared, spaces, cx: &mut cx, zeros };
        let mut looked = 0;
        while looked < budget {
            let Some(found) = scan.next_page() else { break };
            looked += 1;
            scan.shared.scanned.add(1);
            scan.look_at(&found);
            scan.let_go(&found);
        }
        looked
    }

    /// Forgets the pass under way, and whatever is remembered of pages that are merged no more.
    // LINUX: mm/ksm.c unmerge_and_remove_all_rmap_items().
    pub fn forget<M: Machine>(&self, cx: &mut Cx<'m, M>, spaces: &Spaces<'m, M>) {
        let mut cx = self.shared.lock.write(cx);
        self.shared.is_passing.set(false);
        self.shared.full_scans.set(0);
        spaces.objects().drop_candidates(cx.at());
        spaces.objects().prune_merged(cx.at());
    }
}

impl<'m, M: Machine> Scan<'_, '_, 'm, M> {
    fn let_go(&mut self, found: &Found) {
        self.spaces.frames().put(self.cx.at(), found.frame);
        self.spaces.release(self.cx, found.space);
    }

    /// The next page of this pass, or of a new one; `None` at the end of a pass.
    // LINUX: mm/ksm.c scan_get_next_rmap_item().
    fn next_page(&mut self) -> Option<Found> {
        if !self.shared.is_passing.get() {
            self.spaces.mergeable_from(Id::from_raw(0))?;
            self.begin_pass();
        }
        loop {
            let first = Id::from_raw(self.shared.space.get() as u32);
            let Some(space) = self.spaces.mergeable_from(first) else {
                self.end_pass();
                return None;
            };
            if space != first {
                self.go_on_at(space, Vpn(0));
            }
            if let Some(found) = self.next_in(space) {
                return Some(found);
            }
        }
    }

    /// The next page of a space; `None` after a step on.
    fn next_in(&mut self, space: Id<Space>) -> Option<Found> {
        let next = Id::from_raw(space.raw() + 1);
        if !self.spaces.try_retain(self.cx, space) {
            self.go_on_at(next, Vpn(0));
            return None;
        }
        match self.spaces.next_mergeable(self.cx, space, self.shared.page.get()) {
            NextPage::Page { page, frame } => {
                self.go_on_at(space, page + 1);
                return Some(Found { space, page, frame });
            }
            NextPage::Later(page) => self.go_on_at(space, page),
            NextPage::End => self.go_on_at(next, Vpn(0)),
        }
        self.spaces.release(self.cx, space);
        None
    }

    fn go_on_at(&self, space: Id<Space>, page: Vpn) {
        self.shared.space.set(u64::from(space.raw()));
        self.shared.page.set(page);
    }

    fn begin_pass(&mut self) {
        self.spaces.objects().drop_candidates(self.cx.at());
        self.shared.volatile.set(0);
        self.shared.is_passing.set(true);
        self.go_on_at(Id::from_raw(0), Vpn(0));
    }

    fn end_pass(&mut self) {
        self.shared.is_passing.set(false);
        self.shared.full_scans.add(1);
        self.spaces.objects().prune_merged(self.cx.at());
    }

    // LINUX: mm/ksm.c cmp_and_merge_page().
    fn look_at(&mut self, found: &Found) {
        // Never 0, which a page that was never looked at has.
        let pass = self.shared.full_scans.get() % 0xffff + 1;
        let hash = match self.spaces.objects().look_for_merge(self.cx.at(), found.frame, pass) {
            Sight::Settled(hash) => hash,
            Sight::Changed => return self.shared.volatile.add(1),
            Sight::Merged | Sight::Unfit => return,
        };
        let (place, frame) = ((found.space, found.page), found.frame);
        if self.zeros == Some(hash) && self.spaces.merge_page(self.cx, place, frame, Target::Zero).is_ok() {
            return;
        }
        let hash = self.key(found, hash);
        if self.join_merged(found, hash) {
            return;
        }
        if self.join_candidate(found, hash) {
            return;
        }
        let place = (u64::from(found.space.raw()), found.page);
        self.spaces.objects().set_candidate(self.cx.at(), hash, place);
    }

    /// What a page is found by: the hash of its bytes, and of its node if each node's pages are merged apart.
    // LINUX: mm/ksm.c has a tree for each node (get_kpfn_nid()). A merged page that moved to another node is
    // found there no more until it is made anew; Linux puts it into the other tree when it meets it.
    fn key(&self, found: &Found, hash: u64) -> u64 {
        if self.shared.merge_across_nodes.get() {
            return hash;
        }
        let node = self.spaces.frames().descriptor(found.frame).node(self.cx);
        hash.wrapping_add((u64::from(node.0) + 1).wrapping_mul(NODE_STEP))
    }

    /// Goes over to a merged page with the same bytes, if there is one; answers whether there was.
    fn join_merged(&mut self, found: &Found, hash: u64) -> bool {
        let objects = self.spaces.objects();
        let limit = self.shared.max_page_sharing.get();
        let Some((node, merged)) = objects.find_merged(self.cx.at(), hash, (found.frame, limit)) else {
            return false;
        };
        if !self.may_meet(found.frame, merged) {
            self.spaces.frames().put(self.cx.at(), merged);
            return false;
        }
        let target = Target::Page(node, merged);
        // What is busy now is looked at again in the next pass.
        let _ = self.merge(found, target);
        self.spaces.frames().put(self.cx.at(), merged);
        true
    }

    fn merge(&mut self, found: &Found, target: Target) -> Merging {
        self.spaces.merge_page(self.cx, (found.space, found.page), found.frame, target)
    }

    /// Merges the page with the candidate of its hash, if that still has the same bytes; answers whether the
    /// page needs no more looking for.
    // LINUX: mm/ksm.c unstable_tree_search_insert(), try_to_merge_two_pages().
    fn join_candidate(&mut self, found: &Found, hash: u64) -> bool {
        let Some((space, page)) = self.spaces.objects().find_candidate(hash) else { return false };
        let space = Id::from_raw(space as u32);
        if (space, page) == (found.space, found.page) || !self.spaces.try_retain(self.cx, space) {
            return false;
        }
        let Some(twin) = self.twin_at(found, (space, page)) else {
            self.spaces.release(self.cx, space);
            return false;
        };
        let is_twin = self.is_twin(found, &twin);
        if is_twin {
            self.merge_twins(found, &twin, hash);
        }
        self.let_go(&twin);
        is_twin
    }

    /// The candidate at a place. Of a large page that has both, the two become pages of their own first.
    // LINUX: cmp_and_merge_page() splits such a page at the end, and merges in the next pass.
    fn twin_at(&mut self, found: &Found, (space, page): (Id<Space>, Vpn)) -> Option<Found> {
        let frame = self.spaces.mergeable_at(self.cx, space, page)?;
        let twin = Found { space, page, frame };
        let head_of = |frame| self.spaces.frames().folio(self.cx, frame).0;
        if head_of(frame) != head_of(found.frame) || !self.is_twin(found, &twin) {
            return Some(twin);
        }
        self.spaces.frames().put(self.cx.at(), frame);
        match self.spaces.objects().split_folio(self.cx.at(), found.frame) {
            Split::Done => {
                self.spaces.mergeable_at(self.cx, space, page).map(|frame| Found { frame, ..twin })
            }
            Split::Refused => None,
        }
    }

    /// Whether the settings let two pages be one: one of them may have moved since its key was made.
    fn may_meet(&self, a: Pfn, b: Pfn) -> bool {
        let node = |pfn| self.spaces.frames().descriptor(pfn).node(self.cx);
        self.shared.merge_across_nodes.get() || node(a) == node(b)
    }

    /// Whether two pages are worth merging: one page that is mapped twice is not.
    fn is_twin(&self, found: &Found, twin: &Found) -> bool {
        let (a, b) = (UserFrame(found.frame), UserFrame(twin.frame));
        a != b && self.may_meet(a.0, b.0) && self.cx.machine().same_bytes(self.cx.cpu(), a, b)
    }

    /// Two pages become one: the first as it is, then the other goes over to it.
    fn merge_twins(&mut self, found: &Found, twin: &Found, hash: u64) {
        let objects = self.spaces.objects();
        let Ok(node) = objects.new_stable_node(self.cx.at(), hash) else { return };
        if self.merge(found, Target::Itself(node)).is_err() {
            return objects.free_node(self.cx.at(), node);
        }
        let merged = self.merge(twin, Target::Page(node, found.frame));
        if merged.is_err() && self.undo_single(found, node) {
            return objects.free_node(self.cx.at(), node);
        }
        objects.publish_stable_node(self.cx, node, found.frame);
        if merged.is_ok() {
            objects.drop_candidate(self.cx.at(), hash);
        }
    }

    /// A merged page of one mapping saves nothing. Answers whether it is one no more.
    fn undo_single(&mut self, found: &Found, node: Id<Node>) -> bool {
        let place = (found.space, found.page);
        self.spaces.unmerge_single(self.cx, place, (node, found.frame)).is_ok()
    }
}
