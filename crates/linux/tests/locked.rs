//! Locked memory stays: mlock of what is there and of what is not, munlock, fork, and a short machine.

mod common;

use common::{ANON, BASE, FIXED, LOCKED, PAGE, PRIVATE, RW, System, machine};
use linux::{Exit, SwapDevice};
use machine::{Counter, FileKey, Vpn};
use object::Spare;
use sim::SimMachine;
use space::{Mapped, Stats};

const SWAP: FileKey = FileKey(7);
const PAGEOUT: u64 = 21;
const ON_FAULT: u64 = 1;
const CURRENT: u64 = 1;
const FUTURE: u64 = 2;
/// `MCL_ONFAULT`.
const WHEN_TOUCHED: u64 = 4;

fn at(page: u64) -> u64 {
    BASE + page * PAGE
}

fn value(page: u64) -> u64 {
    0x10c_ed00_0000_0000 + page * 0x1_0001 + 1
}

/// A system with an area.
fn system(machine: &SimMachine, config: linux::Config) -> System<'_> {
    let mut system = System::with(machine, config);
    let pages = 8192;
    machine.sim_files().create_zeroed(SWAP, pages * PAGE);
    system.linux.swapon(&mut system.cx, SwapDevice::File { key: SWAP, pages }, None).expect("an area");
    system
}

fn store_all(system: &mut System<'_>, pages: u64) {
    (0..pages).for_each(|page| system.store(at(page), value(page)).expect("stored"));
}

fn stats(system: &System<'_>) -> Stats {
    let space = system.linux.process(system.process).space().expect("alive");
    system.linux.spaces().stats(space)
}

/// Reclaim takes what it may of the first pages, however young; answers how many went.
fn evict(system: &mut System<'_>, pages: u64) -> u64 {
    let space = system.linux.process(system.process).space().expect("alive");
    let mut gone = 0;
    for page in 0..pages {
        let at = Vpn(at(page) / PAGE);
        if let Mapped::Page(pfn) = system.linux.spaces().page_mapped(system.cx.at(), space, at) {
            let evicted = system.linux.objects().try_evict(system.cx.at(), (pfn, 0), Spare::None);
            gone += u64::from(evicted.is_ok());
        }
    }
    gone
}

/// What is mapped at the first pages.
fn mapped(system: &mut System<'_>, pages: u64) -> Vec<Mapped> {
    let space = system.linux.process(system.process).space().expect("alive");
    let look = |page| {
        let found = system.linux.spaces().page_mapped(system.cx.at(), space, Vpn(at(page) / PAGE));
        if let Mapped::Page(pfn) = found {
            system.linux.frames().put(system.cx.at(), pfn);
        }
        found
    };
    (0..pages).map(look).collect()
}

fn mlock(system: &mut System<'_>, first: u64, pages: u64) {
    system.linux.mlock(&mut system.cx, system.process, at(first), pages * PAGE).expect("locked");
}

fn munlock(system: &mut System<'_>, first: u64, pages: u64) {
    system.linux.munlock(&mut system.cx, system.process, at(first), pages * PAGE).expect("unlocked");
}

#[test]
fn locked_pages_are_not_evicted() {
    let machine = machine(32 << 20);
    let mut system = system(&machine, linux::Config::default());
    system.anon(BASE, 16, RW);
    store_all(&mut system, 8);
    assert_eq!(evict(&mut system, 2), 2);
    mlock(&mut system, 0, 8);
    assert_eq!((stats(&system).mlocked, stats(&system).swapped), (8, 0), "mlock brings pages back");
    assert_eq!((evict(&mut system, 16), stats(&system).swapped), (0, 0));
    assert_eq!(system.counter(Counter::UnevictablePgCulled), 8);
    let on_fault = |system: &mut System<'_>| {
        system.linux.mlock2(&mut system.cx, system.process, at(8), 8 * PAGE, ON_FAULT).expect("locked");
    };
    on_fault(&mut system);
    assert_eq!(stats(&system).mlocked, 8, "nothing is there yet");
    store_all(&mut system, 12);
    assert_eq!((stats(&system).mlocked, evict(&mut system, 16)), (12, 0));
    munlock(&mut system, 2, 4);
    assert_eq!((stats(&system).mlocked, evict(&mut system, 16)), (8, 4));
    (0..12).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
    system.linux.munlockall(&mut system.cx, system.process).expect("unlocked");
    assert_eq!((stats(&system).mlocked, evict(&mut system, 16)), (0, 12));
    let [came, went] = [Counter::UnevictablePgMlocked, Counter::UnevictablePgMunlocked];
    assert_eq!(system.counter(came), system.counter(went));
}

#[test]
fn all_that_is_mapped_or_will_be_is_locked() {
    let machine = machine(32 << 20);
    let mut system = system(&machine, linux::Config::default());
    system.anon(BASE, 4, RW);
    store_all(&mut system, 4);
    system.linux.mlockall(&mut system.cx, system.process, CURRENT | FUTURE).expect("locked");
    system.mmap(at(4), 4 * PAGE, RW, PRIVATE | ANON | FIXED).expect("mapped");
    assert_eq!((stats(&system).mlocked, evict(&mut system, 8)), (8, 0));
    system.linux.mlockall(&mut system.cx, system.process, CURRENT | WHEN_TOUCHED).expect("locked");
    assert_eq!((stats(&system).mlocked, evict(&mut system, 8)), (8, 0), "only when is said anew");
    let refused = system.linux.madvise(&mut system.cx, system.process, BASE, PAGE, PAGEOUT);
    assert_eq!(refused, Err(linux::Errno::EINVAL));
    system.linux.munlockall(&mut system.cx, system.process).expect("unlocked");
    system.mmap(at(8), 4 * PAGE, RW, PRIVATE | ANON | FIXED | LOCKED).expect("mapped");
    assert_eq!((stats(&system).mlocked, evict(&mut system, 12)), (4, 8));
}

#[test]
fn a_child_inherits_no_lock_and_its_parent_s_pages_stay() {
    let machine = machine(32 << 20);
    let mut system = system(&machine, linux::Config::default());
    system.anon(BASE, 4, RW);
    store_all(&mut system, 4);
    mlock(&mut system, 0, 4);
    let parent = system.process;
    let child = system.linux.fork(&mut system.cx, parent).expect("a child");
    assert_eq!(stats(&system).mlocked, 4);
    system.become_process(child);
    assert_eq!((stats(&system).mlocked, evict(&mut system, 4)), (0, 0), "the parent has them locked");
    system.store(at(0), 1).expect("stored");
    assert_eq!(evict(&mut system, 4), 1, "a copy is the child's own");
    system.become_process(parent);
    assert_eq!((stats(&system).mlocked, stats(&system).swapped), (4, 0));
    munlock(&mut system, 0, 4);
    system.become_process(child);
    assert_eq!(evict(&mut system, 4), 3);
    assert_eq!(system.load(at(0)), Ok(1));
    system.linux.exit(&mut system.cx, child, Exit::Code(0));
    system.become_process(parent);
    (0..4).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page))));
}

#[test]
fn locks_survive_moves_and_rights() {
    let machine = machine(32 << 20);
    let mut system = system(&machine, linux::Config::default());
    system.anon(BASE, 4, RW);
    store_all(&mut system, 4);
    mlock(&mut system, 0, 4);
    system.linux.mprotect(&mut system.cx, system.process, BASE, 4 * PAGE, 1).expect("protected");
    system.linux.mprotect(&mut system.cx, system.process, BASE, 4 * PAGE, RW).expect("protected");
    let moved = linux::Mremap { addr: BASE, old_len: 4 * PAGE, new_len: 4 * PAGE, flags: 3, new_addr: at(8) };
    system.linux.mremap(&mut system.cx, system.process, &moved).expect("moved");
    system.linux.compact_memory(&mut system.cx);
    assert_eq!((stats(&system).mlocked, evict(&mut system, 12)), (4, 0));
    (0..4).for_each(|page| assert_eq!(system.load(at(page + 8)), Ok(value(page))));
    system.linux.munmap(&mut system.cx, system.process, at(8), 4 * PAGE).expect("unmapped");
    assert_eq!(stats(&system).mlocked, 0);
}

#[test]
fn a_short_machine_takes_what_is_not_locked() {
    let machine = machine(8 << 20);
    let mut system = system(&machine, linux::Config::default());
    let (kept, all) = (400, 3000);
    system.anon(BASE, all, RW);
    store_all(&mut system, kept);
    mlock(&mut system, 0, kept);
    let before = mapped(&mut system, kept);
    store_all(&mut system, all);
    assert!(stats(&system).swapped > 900, "{} pages are swapped out", stats(&system).swapped);
    assert_eq!(mapped(&mut system, kept), before, "no locked page left its frame");
    assert_eq!((stats(&system).mlocked, system.counter(Counter::OomKill)), (kept, 0));
    (0..all).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}"));
    munlock(&mut system, 0, kept);
    (kept..all).for_each(|page| assert_eq!(system.load(at(page)), Ok(value(page)), "page {page}"));
    assert!(mapped(&mut system, kept).contains(&Mapped::Nothing), "what was unlocked leaves memory");
}
