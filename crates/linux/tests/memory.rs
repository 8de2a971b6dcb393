//! What calls do to memory itself: contents, residence, files.

mod common;

use common::*;
use linux::{BusCode, Errno, FileRights, Signal};
use machine::{Access, Counter, FileKey, VirtAddr};

const P: u64 = PAGE;
const BOTH: FileRights = FileRights::READ.union(FileRights::WRITE);

fn residents(s: &mut System<'_>, addr: u64, pages: u64) -> String {
    let at = s.mmap(0, P, RW, PRIVATE | ANON).expect("room");
    s.mincore(addr, pages * P, at).expect("mapped");
    let mut text = String::new();
    for page in 0..pages {
        let word = s.load(at + page / 8 * 8).expect("stored");
        text.push(if word >> (page % 8 * 8) & 0xff == 1 { '#' } else { '.' });
    }
    s.linux.munmap(&mut s.cx, s.process, at, P).expect("unmapped");
    text
}

#[test]
fn mincore_tells_what_was_touched() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 20, RW);
    s.store(BASE + P, 1).expect("stored");
    s.load(BASE + 3 * P).expect("loaded");
    s.store(BASE + 17 * P, 1).expect("stored");
    assert_eq!(residents(&mut s, BASE, 20), ".#.#.............#..");
    // Over several VMAs, and more than one chunk of answers.
    s.linux.mprotect(&mut s.cx, s.process, BASE + 2 * P, 4 * P, READ).expect("changed");
    assert_eq!(residents(&mut s, BASE, 20), ".#.#.............#..");
    s.anon(BASE + 0x100_0000, 600, RW);
    s.store(BASE + 0x100_0000 + 555 * P, 1).expect("stored");
    let shown = residents(&mut s, BASE + 0x100_0000, 600);
    assert_eq!((shown.len(), shown.find('#')), (600, Some(555)));
}

#[test]
fn populated_and_locked_memory_is_resident_at_once() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.mmap(BASE, 4 * P, RW, PRIVATE | ANON | FIXED | POPULATE).expect("mapped");
    assert_eq!(s.rss()[0], 4);
    s.mmap(BASE + 16 * P, 4 * P, RW, PRIVATE | ANON | FIXED | LOCKED).expect("mapped");
    assert_eq!(s.rss()[0], 8);
    s.anon(BASE + 32 * P, 4, RW);
    assert_eq!(s.rss()[0], 8);
    s.linux.mlock(&mut s.cx, s.process, BASE + 33 * P, 2 * P).expect("locked");
    assert_eq!(s.rss()[0], 10);
    s.linux.mlock2(&mut s.cx, s.process, BASE + 32 * P, 4 * P, 1).expect("on fault");
    assert_eq!(s.rss()[0], 10);
    s.linux.mlockall(&mut s.cx, s.process, 2).expect("future");
    s.mmap(BASE + 48 * P, 4 * P, RW, PRIVATE | ANON | FIXED).expect("mapped");
    assert_eq!(s.rss()[0], 14);
    s.linux.brk(&mut s.cx, s.process, HEAP + 3 * P).expect("grown");
    assert_eq!(s.rss()[0], 17);
    s.linux.mlockall(&mut s.cx, s.process, 6).expect("future, on fault");
    s.mmap(BASE + 64 * P, 4 * P, RW, PRIVATE | ANON | FIXED).expect("mapped");
    assert_eq!(s.rss()[0], 17);
    s.mmap(BASE + 80 * P, 4 * P, 0, PRIVATE | ANON | FIXED).expect("mapped");
    s.linux.mlockall(&mut s.cx, s.process, 1).expect("current");
    assert_eq!(s.rss()[0], 23, "all but what is not accessible");
    let before = s.linux.spaces().stats(s.linux.process(s.process).space().expect("alive"));
    assert_eq!(before.locked, before.total);
    s.linux.munlockall(&mut s.cx, s.process).expect("unlocked");
    let after = s.linux.spaces().stats(s.linux.process(s.process).space().expect("alive"));
    assert_eq!((after.locked, after.anon_rss), (0, 23));
}

#[test]
fn locked_memory_that_becomes_writable_gets_pages_of_its_own() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.mmap(BASE, 4 * P, READ, PRIVATE | ANON | FIXED | LOCKED).expect("mapped");
    assert_eq!(s.rss()[0], 0, "the zero page is not counted");
    s.linux.mprotect(&mut s.cx, s.process, BASE, 2 * P, RW).expect("changed");
    assert_eq!(s.rss()[0], 2);
}

#[test]
fn dropped_contents_read_as_zeros_or_as_the_file() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 8 * P, BOTH);
    s.anon(BASE, 2, RW);
    s.mmap_file(BASE + 4 * P, 2 * P, RW, PRIVATE | FIXED, &file, 0).expect("mapped");
    s.mmap(BASE + 8 * P, 2 * P, RW, SHARED | ANON | FIXED).expect("mapped");
    let original = s.load(BASE + 4 * P).expect("read");
    for page in [0, 4, 8] {
        s.store(BASE + page * P, 5).expect("stored");
        s.linux.madvise(&mut s.cx, s.process, BASE + page * P, P, 4).expect("dropped");
    }
    assert_eq!(s.load(BASE), Ok(0));
    assert_eq!(s.load(BASE + 4 * P), Ok(original));
    assert_eq!(s.load(BASE + 8 * P), Ok(5), "shared memory keeps its contents");
    s.store(BASE, 7).expect("stored");
    s.linux.madvise(&mut s.cx, s.process, BASE, P, 8).expect("may go");
    let loaded = s.load(BASE).expect("mapped");
    assert!(loaded == 7 || loaded == 0);
}

#[test]
fn what_fork_leaves_out() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    for page in [0, 2, 4] {
        s.anon(BASE + page * P, 1, RW);
        s.store(BASE + page * P, 1).expect("stored");
    }
    s.linux.madvise(&mut s.cx, s.process, BASE, P, 10).expect("not inherited");
    s.linux.madvise(&mut s.cx, s.process, BASE + 2 * P, P, 18).expect("inherited empty");
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    s.become_process(child);
    assert!(matches!(s.load(BASE), Err(Signal::Segv { .. })));
    assert_eq!((s.load(BASE + 2 * P), s.load(BASE + 4 * P)), (Ok(0), Ok(1)));
}

#[test]
fn stores_to_a_shared_mapping_reach_the_file() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 8 * P, BOTH);
    let at = s.mmap_file(0, 8 * P, RW, SHARED, &file, 0).expect("mapped");
    s.store(at + 3 * P, 42).expect("stored");
    assert_ne!(machine.sim_files().word(FileKey(1), 3, 0), 42, "not yet");
    s.linux.msync(&mut s.cx, s.process, at, 2 * P, 4).expect("other pages");
    assert_ne!(machine.sim_files().word(FileKey(1), 3, 0), 42);
    s.linux.msync(&mut s.cx, s.process, at, 8 * P, 1).expect("asynchronous");
    s.linux.msync(&mut s.cx, s.process, at, 8 * P, 4).expect("synced");
    assert_eq!(machine.sim_files().word(FileKey(1), 3, 0), 42);
    s.store(at + 3 * P, 43).expect("stored again");
    s.linux.fsync(&mut s.cx, s.process, &file).expect("synced");
    assert_eq!(machine.sim_files().word(FileKey(1), 3, 0), 43);
    assert_eq!(s.counter(Counter::PgPgOut), 2);
}

#[test]
fn a_file_that_cannot_be_written_is_reported() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 8 * P, BOTH);
    let at = s.mmap_file(0, 8 * P, RW, SHARED, &file, 0).expect("mapped");
    s.store(at, 42).expect("stored");
    machine.sim_files().fail(FileKey(1), Some(0), sim::Direction::Write);
    assert_eq!(s.linux.msync(&mut s.cx, s.process, at, P, 4), Err(Errno::EIO));
    machine.sim_files().heal(FileKey(1), Some(0), sim::Direction::Write);
    s.linux.msync(&mut s.cx, s.process, at, P, 4).expect("written");
    assert_eq!(machine.sim_files().word(FileKey(1), 0, 0), 42);
}

#[test]
fn no_page_no_access() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 2 * P + 100, BOTH);
    let at = s.mmap_file(0, 8 * P, RW, SHARED, &file, 0).expect("mapped");
    s.store(at + 2 * P + 200, 1).expect("the last page is whole");
    let bus = |addr| Err(Signal::Bus { code: BusCode::AdrErr, addr: VirtAddr(addr) });
    assert_eq!(s.load(at + 3 * P), bus(at + 3 * P));
    machine.sim_files().fail(FileKey(1), None, sim::Direction::Read);
    s.linux.ftruncate(&mut s.cx, s.process, &file, 64 * P).expect("grown");
    assert_eq!(s.load(at + 6 * P), bus(at + 6 * P), "it cannot be read");
    machine.sim_files().heal(FileKey(1), None, sim::Direction::Read);
    assert_eq!(s.load(at + 6 * P), Ok(0));
    s.linux.ftruncate(&mut s.cx, s.process, &file, P).expect("cut");
    assert_eq!(s.load(at + P), bus(at + P), "gone from every mapping");
    assert!(s.load(at).is_ok());
}

#[test]
fn what_is_writable_or_executable_is_readable() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 8 * P, BOTH);
    for (page, prot) in [(0, WRITE), (1, EXEC)] {
        s.anon(BASE + page * P, 1, prot);
        assert_eq!(s.load(BASE + page * P), Ok(0), "{prot}");
        let at = BASE + (16 + page) * P;
        s.mmap_file(at, P, prot, PRIVATE | FIXED, &file, 0).expect("mapped");
        assert_eq!(s.load(at), Ok(machine.sim_files().word(FileKey(1), 0, 0)), "{prot}");
        let at = BASE + (32 + page) * P;
        s.mmap(at, P, prot, SHARED | ANON | FIXED).expect("mapped");
        assert_eq!(s.load(at), Ok(0), "{prot}");
    }
    s.store(BASE, 1).expect("stored");
    assert!(s.maps().starts_with("10000000-10001000 -w-p"), "{}", s.maps());
}

#[test]
fn pages_no_file_can_have_are_not_there() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, P, BOTH);
    for offset in [1 << 40, 1 << 48, 1 << 62, (1 << 63) - 64 * P] {
        let at = s.mmap_file(0, 4 * P, RW, SHARED, &file, offset).expect("mapped");
        assert!(matches!(s.load(at), Err(Signal::Bus { .. })), "{offset:#x}");
        assert!(matches!(s.store(at, 1), Err(Signal::Bus { .. })), "{offset:#x}");
        s.linux.msync(&mut s.cx, s.process, at, 4 * P, 4).expect("nothing to do");
        s.linux.madvise(&mut s.cx, s.process, at, 4 * P, 3).expect("nothing to do");
        s.linux.ftruncate(&mut s.cx, s.process, &file, 2 * P).expect("changed");
        s.linux.ftruncate(&mut s.cx, s.process, &file, P).expect("changed");
    }
}

#[test]
fn read_only_files_stay_as_they_are() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 8 * P, FileRights::READ);
    let at = s.mmap_file(0, 8 * P, RW, PRIVATE, &file, 0).expect("mapped");
    let before = machine.sim_files().word(FileKey(1), 0, 0);
    assert_eq!(s.load(at), Ok(before));
    s.store(at, before + 1).expect("stored");
    s.linux.msync(&mut s.cx, s.process, at, 8 * P, 4).expect("nothing to do");
    s.linux.fsync(&mut s.cx, s.process, &file).expect("nothing to do");
    assert_eq!(machine.sim_files().word(FileKey(1), 0, 0), before);
    let second = s.mmap_file(0, 8 * P, READ, SHARED, &file, 0).expect("mapped");
    assert_eq!(s.load(second), Ok(before));
    assert!(s.touch(second, Access::Write).is_err());
}

#[test]
fn commitment_can_be_strict() {
    use space::Overcommit;
    let machine = machine(64 << 20);
    let config = linux::Config { overcommit: Overcommit::Never { ratio: 50 }, ..Default::default() };
    let mut s = System::with(&machine, config);
    let half = 32 << 20;
    assert_eq!(s.mmap(0, half + (1 << 20), RW, PRIVATE | ANON), Err(Errno::ENOMEM));
    assert_eq!(s.mmap(0, half + (1 << 20), RW, PRIVATE | ANON | NORESERVE), Err(Errno::ENOMEM));
    s.mmap(0, 1 << 40, READ, PRIVATE | ANON).expect("what is not written is not counted");
    let at = s.mmap(0, half * 3 / 8, RW, PRIVATE | ANON).expect("within");
    s.linux.fork(&mut s.cx, s.process).expect("once more is within");
    assert_eq!(s.mmap(0, half / 2, RW, PRIVATE | ANON), Err(Errno::ENOMEM));
    s.linux.munmap(&mut s.cx, s.process, at, half * 3 / 8).expect("given back");
    s.mmap(0, half / 4, RW, PRIVATE | ANON).expect("within again");
    let readable = s.mmap(0, half, READ, PRIVATE | ANON).expect("not counted");
    let grown = s.linux.mprotect(&mut s.cx, s.process, readable, half, RW);
    assert_eq!(grown, Err(Errno::ENOMEM), "what becomes writable is counted");
}
