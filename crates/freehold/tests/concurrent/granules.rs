//! Ranges that are mapped and unmapped by several threads until granules of the layout are opened, and
//! meanwhile everything that has to know of granules.

use crate::race::*;
use crate::world::*;
use sim::Signal;
use std::cell::Cell;

const GIB: u64 = 1 << 30;
/// So often each thread maps, so that granules are opened on the way.
const ROUNDS: u64 = 40;
const SCHEDULES: u64 = 42;

/// Whether the race's space has granules.
fn is_divided(race: &Race<'_, '_>) -> bool {
    let space = race.world.linux().process(race.process).space();
    space.is_some_and(|space| race.world.manager.spaces().is_divided(space))
}

/// Maps pages, stores to one and finds what was stored; unmaps them, and finds nothing.
fn map_and_unmap(race: &Race<'_, '_>, ctx: sim::TaskCtx<'_>, addr: u64, pages: u64) {
    race.anon(ctx, addr, pages);
    let last = addr + (pages - 1) * P;
    let stored = race.store(ctx, last, last);
    race.expect(stored == Ok(()), || format!("{last:#x} is mapped, a store says {stored:?}"));
    let found = race.load(ctx, last);
    race.expect(found == Ok(last), || format!("{last:#x} holds {found:x?}"));
    race.munmap(ctx, addr, pages);
    let found = race.load(ctx, last);
    race.expect(found == Err(Signal::Segv), || format!("{last:#x} was unmapped and holds {found:x?}"));
}

fn many(race: &Race<'_, '_>, ctx: sim::TaskCtx<'_>, base: u64) {
    for round in 0..ROUNDS {
        map_and_unmap(race, ctx, base + round % 3 * 4 * P, 1 + round % 4);
    }
}

/// A number of threads of their own places, and one that does something else meanwhile; in some schedule
/// granules were opened.
fn beside(places: [u64; 2], other: Body<'_>) {
    let divided = Cell::new(0);
    let [a, b] = places;
    let first: Body<'_> = &|race, ctx| many(race, ctx, a);
    let second: Body<'_> = &|race, ctx| many(race, ctx, b);
    let setup: Body<'_> = &|race, ctx| race.anon(ctx, BASE + 64 * P, 4);
    let after: Body<'_> = &|race, _| divided.set(divided.get() + u64::from(is_divided(race)));
    race(SCHEDULES, setup, &[first, second, other], after);
    assert!(divided.get() > 0, "no schedule opened a granule");
}

const APART: [u64; 2] = [BASE + GIB, BASE + 2 * GIB];
/// In one GiB, neighbours: what one maps may touch what the other maps.
const TOGETHER: [u64; 2] = [BASE + GIB, BASE + GIB + 12 * P];

#[test]
fn threads_in_granules_of_their_own() {
    beside(APART, &|race, ctx| many(race, ctx, BASE + 3 * GIB));
}

#[test]
fn threads_in_one_granule() {
    beside(TOGETHER, &|race, ctx| many(race, ctx, BASE + GIB + 24 * P));
}

/// Granules have the same lock if they are far enough apart.
#[test]
fn threads_in_granules_with_one_lock() {
    beside([BASE + GIB, BASE + 65 * GIB], &|race, ctx| many(race, ctx, BASE + 129 * GIB));
}

/// A range that reaches into the next granule takes the whole.
#[test]
fn a_range_that_belongs_to_two_granules() {
    let other: Body<'_> = &|race, ctx| {
        for _ in 0..ROUNDS {
            map_and_unmap(race, ctx, 0x8000_0000 - 4 * P, 8);
        }
    };
    beside([0x8000_0000 - 16 * P, 0x8000_0000 + 8 * P], other);
}

/// What a child has is what its parent had: mapped or not, with one value or the other.
#[test]
fn fork_beside_granules() {
    let other: Body<'_> = &|race, ctx| {
        for _ in 0..4 {
            let child = race.fork(ctx);
            race.as_child(ctx, child, || {
                for base in APART {
                    let found = race.load(ctx, base);
                    let known = matches!(found, Err(Signal::Segv) | Ok(0)) || found == Ok(base);
                    race.expect(known, || format!("the child has {found:x?} at {base:#x}"));
                }
            });
            race.pause(ctx);
        }
    };
    beside(APART, other);
}

/// A thread that touches what another maps finds all of it or nothing, and nothing once it was unmapped.
#[test]
fn faults_of_others_beside_granules() {
    let other: Body<'_> = &|race, ctx| {
        for round in 0..ROUNDS * 4 {
            let addr = APART[round as usize % 2] + round % 12 * P;
            let found = race.load(ctx, addr);
            let known = matches!(found, Err(Signal::Segv) | Ok(0)) || found == Ok(addr);
            race.expect(known, || format!("{addr:#x} holds {found:x?}"));
        }
    };
    beside(APART, other);
}

/// Operations that take the whole find what granules have, and leave it as it should be.
#[test]
fn operations_on_the_whole_beside_granules() {
    let other: Body<'_> = &|race, ctx| {
        let own = BASE + 2 * GIB + 40 * P;
        for _ in 0..ROUNDS / 4 {
            race.anon(ctx, own, 8);
            race.expect(race.store(ctx, own + P, 7) == Ok(()), || "refused".into());
            race.mprotect(ctx, own, 2, READ);
            race.expect(race.store(ctx, own + P, 8) == Err(Signal::Segv), || "not protected".into());
            race.expect(race.load(ctx, own + P) == Ok(7), || "lost".into());
            race.munmap(ctx, own + P, 1);
            race.expect(race.load(ctx, own) == Ok(0), || "gone".into());
            let dropped = race.world.madvise(ctx, race.process, (own, 1), DONTNEED);
            race.expect(dropped == Ok(()), || format!("{dropped:?}"));
            race.munmap(ctx, own, 8);
        }
    };
    beside(APART, other);
}

/// VMAs that granules have when the process ends go with it.
#[test]
fn a_process_that_ends_with_vmas_in_granules() {
    let left: Body<'_> = &|race, ctx| {
        many(race, ctx, BASE + GIB);
        race.anon(ctx, BASE + GIB, 3);
        race.expect(race.store(ctx, BASE + GIB, 1) == Ok(()), || "refused".into());
    };
    let also: Body<'_> = &|race, ctx| {
        many(race, ctx, BASE + 2 * GIB);
        race.anon(ctx, BASE + 2 * GIB, 3);
    };
    let after: Body<'_> = &|race, _| race.world.audit("with VMAs in granules");
    race(SCHEDULES, &nothing, &[left, also, &also_elsewhere], after);
}

fn also_elsewhere(race: &Race<'_, '_>, ctx: sim::TaskCtx<'_>) {
    many(race, ctx, BASE + 3 * GIB);
    race.anon(ctx, BASE + 3 * GIB, 3);
}
