//! Merged pages: what names them, and how they are mapped.

use super::sums::SpaceSums;
use crate::context::{Run, holds};
use core::fmt;
use frame::{Block, Id, State};
use machine::{Machine, Pfn};
use object::exclusive::AnonCtx;
use object::ksm::{Item, Node};
use object::{Lineage, owner_id};

/// What was reached of merging.
#[derive(Default)]
pub(crate) struct MergeSums {
    /// Nodes that are found in a tree.
    pub(crate) nodes: u64,
    /// Items of stable nodes.
    pub(crate) items: u64,
}

/// Checks all nodes and their items.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>, spaces: &SpaceSums) -> MergeSums {
    let objects = run.objects();
    let mut sums = MergeSums::default();
    objects.for_each_node(&mut |node| {
        sums.nodes += 1;
        let items = objects.merge_items(node.id).count() as u64;
        sums.items += items;
        let (id, counted) = (node.id.raw(), node.items);
        holds!(run, KR3, items == counted, "node {id}: {items} items, {counted} counted");
        let stable = node.frame.is_some();
        holds!(run, KR3, stable || items == 0, "node {id} is a candidate and has {items} items");
    });
    let counted: u64 = objects.nodes_counted().iter().sum();
    let found = sums.nodes;
    holds!(run, KR3, found == counted, "{found} nodes are where their hash leads, {counted} were counted");
    let kept: u64 = objects.lineage_ids().map(|id| objects.lineage(id).mappers().kept()).sum();
    let items = sums.items;
    holds!(run, KR3, kept == items, "lineages are kept by {kept} items, there are {items}");
    let (own, found) = (objects.merged_zero_pages(), spaces.merged_zeros);
    holds!(run, KR4, own == found, "{own} zero pages are counted, {found} entries map one");
    sums
}

/// A mapping of a merged page: the page names a node, which has the page and an item for the place.
pub(crate) fn kr2<M: Machine>(
    run: &mut Run<'_, '_, M>,
    pfn: Pfn,
    lineage: Option<Id<Lineage>>,
    (at, index): (&dyn fmt::Display, u64),
) {
    let place = lineage.map(|lineage| AnonCtx { lineage, index });
    let node = node_of(run, pfn);
    let objects = run.objects();
    let noted = node.is_some_and(|node| objects.merge_items(node).map(Item::place).any(|item| item == place));
    holds!(run, KR2, noted, "{at}: merged {pfn:?} names node {node:?}, which has no item for {place:?}");
}

/// A merged page as a block of frames.
pub(crate) fn check_page<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block) {
    if block.meta.state() != State::Ksm {
        return;
    }
    let (pfn, counts) = (block.pfn, block.counts);
    let nobodys = !counts.is_exclusive() && counts.pins() == 0;
    holds!(run, KR1, nobodys, "merged {pfn:?} has {counts:?}");
    let node = node_of(run, pfn);
    let named = node.and_then(|node| run.objects().merged_frame(node)) == Some(pfn);
    holds!(run, KR3, named, "merged {pfn:?} names node {node:?}, which has another page");
}

/// The node that a page names, if there is one of this number.
fn node_of<M: Machine>(run: &Run<'_, '_, M>, pfn: Pfn) -> Option<Id<Node>> {
    let owner = run.descriptor(pfn)?.quiet_owner().0;
    owner_id(owner).filter(|&id| run.objects().is_node(id))
}
