//! Swap: slots, the entries that name them, and the swap cache.

use crate::context::{Run, holds};
use crate::named::Named;
use core::sync::atomic::Ordering::Relaxed;
use frame::{Block, Flags, State};
use machine::{Machine, Pfn};
use object::swap::SlotReport;
use table::{Slot, Sole};

/// One swap entry.
pub(crate) fn entry<M: Machine>(
    run: &mut Run<'_, '_, M>,
    at: impl core::fmt::Display,
    (slot, sole): (Slot, Sole),
) {
    run.named.add(slot, 1);
    let entries = slot_entries(run, slot);
    holds!(run, SW1, entries > 0, "{at}: slot {slot:?} counts no entry");
    if sole == Sole::Exclusive {
        holds!(run, CR15, entries == 1, "{at}: exclusive, and slot {slot:?} counts {entries} entries");
    }
}

fn slot_entries<M: Machine>(run: &Run<'_, '_, M>, slot: Slot) -> u64 {
    run.objects().quiet_slot(run.machine, slot).entries()
}

/// Claims the kernel frames that swap has.
pub(crate) fn claim_frames<M: Machine>(run: &mut Run<'_, '_, M>) {
    let (objects, machine) = (run.objects(), run.machine);
    objects.for_each_swap_frame(machine, &mut |pfn| {
        let state = run.descriptor(pfn).map(|page| page.quiet_meta().state());
        holds!(run, FR3, state == Some(State::Slab), "{pfn:?} of swap is {state:?}");
        run.claim(pfn);
    });
}

/// All slots, after all entries. Claims cached pages.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>) {
    let (objects, machine) = (run.objects(), run.machine);
    let mut counted = Named::default();
    for report in objects.slots(machine) {
        counted.add(report.slot, report.state.entries());
        check_slot(run, report);
    }
    let named = run.named;
    let (entries, sum) = (named.entries(), counted.entries());
    holds!(run, SW1, entries == sum, "{entries} swap entries, the slots count {sum}");
    let same = named.weight() == counted.weight();
    holds!(run, SW1, same || entries != sum, "{entries} swap entries name other slots than count them");
    for area in objects.swap_areas() {
        let used = objects.slots(machine).filter(|report| report.slot.area == area.area).count() as u64;
        let (number, found) = (area.area, area.used);
        holds!(run, SW2, used == found, "swap area {number}: {used} slots are in use, it counts {found}");
    }
}

fn check_slot<M: Machine>(run: &mut Run<'_, '_, M>, SlotReport { slot, state }: SlotReport) {
    let quiet = !state.is_busy() && !state.is_freeing();
    holds!(run, SW2, quiet, "{slot:?}: somebody works on it: {state:?}");
    let of_use = state.entries() > 0 || state.frame().is_some();
    holds!(run, SW2, of_use, "{slot:?} is taken for nothing: {state:?}");
    if let Some(pfn) = state.frame() {
        run.claim(pfn);
        check_cached(run, slot, pfn, state.entries());
    }
}

fn check_cached<M: Machine>(run: &mut Run<'_, '_, M>, slot: Slot, pfn: Pfn, entries: u64) {
    let page = run.descriptor(pfn).filter(|page| page.quiet_meta().is_head());
    let said = page.map(|page| (page.quiet_meta(), page.link_word().raw().load(Relaxed)));
    let sound = said.is_some_and(|(meta, link)| {
        meta.state() == State::Anon && meta.flags().has(Flags::SWAPCACHED) && link == slot.to_bits()
    });
    holds!(run, SW2, sound, "{slot:?} has {pfn:?} cached, which says {said:x?}");
    let maps = page.map_or(0, |page| page.quiet_counts().maps());
    holds!(run, SW2, maps > 0 || entries > 0, "{slot:?} and {pfn:?} are kept for nobody");
}

/// A page that says it is in the cache is there.
pub(crate) fn sw2_page<M: Machine>(run: &mut Run<'_, '_, M>, block: &Block) {
    let (pfn, flags) = (block.pfn, block.meta.flags());
    if block.meta.state() != State::Anon {
        return;
    }
    if flags.has(Flags::SWAPCACHED) {
        let owners = run.tally(pfn).owners;
        holds!(run, SW2, owners == 1, "{pfn:?} says it is in the swap cache, {owners} slots have it");
    }
    let quiet = !flags.has(Flags::LOCKED.and(Flags::WRITEBACK));
    holds!(run, PR6, quiet, "{pfn:?} is locked or being written");
}
