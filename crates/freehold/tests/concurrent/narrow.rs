//! Races whose moment is short: each is written for one step of a protocol, so that it meets the moment
//! often.

use crate::race::*;
use crate::world::*;
use freehold::frame::Id;
use freehold::linux::{Exit, Waiting};
use freehold::machine::FileKey;
use sim::Signal;
use std::cell::Cell;

/// Schedules of each.
const SCHEDULES: u64 = 300;

/// Elsewhere in the address space, in a leaf table of its own.
const ELSEWHERE: u64 = BASE + 8 * 512 * P;

/// A CPU remembers the table that led to a page. The page is unmapped, the table goes and serves another
/// place: the CPU must not go through it (L-13).
#[test]
pub(crate) fn a_table_that_serves_elsewhere() {
    let setup: Body<'_> = &|race, ctx| race.anon(ctx, BASE, 1);
    let user: Body<'_> = &|race, ctx| {
        race.store(ctx, BASE, 1).expect("mapped");
        race.note.set(1);
        race.wait_for(ctx, 2);
        let found = race.load(ctx, BASE);
        race.expect(found == Ok(222), || format!("{found:?}"));
    };
    let mapper: Body<'_> = &|race, ctx| {
        race.wait_for(ctx, 1);
        race.munmap(ctx, BASE, 1);
        for (at, value) in [(ELSEWHERE, 111), (BASE, 222)] {
            race.anon(ctx, at, 1);
            race.store(ctx, at, value).expect("mapped");
        }
        race.note.set(2);
    };
    race(SCHEDULES / 10, setup, &[mapper, user], &nothing);
}

/// A CPU that left the space comes back just when a page goes: it is flushed, or drops what it kept (L-15,
/// L-16).
#[test]
pub(crate) fn a_cpu_that_comes_back_to_an_unmapped_page() {
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 1);
        race.store(ctx, BASE, 1).expect("mapped");
    };
    let lazy: Body<'_> = &|race, ctx| {
        let (world, linux) = (race.world, race.world.linux());
        race.load(ctx, BASE).expect("mapped");
        linux.idle(&mut world.cx(ctx));
        race.together(ctx, 2, 3000);
        linux.enter(&mut world.cx(ctx), race.process);
        for _ in 0..4 {
            let over = race.over.get();
            let found = race.load(ctx, BASE);
            race.expect(!over || found == Err(Signal::Segv), || format!("{found:?} after munmap"));
            ctx.spend(sim::Cause::User, 500);
        }
    };
    let unmap: Body<'_> = &|race, ctx| {
        race.together(ctx, 2, 1500);
        race.munmap(ctx, BASE, 1);
        race.over.set(true);
    };
    race(5 * SCHEDULES, setup, &[unmap, lazy], &nothing);
}

/// A fault is about to fill an empty leaf table when the page is unmapped: it is found or it sees it.
#[test]
pub(crate) fn a_fault_in_a_leaf_table_that_is_there_and_empty() {
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 1);
        race.store(ctx, BASE, 1).expect("mapped");
        race.world.madvise(ctx, race.process, (BASE, 1), DONTNEED).expect("mapped");
    };
    let fault: Body<'_> = &|race, ctx| {
        race.together(ctx, 2, 800);
        let _ = race.store(ctx, BASE, 2);
    };
    let unmap: Body<'_> = &|race, ctx| {
        race.together(ctx, 2, 1500);
        race.munmap(ctx, BASE, 1);
        let found = race.load(ctx, BASE);
        race.expect(found == Err(Signal::Segv), || format!("{found:?} after munmap"));
    };
    race(5 * SCHEDULES, setup, &[unmap, fault], &nothing);
}

/// A truncation has taken a private page and not flushed yet when MADV_DONTNEED finds nothing there: still
/// the page must be gone when it returns (L-10).
#[test]
pub(crate) fn dontneed_of_what_a_truncation_takes() {
    let setup: Body<'_> = &|race, ctx| race.map_file(ctx, BASE, 4, PRIVATE);
    let dropper: Body<'_> = &|race, ctx| {
        race.store(ctx, BASE + 2 * P, 7).expect("mapped");
        race.together(ctx, 2, 6000);
        let dropped = race.world.madvise(ctx, race.process, (BASE + 2 * P, 1), DONTNEED);
        race.expect(dropped == Ok(()), || format!("{dropped:?}"));
        let found = race.load(ctx, BASE + 2 * P);
        race.expect(found != Ok(7), || "what was dropped is there".into());
    };
    let cutter: Body<'_> = &|race, ctx| {
        race.together(ctx, 2, 2000);
        race.world.truncate(ctx, race.process, FILE, &race.file, P);
    };
    race(2 * SCHEDULES, setup, &[cutter, dropper], &nothing);
}

/// Pages move, and a truncation frees them at their new place: no CPU may still reach them at the old one
/// (L-12).
#[test]
pub(crate) fn a_truncation_of_pages_that_mremap_moves() {
    const PAGES: u64 = 1500;
    let setup: Body<'_> = &|race, ctx| {
        race.map_file(ctx, BASE, PAGES, PRIVATE);
        race.store(ctx, BASE, 5).expect("mapped");
    };
    let mover: Body<'_> = &|race, ctx| {
        // The move goes on for a while behind the first page.
        race.world
            .mmap(ctx, race.process, (ELSEWHERE, PAGES), (RW, PRIVATE | ANON | FIXED), None)
            .expect("room");
        race.together(ctx, 3, 1500);
        let moved = race.world.mremap(ctx, race.process, (BASE, PAGES), ELSEWHERE, MAYMOVE_FIXED);
        race.expect(moved == Ok(ELSEWHERE), || format!("{moved:?}"));
        race.over.set(true);
    };
    let cutter: Body<'_> = &|race, ctx| {
        race.together(ctx, 3, 12_000);
        race.world.truncate(ctx, race.process, FILE, &race.file, 0);
    };
    let user: Body<'_> = &|race, ctx| {
        race.load(ctx, BASE).expect("mapped");
        race.together(ctx, 3, 1);
        while !race.over.get() {
            let _ = race.load(ctx, BASE);
            ctx.spend(sim::Cause::User, 50);
        }
    };
    race(2 * SCHEDULES, setup, &[mover, cutter, user], &nothing);
}

/// One thread copies a shared page, another stores to the copy, a third must not read the old page then (row
/// 9 of the copy-on-write table).
#[test]
pub(crate) fn a_copy_that_others_write_and_read_at_once() {
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 1);
        race.store(ctx, BASE, 1).expect("mapped");
        let child = race.fork(ctx);
        race.note.set(u64::from(child.raw()) << 8);
    };
    let meet = |race: &Race<'_, '_>| (race.note.get() & !0xff) + 3;
    let copier: Body<'_> = &|race, ctx| {
        race.together(ctx, meet(race), 1);
        race.store(ctx, BASE + 8, 2).expect("mapped");
    };
    let writer: Body<'_> = &|race, ctx| {
        race.together(ctx, meet(race), 4000);
        race.store(ctx, BASE, 5).expect("mapped");
        race.over.set(true);
    };
    let reader: Body<'_> = &|race, ctx| {
        race.load(ctx, BASE).expect("mapped");
        race.together(ctx, meet(race), 1);
        for _ in 0..100 {
            let over = race.over.get();
            let found = race.load(ctx, BASE);
            race.expect(!over || found == Ok(5), || format!("{found:?} after a store of 5"));
            ctx.spend(sim::Cause::User, 50);
        }
    };
    let after: Body<'_> = &|race, ctx| end_child(race, ctx);
    race(2 * SCHEDULES, setup, &[copier, writer, reader], after);
}

/// The child drops a page it shares, one of its threads still has the translation: the parent's store must
/// not be seen through it (C-1).
#[test]
pub(crate) fn a_parent_writes_what_its_child_just_dropped() {
    let setup: Body<'_> = &|race, ctx| {
        race.anon(ctx, BASE, 1);
        race.store(ctx, BASE, 1).expect("mapped");
        let child = race.fork(ctx);
        race.note.set(u64::from(child.raw()) << 8);
    };
    let child = |race: &Race<'_, '_>| Id::from_raw((race.note.get() >> 8) as u32);
    let meet = |race: &Race<'_, '_>| (race.note.get() & !0xff) + 3;
    let parent: Body<'_> = &|race, ctx| {
        race.together(ctx, meet(race), 5000);
        race.store(ctx, BASE, 9).expect("mapped");
    };
    let dropper: Body<'_> = &|race, ctx| {
        race.become_thread_of(ctx, child(race));
        race.together(ctx, meet(race), 1500);
        let dropped = race.world.madvise(ctx, child(race), (BASE, 1), DONTNEED);
        race.expect(dropped == Ok(()), || format!("{dropped:?}"));
        race.become_thread_of(ctx, race.process);
    };
    let reader: Body<'_> = &|race, ctx| {
        race.become_thread_of(ctx, child(race));
        race.load(ctx, BASE).expect("mapped");
        race.together(ctx, meet(race), 1);
        for _ in 0..200 {
            let found = race.load(ctx, BASE);
            race.expect(found == Ok(1) || found == Ok(0), || format!("the child reads {found:?}"));
            ctx.spend(sim::Cause::User, 40);
        }
        race.become_thread_of(ctx, race.process);
    };
    let after: Body<'_> = &|race, ctx| end_child(race, ctx);
    race(2 * SCHEDULES, setup, &[parent, dropper, reader], after);
}

/// Ends the child whose number the note has.
fn end_child(race: &Race<'_, '_>, ctx: sim::TaskCtx<'_>) {
    let (world, linux) = (race.world, race.world.linux());
    let child = Id::from_raw((race.note.get() >> 8) as u32);
    linux.exit(&mut world.cx(ctx), child, Exit::Code(0));
    let ended = linux.wait(&mut world.cx(ctx), race.process, Some(child), Waiting::Block);
    assert!(ended.is_ok());
}

/// A truncation comes to wait for a page just when it has been read: it is woken, or need not sleep (W-18).
#[test]
pub(crate) fn a_truncation_that_waits_for_a_page_being_read() {
    const ONE: u64 = 9;
    let latency = Cell::new(0);
    let setup: Body<'_> = &|race, ctx| {
        let file = race.world.file(ONE, 1);
        let made = race.world.mmap(ctx, race.process, (BASE, 1), (READ, SHARED | FIXED), Some((&file, 0)));
        assert_eq!(made, Ok(BASE));
        race.other.set(Some(file));
    };
    // Round n begins with the note at 2 n; the reader sets it to 2 n + 1 and loads.
    let reader: Body<'_> = &|race, ctx| {
        for round in 0..12 {
            race.wait_for(ctx, 2 * round);
            race.note.set(2 * round + 1);
            let began = ctx.now();
            let _ = race.load(ctx, BASE);
            if round == 0 {
                latency.set(ctx.now() - began);
                race.over.set(true);
            }
        }
    };
    let cutter: Body<'_> = &|race, ctx| {
        let file = race.other.get().expect("set up");
        for round in 0..12 {
            race.wait_for(ctx, 2 * round + 1);
            while !race.over.get() {
                ctx.spend(sim::Cause::User, 100);
            }
            if round > 0 {
                ctx.spend(sim::Cause::User, latency.get().saturating_sub(race.below(3000)));
            }
            for size in [0, P] {
                race.world.truncate(ctx, race.process, ONE, &file, size);
            }
            race.note.set(2 * round + 2);
        }
    };
    race(2 * SCHEDULES, setup, &[reader, cutter], &nothing);
}

/// Another process truncates a file and walks the tables of this one, which take a table out just then (L-2).
#[test]
pub(crate) fn a_truncation_through_tables_that_go() {
    let setup: Body<'_> = &|race, ctx| {
        let child = race.fork(ctx);
        race.note.set(u64::from(child.raw()) << 8);
    };
    let child = |race: &Race<'_, '_>| Id::from_raw((race.note.get() >> 8) as u32);
    let mapper: Body<'_> = &|race, ctx| {
        for n in 0..20 {
            race.map_file(ctx, BASE, 2, SHARED);
            let _ = race.store(ctx, BASE, n);
            let _ = race.store(ctx, BASE + P, n);
            race.munmap(ctx, BASE, 2);
            race.anon(ctx, ELSEWHERE, 1);
            race.store(ctx, ELSEWHERE, n).expect("mapped");
            let found = race.load(ctx, ELSEWHERE);
            race.expect(found == Ok(n), || format!("{found:?} instead of {n}"));
            race.munmap(ctx, ELSEWHERE, 1);
        }
        race.over.set(true);
    };
    let cutter: Body<'_> = &|race, ctx| {
        race.become_thread_of(ctx, child(race));
        while !race.over.get() {
            for size in [0, 2 * P] {
                race.world.truncate(ctx, child(race), FILE, &race.file, size);
            }
            ctx.spend(sim::Cause::User, race.below(300));
        }
        race.become_thread_of(ctx, race.process);
    };
    let after: Body<'_> = &|race, ctx| end_child(race, ctx);
    race(2 * SCHEDULES, setup, &[mapper, cutter], after);
}

/// A page of a file is unmapped, stored to for the last time, and written back, all at once: the file has the
/// last store in the end (LR11, L-19).
#[test]
pub(crate) fn a_last_store_and_a_writeback() {
    let setup: Body<'_> = &|race, ctx| {
        race.map_file(ctx, BASE, 1, SHARED);
        race.store(ctx, BASE, 1).expect("mapped");
    };
    let last = Cell::new(0);
    let unmap: Body<'_> = &|race, ctx| {
        race.together(ctx, 3, 1500);
        race.munmap(ctx, BASE, 1);
    };
    let writer: Body<'_> = &|race, ctx| {
        last.set(1);
        race.together(ctx, 3, 1);
        for n in 2..400 {
            if race.store(ctx, BASE, n).is_err() {
                break;
            }
            last.set(n);
            ctx.spend(sim::Cause::User, 20);
        }
    };
    let syncer: Body<'_> = &|race, ctx| {
        race.together(ctx, 3, 4000);
        let synced = race.world.linux().fsync(&mut race.world.cx(ctx), race.process, &race.file);
        race.expect(synced == Ok(()), || format!("{synced:?}"));
    };
    let after: Body<'_> = &|race, ctx| {
        let synced = race.world.linux().fsync(&mut race.world.cx(ctx), race.process, &race.file);
        race.expect(synced == Ok(()), || format!("{synced:?}"));
        let found = race.world.sim.sim_files().word(FileKey(FILE), 0, 0);
        race.expect(found == last.get(), || format!("{found} in the file, {} was stored", last.get()));
    };
    race(2 * SCHEDULES, setup, &[unmap, writer, syncer], after);
}

/// A store below a stack that comes too near to what is mapped there is refused.
#[test]
pub(crate) fn a_stack_keeps_its_distance() {
    let alone: Body<'_> = &|race, ctx| {
        let flags = PRIVATE | ANON | FIXED | GROWSDOWN;
        let made = race.world.mmap(ctx, race.process, (BASE + 300 * P, 1), (RW, flags), None);
        assert_eq!(made, Ok(BASE + 300 * P));
        race.anon(ctx, BASE, 1);
        race.expect(race.store(ctx, BASE + 257 * P, 1) == Ok(()), || "the stack does not grow".into());
        let found = race.store(ctx, BASE + 100 * P, 1);
        race.expect(found == Err(Signal::Segv), || format!("{found:?} in the guard gap"));
    };
    race(1, &nothing, &[alone], &nothing);
}

/// `mmap` meets a shortage at each of its allocations, and is tried again by those who make memory free.
#[test]
pub(crate) fn a_shortage_inside_mmap() {
    let alone: Body<'_> = &|race, ctx| {
        for n in 1..6u64 {
            let frames = race.world.linux().frames();
            frames.fail_after(Some(n));
            let at = BASE + 2 * n * P;
            let made = race.world.mmap(ctx, race.process, (at, 1), (RW, PRIVATE | ANON | FIXED), None);
            frames.fail_after(None);
            race.expect(made == Ok(at), || format!("{made:?}"));
        }
    };
    race(1, &nothing, &[alone], &nothing);
}

/// Pages are looked up without a lock while reclaim takes them away: a reference is had before, or not at
/// all.
#[test]
pub(crate) fn a_lookup_of_a_page_that_reclaim_takes() {
    let setup: Body<'_> = &|race, ctx| race.map_file(ctx, BASE, FILE_PAGES, SHARED);
    let reader: Body<'_> = &|race, ctx| {
        for n in 0..30 {
            let page = n % FILE_PAGES;
            let found = race.load(ctx, BASE + page * P);
            let expected = race.world.sim.sim_files().word(FileKey(FILE), page, 0);
            race.expect(found == Ok(expected), || format!("{found:x?} instead of {expected:#x}"));
            let _ = race.world.madvise(ctx, race.process, (BASE, FILE_PAGES), DONTNEED);
        }
        race.over.set(true);
    };
    let reclaimer: Body<'_> = &|race, ctx| {
        while !race.over.get() {
            race.world.reclaim(ctx);
        }
    };
    race(SCHEDULES / 2, setup, &[reader, reclaimer, reclaimer], &nothing);
}
