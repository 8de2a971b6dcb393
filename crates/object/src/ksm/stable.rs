//! Merged pages: finding one, and letting go of those that are gone.

use crate::ksm_model::{Node, Sight};
use crate::objects::Objects;
use crate::page::{owner_id, owner_number};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use frame::{Descriptor, Flags, Id, State};
use machine::{Cx, Machine, Memory, Pfn, Plant, Shortage, UserFrame, Vpn, level};

/// A page's last word holds the hash it had when it was last looked at, and in these bits in which pass.
const PASS: u64 = 0xffff;

impl<'m, M: Machine> Objects<'m, M> {
    /// The stable node that a merged page names.
    pub fn node_of<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Option<Id<Node>> {
        let page = self.descriptor(pfn);
        (page.state(cx) == State::Ksm).then(|| owner_id(page.owner(cx))).flatten()
    }

    /// Whether a page has not changed since the pass before. The caller has a reference, and scans.
    // LINUX: mm/ksm.c cmp_and_merge_page(), oldchecksum. The last hash is kept by the page, not by the place
    // that maps it: a page that was just copied counts as changed once more.
    pub fn look_for_merge(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, pfn: Pfn, pass: u64) -> Sight {
        let folio = self.folio(cx, pfn);
        if folio.page.state(cx) == State::Ksm {
            return Sight::Merged;
        }
        let Some(locked) = self.try_lock_page(cx.at(), folio.head) else { return Sight::Unfit };
        if !is_mergeable(&locked, folio.page) {
            return Sight::Unfit;
        }
        // Of a large page each part is looked at for itself: nobody else uses the links of its tails.
        let page = self.descriptor(pfn);
        let hash = locked.machine().hash_bytes(locked.cpu(), UserFrame(pfn));
        let now = hash & !PASS | pass & PASS;
        // RELAXED: the page lock orders who looks.
        let before = locked.load(page.link_word(), Relaxed);
        locked.store(page.link_word(), now, Relaxed);
        match () {
            () if before == now => Sight::Unfit,
            () if (before ^ now) & !PASS == 0 => Sight::Settled(hash),
            () => Sight::Changed,
        }
    }

    /// A stable node for a page that becomes a merged one, in no tree yet. (scan)
    pub fn new_stable_node(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        hash: u64,
    ) -> Result<Id<Node>, Shortage> {
        let id = self.ksm.nodes.alloc(cx, self.frames())?;
        self.ksm.node(id).hash.set(hash);
        Ok(id)
    }

    /// Gives a node back that is in no tree and has no items. (scan)
    pub fn free_node(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, id: Id<Node>) {
        debug_assert!(self.ksm.node(id).count.get() == 0, "a node with items is freed");
        self.ksm.nodes.free(cx, id);
    }

    /// Lets others find the merged page of a node. (scan)
    pub fn publish_stable_node<const L: u8>(&self, cx: &Cx<'m, M, L>, id: Id<Node>, pfn: Pfn) {
        self.ksm.node(id).set_frame(cx, pfn);
        self.ksm.insert(&self.ksm.shared.stable, id);
    }

    /// A merged page with the same bytes that can take one more mapping, with a reference. (scan)
    // LINUX: mm/ksm.c stable_tree_search(), stable_node_dup().
    pub fn find_merged(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        hash: u64,
        (like, max_sharing): (Pfn, u64),
    ) -> Option<(Id<Node>, Pfn)> {
        let mut next = self.ksm.find(&self.ksm.shared.stable, hash);
        while let Some(id) = next {
            next = self.ksm.node(id).same.get();
            let pfn = match self.get_merged(cx, id) {
                Named::Page(pfn) => pfn,
                Named::Moving => continue,
                Named::Gone => {
                    self.drop_stale(cx, id);
                    // Another node may have taken its place in the tree: its chain is looked at from the
                    // start.
                    next = self.ksm.find(&self.ksm.shared.stable, hash);
                    continue;
                }
            };
            let has_room = self.descriptor(pfn).maps(cx) < max_sharing;
            if has_room && cx.machine().same_bytes(cx.cpu(), UserFrame(pfn), UserFrame(like)) {
                return Some((id, pfn));
            }
            self.frames().put(cx.at(), pfn);
        }
        None
    }

    /// The merged page of a node, with a reference, if it still is one. (scan)
    // LINUX: mm/ksm.c ksm_get_folio().
    fn get_merged(&self, cx: &mut Cx<'m, M, { level::PAGE }>, id: Id<Node>) -> Named {
        let node = self.ksm.node(id);
        loop {
            let Some(pfn) = node.frame(cx) else { return Named::Gone };
            let page = self.descriptor(pfn);
            let is_named = |cx: &Cx<'m, M, { level::PAGE }>| {
                page.state(cx) == State::Ksm && page.owner(cx) == owner_number(id)
            };
            if page.try_get(cx) {
                // Whom only this reference keeps is about to go.
                if is_named(cx) && page.refs(cx) > 1 {
                    return Named::Page(pfn);
                }
                self.frames().put(cx.at(), pfn);
            } else if page.test(cx, Flags::LOCKED) && is_named(cx) {
                // Who has the lock has a reference, unless all were taken away in one step: to move it.
                return Named::Moving;
            }
            // ORDERING: SeqCst pairs with the fence in `follow_merged`: who finds that the old frame is not
            // the page any more finds where it is.
            cx.fence(SeqCst);
            if node.frame(cx) == Some(pfn) || cx.planted(Plant::KsmNodeForgotten) {
                return Named::Gone;
            }
        }
    }

    /// A merged page is in another frame from here on. Its old frame has no references any more; both are
    /// locked.
    // LINUX: mm/ksm.c folio_migrate_ksm().
    pub(crate) fn follow_merged(&self, cx: &Cx<'m, M, { level::PAGE }>, id: Id<Node>, to: Pfn) {
        self.ksm.node(id).set_frame(cx, to);
        // ORDERING: SeqCst, see `get_merged`: before the old frame is unlocked and somebody else's.
        cx.fence(SeqCst);
    }

    /// Lets a node go whose page is gone. (scan)
    pub(crate) fn drop_stale(&self, cx: &mut Cx<'m, M, { level::PAGE }>, id: Id<Node>) {
        self.ksm.remove(&self.ksm.shared.stable, id);
        self.forget_items(cx, id);
        self.free_node(cx.at(), id);
    }

    /// Lets go of all that no page needs any more: nodes of pages that are gone, and items of places where
    /// their page is not mapped any more. (scan)
    pub fn prune_merged(&self, cx: &mut Cx<'m, M, { level::PAGE }>) {
        for id in self.ksm.nodes.ids() {
            let node = self.ksm.node(id);
            if node.frame(cx).is_none() {
                continue;
            }
            let pfn = match self.get_merged(cx, id) {
                Named::Page(pfn) => pfn,
                Named::Moving => continue,
                Named::Gone => {
                    self.drop_stale(cx, id);
                    continue;
                }
            };
            // Without forks there is an item for each mapping.
            if node.count.get() > self.descriptor(pfn).maps(cx)
                && let Some(mut locked) = self.try_lock_page(cx, pfn)
            {
                self.prune_items(&mut locked, id, pfn);
            }
            self.frames().put(cx.at(), pfn);
        }
    }

    // ---- candidates ----

    /// The candidate of a hash: an address space, by its number, and a page. (scan)
    pub fn find_candidate(&self, hash: u64) -> Option<(u64, Vpn)> {
        Some(self.ksm.node(self.ksm.find(&self.ksm.shared.unstable, hash)?).place())
    }

    /// Makes a place the candidate of a hash, in the place of the one before if there is one. Without memory
    /// for a node it is none. (scan)
    // LINUX: mm/ksm.c unstable_tree_search_insert(). Of two contents with one hash only one can be a
    // candidate: the other waits for the next pass.
    pub fn set_candidate(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, hash: u64, place: (u64, Vpn)) {
        let tree = &self.ksm.shared.unstable;
        let known = self.ksm.find(tree, hash);
        let made = known.or_else(|| self.new_stable_node(cx, hash).ok());
        let Some(id) = made else { return };
        self.ksm.node(id).set_place(place);
        if known.is_none() {
            self.ksm.insert(tree, id);
        }
    }

    /// The candidate of a hash is one no more: it was merged. (scan)
    pub fn drop_candidate(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, hash: u64) {
        let tree = &self.ksm.shared.unstable;
        if let Some(id) = self.ksm.find(tree, hash) {
            self.ksm.remove(tree, id);
            self.free_node(cx, id);
        }
    }

    /// A new pass: what was not merged in the last one may have changed. (scan)
    pub fn drop_candidates(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>) {
        while let Some(id) = self.ksm.pop(&self.ksm.shared.unstable) {
            self.free_node(cx, id);
        }
    }
}

/// What is to be found where a stable node says.
enum Named {
    /// The merged page, with a reference.
    Page(Pfn),
    /// The merged page, which is being moved to another frame just now.
    Moving,
    /// Nothing any more.
    Gone,
}

/// Whether a page is of a kind that can be merged, by the head of its folio.
pub(crate) fn is_mergeable<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, page: &Descriptor) -> bool {
    let meta = page.meta(cx);
    meta.is_head() && meta.state() == State::Anon && !meta.flags().has(Flags::SWAPCACHED)
}
