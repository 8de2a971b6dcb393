//! The reverse map of merged pages.
//!
//! The page's descriptor names its stable node, and the node has an **item** for each family of address
//! spaces and index in it that the page came to stand for. A merged page is mapped only where an item says:
//! what fork copies and `mremap` moves keeps its family and index, so neither has to tell anybody. An item
//! may outlive its mappings; it is let go when its node is looked at again. It keeps its lineage from being
//! freed, as `get_anon_vma` does on Linux.

use crate::exclusive::AnonCtx;
use crate::ksm_model::{Item, Node};
use crate::model::{Mapping, Owner};
use crate::objects::Objects;
use frame::Id;
use machine::entry::Kind;
use machine::{Cx, EntryFormat, Level, Machine, Pfn, Shortage, VpnRange, level};

/// Whether an item had to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Noted {
    /// It was there.
    Before,
    /// It is the first of its node's list.
    Now,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// The items of a stable node. (page)
    pub fn merge_items(&self, node: Id<Node>) -> impl Iterator<Item = &'m Item> + '_ {
        let mut next = self.ksm.node(node).items.get();
        core::iter::from_fn(move || {
            let item = self.ksm.items.get(next?);
            next = item.next.get();
            Some(item)
        })
    }

    /// Notes that the page of a node may be mapped at a place, before it is. (page)
    pub(crate) fn note_item(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        node: Id<Node>,
        place: AnonCtx,
    ) -> Result<Noted, Shortage> {
        if self.merge_items(node).any(|item| item.place() == Some(place)) {
            return Ok(Noted::Before);
        }
        let id = self.ksm.items.alloc(cx.at(), self.frames())?;
        self.keep_lineage(cx, place.lineage);
        let (item, node) = (self.ksm.items.get(id), self.ksm.node(node));
        item.lineage.set(Some(place.lineage));
        item.index.set(place.index);
        item.next.set(node.items.replace(Some(id)));
        node.count.add(1);
        Ok(Noted::Now)
    }

    /// Takes back what was noted last, for a page that did not come to be mapped there. (page)
    pub(crate) fn forget_item(&self, cx: &mut Cx<'m, M, { level::PAGE }>, node: Id<Node>, noted: Noted) {
        if noted == Noted::Now
            && let Some(id) = self.ksm.node(node).items.get()
        {
            self.ksm.node(node).items.set(self.ksm.items.get(id).next.get());
            self.free_item(cx, node, id);
        }
    }

    /// Lets all items of a node go. (page)
    pub(crate) fn forget_items(&self, cx: &mut Cx<'m, M, { level::PAGE }>, node: Id<Node>) {
        while self.ksm.node(node).items.get().is_some() {
            self.forget_item(cx, node, Noted::Now);
        }
    }

    fn free_item(&self, cx: &mut Cx<'m, M, { level::PAGE }>, node: Id<Node>, id: Id<Item>) {
        self.ksm.node(node).count.sub(1);
        if let Some(lineage) = self.ksm.items.get(id).lineage.get() {
            self.let_lineage_go(cx, lineage);
        }
        self.ksm.items.free(cx.at(), id);
    }

    /// Lets the items go whose families do not map the page any more. (page)
    pub(crate) fn prune_items(&self, cx: &mut Cx<'m, M, { level::PAGE }>, node: Id<Node>, pfn: Pfn) {
        let owner = self.ksm.node(node);
        let mut before: Option<Id<Item>> = None;
        let mut next = owner.items.get();
        while let Some(id) = next {
            let item = self.ksm.items.get(id);
            next = item.next.get();
            if item.place().is_some_and(|place| self.is_mapped_at(cx, place, pfn)) {
                before = Some(id);
                continue;
            }
            match before {
                Some(before) => self.ksm.items.get(before).next.set(next),
                None => owner.items.set(next),
            }
            self.free_item(cx, node, id);
        }
    }

    fn is_mapped_at(&self, cx: &mut Cx<'m, M, { level::PAGE }>, place: AnonCtx, pfn: Pfn) -> bool {
        let mut found = false;
        self.for_each_mapping(cx, place.owner(), place.index..place.index + 1, |cx, mapping, part| {
            let leaf = self.walker(mapping.table).lock_leaf_existing(cx, part.start);
            found |= leaf.is_some_and(|leaf| {
                M::Entry::kind(leaf.entry(part.start), leaf.level()) == Kind::Leaf(pfn)
                    && leaf.level() == Level::LEAF
            });
        });
        found
    }

    /// Calls `visit` for every place a merged page may be mapped at, item by item. The page is locked.
    // LINUX: mm/ksm.c rmap_walk_ksm().
    pub fn for_each_merged_mapping(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        node: Id<Node>,
        mut visit: impl FnMut(&mut Cx<'m, M, { level::RMAP }>, &Mapping, VpnRange),
    ) {
        for AnonCtx { lineage, index } in self.merge_items(node).filter_map(Item::place) {
            self.for_each_mapping(cx, Owner::Lineage(lineage), index..index + 1, &mut visit);
        }
    }
}
