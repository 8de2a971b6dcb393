//! Pairs of operations that are known to be delicate, each under many schedules.

use crate::race::*;
use crate::world::*;
use freehold::linux::{Cloned, ExecImage, Exit, Waiting};
use freehold::machine::{FileKey, VirtAddr, Vpn, VpnRange};
use sim::Signal;

/// Schedules of each race; a long run may ask for more.
fn schedules() -> u64 {
    std::env::var("FREEHOLD_STRESS_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

/// After `munmap` has returned nobody reaches the page, though its leaf table was empty and a fault
/// was about to fill it.
#[test]
pub(crate) fn a_fault_and_munmap_of_an_empty_leaf_table() {
    let setup: Body<'_> = &|race, ctx| race.anon(ctx, BASE, 2);
    let fault: Body<'_> = &|race, ctx| {
        for page in [0, 1, 0, 1] {
            let before = race.over.get();
            let stored = race.store(ctx, BASE + page * P, 1);
            race.expect(!before || stored == Err(Signal::Segv), || {
                format!("stored after munmap: {stored:?}")
            });
        }
    };
    let unmap: Body<'_> = &|race, ctx| {
        race.munmap(ctx, BASE, 2);
        race.over.set(true);
        race.expect(race.load(ctx, BASE) == Err(Signal::Segv), || "still mapped".into());
    };
    race(schedules(), setup, &[unmap, fault, fault], &nothing);
}

/// Two first touches of one page: one frame, and no store is lost.
#[test]
pub(crate) fn two_faults_on_one_page() {
    let setup: Body<'_> = &|race, ctx| race.anon(ctx, BASE, 2);
    let mine: Body<'_> = &|race, ctx| {
        race.note.set(race.note.get() + 1);
        let word = BASE + race.note.get() * 8;
        for addr in [word, word + P] {
            race.expect(race.store(ctx, addr, addr) == Ok(()), || "refused".into());
        }
        race.pause(ctx);
        for addr in [word, word + P] {
            let found = race.load(ctx, addr);
            race.expect(found == Ok(addr), || format!("{addr:#x} holds {found:x?}"));
        }
    };
    let after: Body<'_> = &|race, ctx| {
        for addr in [BASE + 8, BASE + 16, BASE + 24, BASE + P + 8, BASE + P + 16] {
            let found = race.load(ctx, addr);
            race.expect(found == Ok(addr), || format!("{addr:#x} holds {found:x?}"));
        }
    };
    race(schedules(), setup, &[mine, mine, mine], after);
}

/// The child has a thread's stores up to one of them, and keeps them while the parent goes on.
#[test]
pub(crate) fn fork_and_stores_to_what_it_copies() {
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 3);
        for page in 0..3 {
            race.store(ctx, BASE + page * P, 0).expect("mapped");
        }
    };
    // Value n goes to page n % 3, in order.
    let writer: Body<'_> = &|race, ctx| {
        let mut n = 0;
        while !race.over.get() {
            n += 1;
            race.store(ctx, BASE + n % 3 * P, n).expect("mapped");
        }
        for page in 0..3 {
            let (last, found) = (n.saturating_sub((n + 3 - page) % 3), race.load(ctx, BASE + page * P));
            race.expect(found == Ok(last), || {
                format!("the parent lost a store: {found:?} instead of {last}")
            });
        }
    };
    let forker: Body<'_> = &|race, ctx| {
        let child = race.fork(ctx);
        race.as_child(ctx, child, || {
            let held: Vec<u64> =
                (0..3).map(|page| race.load(ctx, BASE + page * P).expect("mapped")).collect();
            let last = *held.iter().max().expect("three");
            for (page, &value) in (0..).zip(&held) {
                let due = last.saturating_sub((last + 3 - page) % 3);
                race.expect(value == due || last < 3, || format!("the child has {held:?}"));
            }
            race.pause(ctx);
            let again: Vec<u64> =
                (0..3).map(|page| race.load(ctx, BASE + page * P).expect("mapped")).collect();
            race.expect(held == again, || format!("the child had {held:?}, now {again:?}"));
            race.store(ctx, BASE, u64::MAX).expect("mapped");
        });
        race.over.set(true);
    };
    race(schedules(), setup, &[forker, writer], &nothing);
}

/// What broke: fork passed a VMA over that had no private page so far and let its faults go on: a
/// first store to it was not in the child although a later store of the same thread, to memory
/// that was copied later, was.
#[test]
pub(crate) fn a_child_has_no_store_without_the_one_before() {
    const LATER: u64 = BASE + 64 * P;
    let setup: Body<'_> = &|race, ctx| {
        for page in (0..16).step_by(2) {
            race.anon(ctx, BASE + page * P, 1);
        }
        race.anon(ctx, LATER, 1);
        race.store(ctx, LATER, 0).expect("mapped");
    };
    let writer: Body<'_> = &|race, ctx| {
        for n in 0..8 {
            race.store(ctx, BASE + n * 2 * P, n + 1).expect("mapped");
            race.store(ctx, LATER, n + 1).expect("mapped");
        }
    };
    let forker: Body<'_> = &|race, ctx| {
        let child = race.fork(ctx);
        race.as_child(ctx, child, || {
            let last = race.load(ctx, LATER).expect("mapped");
            for n in 0..last {
                let found = race.load(ctx, BASE + n * 2 * P);
                race.expect(found == Ok(n + 1), || format!("store {last} is there, {} is {found:?}", n + 1));
            }
        });
    };
    race(2 * schedules(), setup, &[forker, writer], &nothing);
}

/// What broke: a fault noted the first private page of a VMA after it had looked whether the VMA is
/// still what it was. A split (or a merge) in between did not hand the note on, and a later fork left
/// the page out of the child.
#[test]
pub(crate) fn a_first_private_page_is_not_lost_by_a_split_or_merge() {
    const ROUNDS: u64 = 16;
    // A round is begun by an odd number, and its store made at the next even one.
    let writer: Body<'_> = &|race, ctx| {
        for round in 0..ROUNDS {
            while race.note.get() < 2 * round + 1 {
                ctx.spend(sim::Cause::User, 20);
            }
            ctx.spend(sim::Cause::User, race.below(3000));
            race.store(ctx, BASE + 3 * P, round + 1).expect("mapped");
            race.note.set(2 * round + 2);
        }
    };
    let changer: Body<'_> = &|race, ctx| {
        for round in 0..ROUNDS {
            race.anon(ctx, BASE, 4);
            let merges = round % 2 == 0;
            if merges {
                race.mprotect(ctx, BASE, 2, READ);
            }
            race.note.set(2 * round + 1);
            ctx.spend(sim::Cause::User, race.below(3000));
            race.mprotect(ctx, BASE, 2, if merges { RW } else { READ });
            while race.note.get() < 2 * round + 2 {
                ctx.spend(sim::Cause::User, 20);
            }
            let child = race.fork(ctx);
            race.as_child(ctx, child, || {
                let found = race.load(ctx, BASE + 3 * P);
                race.expect(found == Ok(round + 1), || {
                    format!("the child's page of round {round} holds {found:?}")
                });
            });
        }
    };
    // The moments are short: it takes many schedules to meet them.
    race(12 * schedules(), &nothing, &[changer, writer], &nothing);
}

/// Fork copies a mapping or not; munmap in the parent takes nothing from the child.
#[test]
pub(crate) fn fork_and_munmap() {
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 3);
        for page in 0..3 {
            race.store(ctx, BASE + page * P, 5).expect("mapped");
        }
    };
    let forker: Body<'_> = &|race, ctx| {
        let child = race.fork(ctx);
        race.as_child(ctx, child, || {
            let held: Vec<_> = (0..3).map(|page| race.load(ctx, BASE + page * P)).collect();
            let same = held.iter().all(|value| *value == held[0]);
            let legal = matches!(held[0], Ok(5) | Err(Signal::Segv));
            race.expect(same && legal, || format!("the child has {held:?}"));
        });
    };
    let unmap: Body<'_> = &|race, ctx| race.munmap(ctx, BASE, 3);
    race(schedules(), setup, &[forker, unmap], &nothing);
}

/// A place is unmapped and mapped anew again and again: nobody finds an old page at a new mapping.
#[test]
pub(crate) fn munmap_and_mmap_of_one_place_and_faults() {
    let setup: Body<'_> = &|race, ctx| race.anon(ctx, BASE, 2);
    let remap: Body<'_> = &|race, ctx| {
        for round in 1..6 {
            race.munmap(ctx, BASE, 2);
            // From here on nobody finds what was stored in the rounds before.
            race.note.set(round);
            race.anon(ctx, BASE, 2);
            race.pause(ctx);
            race.store(ctx, BASE + P, round).expect("mapped");
        }
        race.over.set(true);
    };
    let user: Body<'_> = &|race, ctx| {
        while !race.over.get() {
            let before = race.note.get();
            let _ = race.store(ctx, BASE + P + 8, 1);
            if let Ok(found) = race.load(ctx, BASE + P) {
                race.expect(found == 0 || found >= before, || format!("{found} in round {before}"));
            }
        }
    };
    race(schedules(), setup, &[remap, user, user], &nothing);
}

/// Once mprotect(READ) has returned no store passes, not even through a translation from before.
#[test]
pub(crate) fn mprotect_and_stores_through_old_translations() {
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 2);
        race.store(ctx, BASE, 0).expect("mapped");
    };
    let protect: Body<'_> = &|race, ctx| {
        race.mprotect(ctx, BASE, 2, READ);
        race.over.set(true);
        let values = [race.load(ctx, BASE), race.load(ctx, BASE + P)];
        race.pause(ctx);
        let again = [race.load(ctx, BASE), race.load(ctx, BASE + P)];
        race.expect(values == again, || format!("{values:?} became {again:?}"));
    };
    let writer: Body<'_> = &|race, ctx| {
        for n in 1..30 {
            let before = race.over.get();
            let stored = race.store(ctx, BASE + n % 2 * P, n);
            race.expect(!before || stored.is_err(), || "stored where stores are forbidden".into());
        }
    };
    race(schedules(), setup, &[protect, writer, writer], &nothing);
}

/// A page that moves is at its old place or at its new one; no store to it is lost.
#[test]
pub(crate) fn mremap_and_faults_at_both_places() {
    const TO: u64 = BASE + 700 * P;
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 3);
        race.store(ctx, BASE, 9).expect("mapped");
    };
    let mover: Body<'_> = &|race, ctx| {
        for (from, to) in [(BASE, TO), (TO, BASE), (BASE, TO)] {
            let moved = race.world.mremap(ctx, race.process, (from, 3), to, MAYMOVE_FIXED);
            race.expect(moved == Ok(to), || format!("{moved:?}"));
            let found = race.load(ctx, to);
            race.expect(found == Ok(9), || format!("the page that moved holds {found:?}"));
        }
        race.over.set(true);
    };
    let user: Body<'_> = &|race, ctx| {
        let mut last = [0; 3];
        let mut n = 0;
        while !race.over.get() {
            for at in [BASE, TO] {
                n += 1;
                for page in 1..3 {
                    if race.store(ctx, at + page * P, n).is_ok() {
                        last[page as usize] = n;
                    }
                }
            }
        }
        for page in 1..3 {
            let found = race.load(ctx, TO + page * P);
            race.expect(found == Ok(last[page as usize]), || format!("{found:?}, stored {last:?}"));
        }
    };
    race(schedules(), setup, &[mover, user], &nothing);
}

/// Two readers of a page that is not cached: it is read once, and both see the file.
#[test]
pub(crate) fn two_readers_fill_the_page_cache() {
    let setup: Body<'_> = &|race, ctx| {
        race.map_file(ctx, BASE, FILE_PAGES, SHARED);
        race.map_file(ctx, BASE + 16 * P, FILE_PAGES, PRIVATE);
    };
    let reader: Body<'_> = &|race, ctx| {
        for page in 0..FILE_PAGES {
            let expected = race.world.sim.sim_files().word(FileKey(FILE), page, 0);
            let at = if race.below(2) == 0 { BASE } else { BASE + 16 * P };
            let found = race.load(ctx, at + page * P);
            race.expect(found == Ok(expected), || {
                format!("page {page}: {found:x?} instead of {expected:#x}")
            });
            if page % 3 == 0 {
                race.world.reclaim(ctx);
            }
        }
    };
    race(schedules(), setup, &[reader, reader, reader], &nothing);
}

/// Once a truncation has returned nothing beyond the end is reached, neither the file's pages nor private
/// copies, whatever faults were under way.
fn truncate_and_faults(flags: u64) {
    let setup: Body<'_> = &|race, ctx| race.map_file(ctx, BASE, FILE_PAGES, flags);
    let cutter: Body<'_> = &|race, ctx| {
        race.world.truncate(ctx, race.process, FILE, &race.file, 2 * P);
        race.over.set(true);
        for page in 2..FILE_PAGES {
            let found = race.load(ctx, BASE + page * P);
            race.expect(found == Err(Signal::Bus), || format!("page {page} is there: {found:x?}"));
        }
        race.note.set(1);
        race.world.truncate(ctx, race.process, FILE, &race.file, FILE_PAGES * P);
        let found = race.load(ctx, BASE + 5 * P);
        race.expect(found == Ok(0) || found == Ok(0x77), || {
            format!("what was cut off came back: {found:x?}")
        });
    };
    let user: Body<'_> = &|race, ctx| {
        for round in 0..12 {
            let page = 2 + race.below(FILE_PAGES - 2);
            let (over, grown) = (race.over.get(), race.note.get() > 0);
            let done = match round % 2 {
                0 => race.load(ctx, BASE + page * P).map(drop),
                _ => race.store(ctx, BASE + page * P, 0x77),
            };
            let legal = grown || race.note.get() > 0 || !over || done == Err(Signal::Bus);
            race.expect(legal, || format!("page {page} was reached after the truncation"));
        }
    };
    race(schedules(), setup, &[cutter, user, user], &nothing);
}

#[test]
pub(crate) fn truncate_and_faults_on_the_files_pages() {
    truncate_and_faults(SHARED);
}

#[test]
pub(crate) fn truncate_and_faults_on_private_copies() {
    truncate_and_faults(PRIVATE);
}

/// No store is lost between writebacks: in the end the file has the last one.
#[test]
pub(crate) fn msync_and_stores() {
    let setup: Body<'_> = &|race, ctx| race.map_file(ctx, BASE, 2, SHARED);
    let syncer: Body<'_> = &|race, ctx| {
        while race.note.get() < 2 {
            let synced = race.world.msync(ctx, race.process, BASE, 2);
            race.expect(synced == Ok(()), || format!("{synced:?}"));
            race.world.reclaim(ctx);
        }
    };
    let writer: Body<'_> = &|race, ctx| {
        for n in 1..25u64 {
            race.store(ctx, BASE + 8, n << 8 | ctx.task().0 as u64).expect("mapped");
            race.store(ctx, BASE + P + u64::from(ctx.task().0) * 8, n).expect("mapped");
        }
        race.note.set(race.note.get() + 1);
    };
    let after: Body<'_> = &|race, ctx| {
        let word = |page, index| race.world.sim.sim_files().word(FileKey(FILE), page, index);
        let last = race.load(ctx, BASE + 8).expect("mapped");
        race.world.msync(ctx, race.process, BASE, 2).expect("written");
        race.expect(word(0, 1) == last, || format!("{:#x} in the file, {last:#x} in memory", word(0, 1)));
        race.munmap(ctx, BASE, 2);
        race.world.reclaim(ctx);
        let written = [word(1, 1), word(1, 2)];
        race.expect(written == [24, 24], || format!("the file has {written:?}"));
    };
    race(schedules(), setup, &[syncer, writer, writer], after);
}

/// The last unmapping of a file while another CPU faults on it, twice over.
#[test]
pub(crate) fn a_file_that_munmap_closes_while_it_is_faulted_in() {
    let setup: Body<'_> = &|_, _| {};
    let mapper: Body<'_> = &|race, ctx| {
        for round in 0..4u64 {
            let size = 4 * P;
            let objects = race.world.linux().objects();
            let file = objects.create_memory(race.world.cx(ctx).at(), size).expect("memory");
            let map = freehold::linux::MapFile { file, rights: race.file.rights };
            let made = race.world.mmap(ctx, race.process, (BASE, 4), (RW, SHARED | FIXED), Some((&map, 0)));
            assert_eq!(made, Ok(BASE));
            objects.close(race.world.cx(ctx).at(), file).expect("nothing to write");
            race.note.set(round);
            race.pause(ctx);
            race.munmap(ctx, BASE, 4);
        }
        race.over.set(true);
    };
    let user: Body<'_> = &|race, ctx| {
        let mut n = 0;
        while !race.over.get() {
            n += 1;
            let at = BASE + n % 4 * P + 8 * u64::from(ctx.task().0);
            if race.store(ctx, at, n).is_ok() {
                let found = race.load(ctx, at);
                race.expect(matches!(found, Err(Signal::Segv) | Ok(0)) || found == Ok(n), || {
                    format!("{found:?}")
                });
            }
        }
    };
    race(schedules(), setup, &[mapper, user, user], &nothing);
}

/// A process that borrows the space execs or exits while threads of the other fault.
#[test]
pub(crate) fn exec_and_exit_of_a_borrower_and_faults() {
    let setup: Body<'_> = &|race, ctx| race.anon(ctx, BASE, 4);
    let borrower: Body<'_> = &|race, ctx| {
        let (world, linux) = (race.world, race.world.linux());
        for round in 0..4 {
            let cloned = linux.clone(&mut world.cx(ctx), race.process, 0x100);
            let Ok(Cloned::Child(child)) = cloned else { panic!("{cloned:?}") };
            race.as_child(ctx, child, || {
                race.store(ctx, BASE + 8, round).expect("mapped");
                if round % 2 == 0 {
                    let stack = VpnRange::new(Vpn(0x3_0000), Vpn(0x3_0001));
                    let image = ExecImage {
                        segments: &[],
                        stack: Some(stack),
                        break_start: 0,
                        code: (VirtAddr(0), VirtAddr(0)),
                    };
                    linux.exec(&mut world.cx(ctx), child, Some(ctx.task()), &image).expect("a program");
                    race.store(ctx, 0x3000_0000, 1).expect("the new stack");
                    race.expect(race.load(ctx, BASE).is_err(), || "the old memory is there".into());
                }
            });
        }
        race.over.set(true);
    };
    let user: Body<'_> = &|race, ctx| {
        let mut n = 0;
        while !race.over.get() {
            n += 1;
            let at = BASE + n % 4 * P + 16 + 8 * u64::from(ctx.task().0);
            race.store(ctx, at, n).expect("mapped");
            let found = race.load(ctx, at);
            race.expect(found == Ok(n), || format!("{found:?} instead of {n}"));
            if n % 7 == 0 {
                let dropped = race.world.madvise(ctx, race.process, (BASE + 3 * P, 1), 8);
                race.expect(dropped == Ok(()), || format!("{dropped:?}"));
            }
        }
    };
    race(schedules(), setup, &[borrower, user, user], &nothing);
}

/// Threads push a stack down together: it grows to the lowest, and never refuses.
#[test]
pub(crate) fn two_threads_grow_a_stack() {
    const TOP: u64 = BASE + 300 * P;
    let setup: Body<'_> = &|race, ctx| {
        let flags = PRIVATE | ANON | FIXED | GROWSDOWN;
        let made = race.world.mmap(ctx, race.process, (TOP - P, 1), (RW, flags), None);
        assert_eq!(made, Ok(TOP - P));
    };
    let grower: Body<'_> = &|race, ctx| {
        for n in 1..40 {
            let at = TOP - n * P * (1 + race.below(2)) + 8 * u64::from(ctx.task().0);
            let stored = race.store(ctx, at, n);
            race.expect(stored == Ok(()), || format!("{at:#x}: {stored:?}"));
            let found = race.load(ctx, at);
            race.expect(found == Ok(n), || format!("{at:#x} holds {found:?} instead of {n}"));
        }
    };
    race(schedules() / 2, setup, &[grower, grower, grower], &nothing);
}

/// What MADV_DONTNEED takes away does not come back.
#[test]
pub(crate) fn dontneed_and_faults() {
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 2);
        race.map_file(ctx, BASE + 4 * P, 2, PRIVATE);
    };
    let dropper: Body<'_> = &|race, ctx| {
        for round in 1..8 {
            for at in [BASE, BASE + P, BASE + 4 * P] {
                race.store(ctx, at, round).expect("mapped");
                let original = match at < BASE + 4 * P {
                    true => 0,
                    false => race.world.sim.sim_files().word(FileKey(FILE), 0, 0),
                };
                let dropped = race.world.madvise(ctx, race.process, (at, 1), DONTNEED);
                race.expect(dropped == Ok(()), || format!("{dropped:?}"));
                let found = race.load(ctx, at);
                race.expect(found == Ok(original), || format!("{at:#x} holds {found:x?} after all"));
            }
        }
        race.over.set(true);
    };
    let user: Body<'_> = &|race, ctx| {
        let mut n = 0;
        while !race.over.get() {
            n += 1;
            let page = [0, 1, 4, 5][n as usize % 4];
            race.store(ctx, BASE + page * P + 8, n).expect("mapped");
            race.load(ctx, BASE + page * P + 8).expect("mapped");
        }
    };
    race(schedules(), setup, &[dropper, user, user], &nothing);
}

/// VMAs are split and merged under faults that need not notice.
#[test]
pub(crate) fn splits_and_merges_under_faults() {
    let setup: Body<'_> = &|race, ctx| race.anon(ctx, BASE, 9);
    let splitter: Body<'_> = &|race, ctx| {
        for n in 0..10 {
            let page = n % 3 * 3;
            race.mprotect(ctx, BASE + page * P, 1, READ);
            race.mprotect(ctx, BASE + page * P, 1, RW);
            let advice = [1, 2, 0][n as usize % 3];
            let advised = race.world.madvise(ctx, race.process, (BASE + P, 4), advice);
            race.expect(advised == Ok(()), || format!("{advised:?}"));
        }
        race.over.set(true);
    };
    let user: Body<'_> = &|race, ctx| {
        let mut n = 0;
        while !race.over.get() {
            n += 1;
            let page = [1, 2, 4, 5, 7, 8][n as usize % 6];
            let at = BASE + page * P + 8 * u64::from(ctx.task().0);
            let stored = race.store(ctx, at, n);
            race.expect(stored == Ok(()), || format!("page {page}: {stored:?}"));
            let found = race.load(ctx, at);
            race.expect(found == Ok(n), || format!("page {page} holds {found:?} instead of {n}"));
        }
    };
    race(schedules(), setup, &[splitter, user, user], &nothing);
}

/// The CPUs' lists of free frames are drained by one while others allocate from them.
#[test]
pub(crate) fn drains_and_allocations() {
    let setup: Body<'_> = &|race, ctx| race.anon(ctx, BASE, 64);
    let drainer: Body<'_> = &|race, ctx| {
        while race.note.get() < 2 {
            race.world.linux().frames().drain_all(race.world.cx(ctx).at());
            ctx.spend(sim::Cause::User, 100);
        }
    };
    let user: Body<'_> = &|race, ctx| {
        let half = race.below(2) * 32;
        for n in 0..3 {
            for page in half..half + 32 {
                race.store(ctx, BASE + page * P, n).expect("mapped");
            }
            let dropped = race.world.madvise(ctx, race.process, (BASE + half * P, 32), DONTNEED);
            race.expect(dropped == Ok(()), || format!("{dropped:?}"));
        }
        race.note.set(race.note.get() + 1);
    };
    race(schedules() / 4, setup, &[drainer, user, user], &nothing);
}

/// Memory runs out while several threads fault: the process dies, all its threads hear
/// of it, nothing is left.
#[test]
pub(crate) fn the_oom_killer_takes_a_space_that_is_faulting() {
    let setup: Body<'_> = &|race, ctx| {
        let flags = PRIVATE | ANON | FIXED | 0x4000;
        let made = race.world.mmap(ctx, race.process, (BASE, 1200), (RW, flags), None);
        assert_eq!(made, Ok(BASE));
        // Another process that must not die, as it is the smaller one.
        let child = race.fork(ctx);
        race.note.set(u64::from(child.raw()));
    };
    let user: Body<'_> = &|race, ctx| {
        for n in 0..3600u64 {
            let page = (n * 7 + u64::from(ctx.task().0) * 400) % 1200;
            match race.store(ctx, BASE + page * P, n) {
                Ok(()) => {}
                Err(signal) => {
                    race.expect(signal == Signal::Kill, || format!("{signal:?}"));
                    return;
                }
            }
        }
        race.expect(false, || "there was more memory than there is".into());
    };
    let after: Body<'_> = &|race, ctx| {
        let child = freehold::frame::Id::from_raw(race.note.get() as u32);
        let space = race.world.linux().process(child).space().expect("alive");
        let killed = race.world.manager.spaces().space(space).is_killed(&race.world.cx(ctx));
        race.expect(!killed, || "the bystander was killed".into());
        race.world.linux().exit(&mut race.world.cx(ctx), child, Exit::Code(0));
    };
    for seed in 0..schedules() / 20 {
        let shape = Shape { memory: 4 << 20, ..Shape::new(3, seed) };
        if let Err(wrong) = run(shape, setup, &[user, user, user], after) {
            panic!("schedule {seed}: {wrong}");
        }
    }
}

/// What could break: the OOM killer chose a child that fork was still making (it may be as large as its
/// parent before all its VMAs are there), and walked its tree while fork inserted into it. Nobody is chosen
/// before fork is done.
#[test]
pub(crate) fn the_oom_killer_spares_a_child_in_the_making() {
    const HOG: u64 = BASE + 4096 * P;
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 500);
        for page in 0..450 {
            race.store(ctx, BASE + page * P, page).expect("mapped");
        }
        // The child is as large as its parent when these have no VMAs in it yet.
        for page in (450..500).step_by(2) {
            race.mprotect(ctx, BASE + page * P, 1, READ);
        }
    };
    let forker: Body<'_> = &|race, ctx| {
        let (world, linux) = (race.world, race.world.linux());
        while !race.over.get() {
            ctx.syscall();
            let Ok(child) = linux.fork(&mut world.cx(ctx), race.process) else { return };
            let space = linux.process(child).space().expect("alive");
            let killed = world.manager.spaces().space(space).is_killed(&world.cx(ctx));
            race.expect(!killed, || "the child was killed before it was there".into());
            linux.exit(&mut world.cx(ctx), child, Exit::Code(0));
            let _ = linux.wait(&mut world.cx(ctx), race.process, Some(child), Waiting::Block);
        }
    };
    // Takes all there is, and is not the largest.
    let hog: Body<'_> = &|race, ctx| {
        ctx.syscall();
        if let Ok(child) = race.world.linux().fork(&mut race.world.cx(ctx), race.process) {
            race.as_child(ctx, child, || {
                race.world.munmap(ctx, child, BASE, 500);
                let flags = PRIVATE | ANON | FIXED | 0x4000;
                let made = race.world.mmap(ctx, child, (HOG, 1200), (RW, flags), None);
                assert_eq!(made, Ok(HOG));
                for page in 0..1200 {
                    if race.store(ctx, HOG + page * P, page).is_err() {
                        break;
                    }
                    // Where it is nearly full the forker decides when it is.
                    if page > 300 {
                        race.pause(ctx);
                    }
                }
            });
        }
        race.over.set(true);
    };
    for seed in 0..schedules() / 4 {
        let shape = Shape { memory: 4 << 20, ..Shape::new(2, seed) };
        if let Err(wrong) = run(shape, setup, &[forker, hog], &nothing) {
            panic!("schedule {seed}: {wrong}");
        }
    }
}
