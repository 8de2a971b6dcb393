//! Who walks a process's page tables without a lock: dumps, a guest's monitor, a profiler.

mod common;

use common::*;
use fault::{Guest, GuestError, HoldError};
use frame::Id;
use linux::{Config, Errno, Exit, Policy};
use machine::entry::Attrs;
use machine::x86_64::X86_64;
use machine::{Access, Cx, EntryFormat, KernelFrame, Level, PAGE_SIZE, Perms, Pfn, VirtAddr, VpnRange};
use sim::SimMachine;
use space::{HugePages, Space};
use table::Sample;

const P: u64 = PAGE;
const HUGE: u64 = 2 << 20;
const RWX: Perms = Perms { read: true, write: true, execute: true };
const READ_ONLY: Perms = Perms { read: true, write: false, execute: false };

fn page_tables(s: &mut System<'_>) -> String {
    let mut text = String::new();
    s.linux.page_tables(&mut s.cx, s.process, &mut text).expect("text");
    text
}

fn space(s: &System<'_>) -> Id<Space> {
    s.linux.process(s.process).space().expect("alive")
}

fn with_huge_pages(machine: &SimMachine) -> System<'_> {
    let config = Config { shortage: Policy::Fail, huge_pages: HugePages::Always, ..Config::default() };
    System::with(machine, config)
}

#[test]
fn a_dump_joins_equal_entries_of_one_size() {
    let machine = machine(64 << 20);
    let mut s = with_huge_pages(&machine);
    assert_eq!(page_tables(&mut s), "");
    s.anon(HUGE, 512, RW);
    s.store(HUGE, 1).expect("stored");
    s.anon(BASE, 600, RW);
    for page in (0..6).chain(512..515) {
        s.store(BASE + page * P, 1).expect("stored");
    }
    s.linux.mprotect(&mut s.cx, s.process, BASE + 2 * P, P, READ).expect("protected");
    s.linux.mprotect(&mut s.cx, s.process, BASE + 3 * P, P, 0).expect("protected");
    let expected = "\
0x0000000000200000-0x0000000000400000           2M USR RW PSE NX pmd
0x0000000010000000-0x0000000010002000           8K USR RW     NX pte
0x0000000010002000-0x0000000010003000           4K USR ro     NX pte
0x0000000010003000-0x0000000010004000           4K USR --     NX pte
0x0000000010004000-0x0000000010203000        2044K USR RW     NX pte
";
    assert_eq!(page_tables(&mut s), expected, "the second large page was split to be protected");
}

#[test]
fn a_dump_leaves_out_what_maps_nothing() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 600, RW);
    for page in (0..4).chain(510..515) {
        s.store(BASE + page * P, 1).expect("stored");
    }
    s.linux.mprotect(&mut s.cx, s.process, BASE + 2 * P, P, READ | EXEC).expect("protected");
    s.linux.mprotect(&mut s.cx, s.process, BASE + 3 * P, P, 0).expect("protected");
    let expected = "\
0x0000000010000000-0x0000000010002000           8K USR RW     NX pte
0x0000000010002000-0x0000000010003000           4K USR ro     x  pte
0x0000000010003000-0x0000000010004000           4K USR --     NX pte
0x00000000101fe000-0x0000000010203000          20K USR RW     NX pte
";
    assert_eq!(page_tables(&mut s), expected);
}

#[test]
fn a_dump_of_more_runs_than_a_walk_tells_has_all_of_them() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 4096, RW);
    for page in (0..4096).step_by(2) {
        s.store(BASE + page * P, 1).expect("stored");
    }
    let text = page_tables(&mut s);
    let starts: Vec<String> =
        (0..4096).step_by(2).map(|page| format!("0x{:016x}-", BASE + page * P)).collect();
    assert_eq!(text.lines().count(), starts.len());
    assert!(text.lines().zip(&starts).all(|(line, start)| line.starts_with(start)));
}

// ---- a guest ----

/// A guest of 64 pages of memory.
struct Monitor<'m> {
    s: System<'m>,
    guest: Guest,
}

impl<'m> Monitor<'m> {
    fn new(machine: &'m SimMachine) -> Self {
        let mut s = System::new(machine);
        s.anon(BASE, 64, RW);
        Monitor { s, guest: Guest { memory: range(0, 64), root: 1 } }
    }

    /// What the guest writes into a table.
    fn set(&mut self, table: u64, index: u64, entry: u64) {
        self.s.store(BASE + table * P + index * 8, entry).expect("stored");
    }

    /// Tables 1 to 4 that map the guest's address 0.
    fn map(&mut self, entry: u64) {
        for table in 1..4 {
            self.set(table, 0, X86_64::table(KernelFrame(Pfn(table as u32 + 1))).0);
        }
        self.set(4, 0, entry);
    }

    fn ask(&mut self, addr: u64, access: Access) -> Result<fault::Translated, GuestError> {
        let Monitor { s, guest } = self;
        s.linux.translate_guest(&mut s.cx, s.process, guest, (VirtAddr(addr), access)).expect("alive")
    }
}

fn leaf(frame: u64, perms: Perms, level: Level) -> u64 {
    X86_64::leaf(Pfn(frame as u32), Attrs { perms, ..Attrs::default() }, level).0
}

#[test]
fn a_guest_s_address_is_translated_through_both_levels() {
    let machine = machine(64 << 20);
    let mut m = Monitor::new(&machine);
    m.map(leaf(9, RWX, Level::LEAF));
    let found = m.ask(0x18, Access::Write).expect("mapped");
    assert_eq!((found.frame, found.level, found.perms), (9, Level::LEAF, RWX));
    assert_eq!(found.page.addr(), VirtAddr(BASE + 9 * P));
    assert_eq!((found.backing, found.bytes()), (None, None), "the host has no page there yet");
    m.s.store(BASE + 9 * P, 1).expect("stored");
    let found = m.ask(0, Access::Read).expect("mapped");
    assert_eq!(found.bytes(), Some(PAGE_SIZE));
    assert_eq!(m.ask(P, Access::Read), Err(GuestError::Fault));
}

#[test]
fn rights_of_all_levels_count() {
    let machine = machine(64 << 20);
    let mut m = Monitor::new(&machine);
    m.map(leaf(9, READ_ONLY, Level::LEAF));
    assert_eq!(m.ask(0, Access::Write), Err(GuestError::Fault));
    assert_eq!(m.ask(0, Access::Execute), Err(GuestError::Fault));
    m.map(leaf(9, RWX, Level::LEAF));
    // The guest takes the right to store away two levels up (bit 1).
    m.set(2, 0, X86_64::table(KernelFrame(Pfn(3))).0 & !2);
    assert_eq!(m.ask(0, Access::Write), Err(GuestError::Fault));
    assert_eq!(m.ask(0, Access::Read).map(|found| found.perms.write), Ok(false));
}

#[test]
fn large_pages_of_a_guest_end_the_walk_early() {
    let machine = machine(64 << 20);
    let mut m = Monitor::new(&machine);
    m.map(0);
    m.set(3, 0, leaf(0, RWX, Level::HUGE));
    let found = m.ask(5 * P, Access::Read).expect("mapped");
    assert_eq!((found.frame, found.level), (5, Level::HUGE));
    assert_eq!(found.bytes(), None);
    m.s.store(BASE + 5 * P, 1).expect("stored");
    assert_eq!(m.ask(5 * P, Access::Read).map(|found| found.bytes()), Ok(Some(PAGE_SIZE)));
}

/// Whatever a guest writes, its monitor gets an answer.
#[test]
fn what_a_hostile_guest_writes_ends_the_walk() {
    let machine = machine(64 << 20);
    let mut m = Monitor::new(&machine);
    m.map(leaf(64, RWX, Level::LEAF));
    assert_eq!(m.ask(0, Access::Read), Err(GuestError::Malformed(Level::LEAF)), "beyond its memory");
    m.map(leaf(1, RWX, Level::LEAF));
    m.set(3, 0, leaf(1, RWX, Level::HUGE));
    assert_eq!(m.ask(0, Access::Read), Err(GuestError::Malformed(Level::HUGE)), "a large page that is askew");
    m.set(2, 0, X86_64::table(KernelFrame(Pfn(u32::MAX))).0);
    assert_eq!(m.ask(0, Access::Read), Err(GuestError::Malformed(Level::HUGE)), "a table beyond its memory");
    m.set(1, 0, leaf(0, RWX, Level::HUGE));
    assert_eq!(m.ask(0, Access::Read), Err(GuestError::Malformed(Level::ROOT)), "a leaf in the root");
    // A table that leads to itself ends at the last level, as a page.
    m.set(1, 0, X86_64::table(KernelFrame(Pfn(1))).0);
    assert_eq!(m.ask(0, Access::Read).map(|found| found.frame), Ok(1));
    assert_eq!(m.ask(1 << 48, Access::Read), Err(GuestError::Fault));
    for root in [64, u64::MAX] {
        m.guest.root = root;
        assert_eq!(m.ask(0, Access::Read), Err(GuestError::Malformed(Level::ROOT)));
    }
    let mut seed = 1u64;
    m.guest.root = 1;
    for _ in 0..2000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        m.set(1 + seed % 4, 0, if seed & 64 == 0 { seed } else { seed & 0x3f0ff });
        let _ = m.ask(0, Access::Read);
    }
}

#[test]
fn a_guest_s_tables_are_brought_in_and_let_go() {
    let machine = machine(64 << 20);
    let mut m = Monitor::new(&machine);
    m.map(leaf(9, RWX, Level::LEAF));
    let (before, frame) = (m.s.free(), m.s.touch(BASE + 4 * P, Access::Read).expect("there"));
    for _ in 0..10 {
        m.ask(0, Access::Read).expect("mapped");
    }
    let counts = m.s.linux.frames().descriptor(frame.0).counts(&m.s.cx);
    assert_eq!((counts.refs(), counts.pins(), m.s.free()), (1, 0, before));
    // Memory that the monitor unmapped under its guest.
    m.s.linux.munmap(&mut m.s.cx, m.s.process, BASE + 3 * P, P).expect("unmapped");
    assert!(matches!(m.ask(0, Access::Read), Err(GuestError::Host(HoldError::Fault(_)))));
    let guest = Guest { memory: VpnRange::default(), root: 0 };
    m.guest = guest;
    assert_eq!(m.ask(0, Access::Read), Err(GuestError::Malformed(Level::ROOT)));
}

#[test]
fn who_has_exited_has_no_tables_to_walk() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
    let guest = Guest { memory: range(0, 1), root: 0 };
    let asked = s.linux.translate_guest(&mut s.cx, child, &guest, (VirtAddr(0), Access::Read));
    assert_eq!(asked, Err(Errno::ESRCH));
    let mut text = String::new();
    s.linux.page_tables(&mut s.cx, child, &mut text).expect("nothing");
    assert_eq!(text, "");
}

// ---- a profiler ----

fn sample(s: &System<'_>, addr: u64) -> Option<Sample> {
    let mut handler = Cx::interrupt(s.machine, s.cx.core(), s.cx.cpu(), s.cx.task());
    s.linux.sample(handler.at(), space(s), VirtAddr(addr))
}

#[test]
fn a_sample_tells_the_frame_and_the_size_of_a_page() {
    let machine = machine(64 << 20);
    let mut s = with_huge_pages(&machine);
    s.anon(HUGE, 512, RW);
    s.anon(BASE + P, 1, RW);
    assert_eq!(sample(&s, HUGE), None);
    let small = s.touch(BASE + P, Access::Write).expect("there");
    let large = s.touch(HUGE + 5 * P, Access::Write).expect("there");
    assert_eq!(sample(&s, BASE + P + 8), Some(Sample { frame: small.0, bytes: P }));
    assert_eq!(sample(&s, HUGE + 5 * P), Some(Sample { frame: large.0, bytes: HUGE }));
    assert_eq!([USER_END, u64::MAX].map(|addr| sample(&s, addr)), [None; 2]);
}

/// The interrupt comes while its CPU walks, and while it holds the lock of the very table (L-18).
#[test]
fn a_sample_nests_over_a_walk_and_over_a_table_s_lock() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 1, RW);
    let frame = s.touch(BASE, Access::Write).expect("there").0;
    let found = Some(Sample { frame, bytes: P });
    let core = s.cx.core();
    let (linux, space) = (&s.linux, space(&s));
    let walker = linux.spaces().walker(linux.spaces().space(space).table().expect("alive"));
    let interrupt = |cx: &Cx<'_, SimMachine, { machine::level::EPOCH }>| {
        let mut handler = Cx::interrupt(&machine, core, cx.cpu(), cx.task());
        walker.sample(handler.at(), VirtAddr(BASE).page())
    };
    let walk = walker.walk(s.cx.at());
    assert_eq!(interrupt(&walk), found);
    assert!(core.epochs.is_marked(walk.cpu()), "the walk that was interrupted is still covered");
    drop(walk);
    let leaf = walker.lock_leaf_existing(s.cx.at(), VirtAddr(BASE).page()).expect("a leaf");
    let mut handler = Cx::interrupt(&machine, core, leaf.cpu(), leaf.task());
    assert_eq!(walker.sample(handler.at(), VirtAddr(BASE).page()), found);
    drop(leaf);
    assert!(core.epochs.all_outside());
}
