//! Frames: accounting, free lists, counts.

use super::merged;
use super::swap;
use crate::context::{Run, holds};
use crate::outside::Known;
use frame::descriptor::ZONE_KINDS;
use frame::{Block, MigrateType, ORDERS, SUBSECTION_ORDER, State, ZoneReport};
use machine::{HUGE_ORDER, MAX_ORDER, Machine, Order};

/// Nodes that have numbers of their own.
const NODES: usize = 256;

/// Frames in use, by zone.
struct Used {
    handed_out: [u64; NODES * ZONE_KINDS],
    reserved: [u64; NODES * ZONE_KINDS],
    free_blocks: u64,
    per_cpu_blocks: u64,
}

/// Compares every block with what was claimed of it.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>) {
    claim_held(run);
    let pins = claim_pins(run);
    let zeros = [0; NODES * ZONE_KINDS];
    let mut used = Used { handed_out: zeros, reserved: zeros, free_blocks: 0, per_cpu_blocks: 0 };
    for block in run.spaces.frames().blocks() {
        run.report.blocks += 1;
        check_block(run, &block, &mut used);
        if pins == Known::All && block.meta.state().is_user() {
            fr7(run, &block);
        }
    }
    fr2_lists(run, &used);
    for zone in run.spaces.frames().zones() {
        fr1(run, &zone, &used);
    }
}

fn claim_held<M: Machine>(run: &mut Run<'_, '_, M>) {
    let holders = run.outside.holders;
    holders.for_each_frame(&mut |pfn| {
        if run.descriptor(pfn).is_some() {
            let head = run.head(pfn);
            let held = &mut run.tally(head).held;
            *held = held.saturating_add(1);
        }
    });
}

/// All pins of a folio are its head's.
fn claim_pins<M: Machine>(run: &mut Run<'_, '_, M>) -> Known {
    let holders = run.outside.holders;
    holders.for_each_pin(&mut |pfn| {
        let head = run.spaces.frames().memmap().quiet_head(pfn).map_or(pfn, |(head, _)| head);
        if run.descriptor(head).is_some() {
            let pins = &mut run.tally(head).pins;
            *pins = pins.saturating_add(1);
        }
    })
}

fn check_block<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block, used: &mut Used) {
    let zone = usize::from(block.meta.node().0) * ZONE_KINDS + block.meta.zone() as usize;
    fr2_block(run, block);
    match block.meta.state() {
        State::Free => used.free_blocks += 1,
        State::PerCpu => used.per_cpu_blocks += 1,
        State::Reserved => used.reserved[zone] += block.frames(),
        state if state.is_handed_out() => used.handed_out[zone] += block.frames(),
        _ => {}
    }
    fr3(run, block);
    if block.meta.state().is_user() {
        fr4(run, block);
        cr2(run, block);
        let bits = cr2_parts(run, block);
        cr4(run, block, bits);
        swap::sw2_page(run, block);
        merged::check_page(run, block);
    }
}

fn fr1<M: Machine>(run: &mut Run<'_, '_, M>, zone: &ZoneReport, used: &Used) {
    let index = usize::from(zone.node.0) * ZONE_KINDS + zone.kind as usize;
    let (handed_out, reserved) = (used.handed_out[index], used.reserved[index]);
    let (kind, node) = (zone.kind, zone.node.0);
    let ZoneReport { present, managed, free, per_cpu, .. } = *zone;
    let sum = free + per_cpu + handed_out;
    let message = format_args!(
        "{kind:?} of node {node}: {free} free, {per_cpu} per CPU, {handed_out} handed out of {managed}"
    );
    run.check(crate::rule::Rule::FR1, sum == managed, message);
    let kept = managed.saturating_add(reserved) <= present;
    holds!(run, FR1, kept, "{kind:?} of node {node}: {managed} and {reserved} reserved of {present}");
}

/// A block by itself: its place, and its buddy.
fn fr2_block<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block) {
    let (pfn, meta) = (block.pfn, block.meta);
    holds!(run, FR2, meta.is_head(), "{pfn:?} belongs to no block: {meta:?}");
    let order = meta.order();
    let placed = order <= MAX_ORDER && pfn.is_aligned(order);
    holds!(run, FR2, placed, "{pfn:?} is not aligned: {meta:?}");
    if meta.state() != State::Free || !placed || order == MAX_ORDER {
        return;
    }
    let buddy = pfn.buddy(order);
    let other = run.descriptor(buddy).map(|buddy| buddy.quiet_meta()).filter(|other| {
        let here = (other.zone(), other.node()) == (meta.zone(), meta.node());
        let alike = order < SUBSECTION_ORDER || other.list() == meta.list();
        other.is_head() && other.state() == State::Free && other.order() == order && here && alike
    });
    holds!(run, FR2, other.is_none(), "{pfn:?} and {buddy:?} are free and not joined: {meta:?}");
}

/// The lists hold the free blocks, all of them and nothing else.
fn fr2_lists<M: Machine>(run: &mut Run<'_, '_, M>, used: &Used) {
    let mut listed = 0;
    for zone in run.spaces.frames().zones() {
        let mut frames = zone.unfed;
        for order in (0..ORDERS as u8).map(Order) {
            for list in MigrateType::ALL {
                let blocks = fr2_list(run, &zone, order, list);
                listed += blocks;
                frames += blocks * order.frames();
            }
        }
        let (free, kind, node) = (zone.free, zone.kind, zone.node.0);
        holds!(run, FR2, frames == free, "{kind:?} of node {node}: {frames} in lists, {free} counted");
    }
    let free = used.free_blocks;
    holds!(run, FR2, listed == free, "{free} blocks are free, {listed} are in the lists");
    let mut cached = 0;
    for (cpu, pfn, order) in run.spaces.frames().per_cpu_blocks() {
        cached += 1;
        let meta = run.spaces.frames().descriptor(pfn).quiet_meta();
        let sound = meta.is_head() && meta.state() == State::PerCpu && meta.order() == order;
        holds!(run, FR2, sound, "{pfn:?} is in a list of CPU {} and {meta:?}", cpu.0);
    }
    let per_cpu = used.per_cpu_blocks;
    holds!(run, FR2, cached == per_cpu, "{per_cpu} blocks are per CPU, {cached} are in the lists");
}

/// One free list; answers how many blocks it has.
fn fr2_list<M: Machine>(run: &mut Run<'_, '_, M>, zone: &ZoneReport, order: Order, list: MigrateType) -> u64 {
    let frames = run.spaces.frames();
    let counted = zone.free_blocks[order.0 as usize][list as usize];
    let limit = usize::try_from(counted).unwrap_or(usize::MAX).saturating_add(1);
    let mut blocks = 0;
    for pfn in frames.free_list(zone.node, zone.kind, order, list).take(limit) {
        blocks += 1;
        let meta = frames.descriptor(pfn).quiet_meta();
        let sound = meta.is_head()
            && meta.state() == State::Free
            && (meta.order(), meta.list()) == (order, list)
            && (meta.zone(), meta.node()) == (zone.kind, zone.node)
            && frames.memmap().quiet_subsection(pfn).migrate_type() == list;
        holds!(run, FR2, sound, "{pfn:?} is in the {list:?} list of order {} and {meta:?}", order.0);
    }
    holds!(run, FR2, blocks == counted, "a {list:?} list of order {} is not {counted} long", order.0);
    blocks
}

fn fr3<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block) {
    let (pfn, counts, state) = (block.pfn, block.counts, block.meta.state());
    let claims = *run.tally(pfn);
    let refs = match state {
        State::Zero => 1,
        State::Anon | State::File | State::Ksm => {
            u64::from(claims.entries) + u64::from(claims.owners) + counts.pins()
        }
        State::Slab | State::Table => u64::from(claims.owners),
        // Nobody has said what for: on a quiet machine, only a holder can know it.
        State::Fresh | State::Kernel => counts.pins(),
        _ => {
            holds!(run, FR3, counts.0 == 0, "{state:?} {pfn:?} has {counts:?}");
            return;
        }
    };
    let wanted = refs + u64::from(claims.held);
    let found = counts.refs();
    let owners = claims.owners;
    let known = found == wanted && wanted > 0 && (state.is_user() || owners <= 1);
    holds!(run, FR3, known, "{state:?} {pfn:?} has {counts:?}, known: {wanted}");
}

fn fr4<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block) {
    let (pfn, maps) = (block.pfn, block.counts.maps());
    let entries = u64::from(run.tally(pfn).entries);
    holds!(run, FR4, maps == entries, "{pfn:?} counts {maps} mappings, {entries} entries map it");
}

fn fr7<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block) {
    let (pfn, known) = (block.pfn, u64::from(run.tally(block.pfn).pins));
    let pins = block.counts.pins();
    if pins > 0 || known > 0 {
        holds!(run, FR7, pins == known, "{pfn:?} counts {pins} pins, its holders have {known}");
    }
}

fn cr2<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block) {
    if !block.counts.is_exclusive() {
        return;
    }
    let (pfn, state, counts) = (block.pfn, block.meta.state(), block.counts);
    if state == State::Zero {
        holds!(run, CR29, false, "the zero page is exclusive");
        return;
    }
    let (entries, held) = (run.tally(pfn).entries, run.tally(pfn).held);
    // A pin, or a pipe's reference, keeps an unmapped page, and its bit, alive.
    let is_kept = counts.pins() > 0 || held > 0;
    let alone = entries == 1 && counts.maps() == 1 || entries == 0 && counts.maps() == 0 && is_kept;
    let sound = state == State::Anon && alone;
    holds!(run, CR2, sound, "{state:?} {pfn:?} is exclusive with {entries} entries: {counts:?}");
}

/// The bits of a large folio's pages. Answers whether one is set.
fn cr2_parts<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block) -> Bits {
    let (head, pages) = (block.pfn, block.frames());
    if block.meta.order() != HUGE_ORDER || block.meta.state() != State::Anon {
        return Bits::None;
    }
    let parts: u64 = (0..pages).map(|i| u64::from(run.tally(head.plus(i)).parts)).sum();
    let wholes = u64::from(run.tally(head).entries).saturating_sub(parts);
    let mut bits = Bits::None;
    for page in 0..pages {
        if !run.has_bit(head, page) {
            continue;
        }
        bits = Bits::Some;
        // What is not mapped any more may have its bit: nobody can map it again.
        let entries = run.tally(head.plus(page)).parts;
        let alone = entries == 0 || entries == 1 && wholes == 0;
        holds!(run, CR2, alone, "page {page} of {head:?} is exclusive with {entries} entries and {wholes}");
    }
    bits
}

/// Whether the bit of some page of a large folio is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bits {
    None,
    Some,
}

fn cr4<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block, bits: Bits) {
    let (pfn, counts) = (block.pfn, block.counts);
    if block.meta.state() == State::Anon && counts.pins() > 0 {
        let exclusive = counts.is_exclusive() || bits == Bits::Some;
        holds!(run, CR4, exclusive, "{pfn:?} is pinned and shared: {counts:?}");
    }
}
