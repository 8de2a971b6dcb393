//! The machine alone, with tables made by hand: once a flush has returned nobody reaches the page.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![forbid(unsafe_code)]

use host::{Checks, HostConfig, HostMachine};
use machine::entry::Attrs;
use machine::x86_64::X86_64;
use machine::{
    Asid, CpuId, CpuSet, Entry, EntryFormat, FlushScope, KernelFrame, Level, Machine, Order, PAGE_SIZE,
    PageOp, Perms, ReaderOrder, UserFrame, VirtAddr, VpnRange, Word,
};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

const ASID: Asid = Asid(5);
const ADDR: VirtAddr = VirtAddr(0x1234_5678_9000);

/// A root, tables down to one entry, and a page.
struct Tables<'m> {
    machine: &'m HostMachine,
    root: KernelFrame,
    page: UserFrame,
    entry: &'m Word,
}

impl<'m> Tables<'m> {
    fn new(machine: &'m HostMachine) -> Self {
        let first = machine.memory(0).expect("memory").start;
        let table = |level: u8| KernelFrame(first.plus(u64::from(4 - level)));
        let word = |level: u8| {
            let index = ADDR.page().0 >> Level(level).span_shift() & 511;
            &machine.kernel_area(table(level), 1)[index as usize]
        };
        for level in 2..=4 {
            word(level).raw().store(X86_64::table(table(level - 1)).0, SeqCst);
        }
        Tables { machine, root: table(4), page: UserFrame(first.plus(8)), entry: word(1) }
    }

    /// Maps the page; its frame, its rights.
    fn map(&self, perms: Perms) {
        let leaf = X86_64::leaf(self.page.0, Attrs { perms, ..Attrs::default() }, Level::LEAF);
        self.entry.raw().store(leaf.0, SeqCst);
    }

    /// Waits until somebody has written.
    fn await_store(&self) {
        let start = Instant::now();
        while self.is_zero() && start.elapsed() < Duration::from_secs(2) {
            // Who writes may be on the other processor, or wait for this one.
            if start.elapsed() > Duration::from_micros(100) {
                std::thread::yield_now();
            }
        }
    }

    fn is_zero(&self) -> bool {
        self.machine.is_zero(CpuId(0), self.page)
    }
}

fn machine(order: ReaderOrder, checks: Checks) -> HostMachine {
    let config = HostConfig { cpus: CPUS, pin: true, accesses: order, checks, ..HostConfig::default() };
    HostMachine::new(&config).expect("a machine")
}

fn everyone() -> CpuSet {
    let mut all = CpuSet::EMPTY;
    (0..CPUS).for_each(|cpu| all.insert(CpuId(cpu)));
    all
}

/// One that flushes, one that writes: on a host with two processors they really meet.
const CPUS: u32 = 2;
const RW: Perms = Perms { read: true, write: true, execute: false };

/// The other CPU writes the page whenever it may; this one unmaps it, flushes, and is alone with it.
fn no_byte_is_written_after(scope: FlushScope, order: ReaderOrder, checks: Checks) {
    let machine = machine(order, checks);
    let over = AtomicBool::new(false);
    let (rounds, stores) = machine.run(|threads| {
        let over = &over;
        let writer = threads.spawn(CpuId(1), move |cpu| {
            let tables = Tables::new(cpu.machine());
            cpu.machine().load_space(cpu.id(), Some((tables.root, ASID)), true);
            let bytes = [1; PAGE_SIZE as usize];
            let mut stores = 0u64;
            while !over.load(Relaxed) {
                stores += u64::from(cpu.write(ADDR, &bytes).is_ok());
            }
            stores
        });
        let flusher = threads.spawn(CpuId(0), move |cpu| {
            let tables = Tables::new(cpu.machine());
            let end = Instant::now() + Duration::from_millis(700);
            let (mut rounds, mut wrong) = (0, 0);
            while Instant::now() < end && wrong == 0 {
                tables.map(RW);
                tables.await_store();
                (0..rounds % 97).for_each(|_| std::hint::spin_loop());
                tables.entry.raw().store(Entry::EMPTY.0, SeqCst);
                cpu.machine().flush(cpu.id(), &everyone(), &scope);
                let op = PageOp::Zero { to: tables.page, order: Order::ZERO };
                cpu.machine().page_op(cpu.id(), op);
                (0..20).for_each(|_| std::hint::spin_loop());
                wrong += u64::from(!tables.is_zero());
                rounds += 1;
            }
            over.store(true, Relaxed);
            (rounds, wrong)
        });
        let (rounds, wrong) = flusher.join().expect("no panic").expect("a CPU");
        let stores = writer.join().expect("no panic").expect("a CPU");
        assert_eq!(wrong, 0, "the page was written after round {rounds}'s flush had returned");
        (rounds, stores)
    });
    println!("{scope:?} {order:?} {checks:?}: {rounds} rounds, {stores} stores");
    assert!(rounds > 10 && stores > 10);
    assert_eq!(machine.violations(), Vec::<String>::new());
}

const ONE: FlushScope =
    FlushScope { asid: ASID, pages: Some(VpnRange::sized(ADDR.page(), 1)), tables: false };
const ALL: FlushScope = FlushScope { asid: ASID, pages: None, tables: true };

#[test]
fn no_byte_is_written_after_a_page_is_flushed() {
    no_byte_is_written_after(ONE, ReaderOrder::HeavyBarrier, Checks::Off);
    no_byte_is_written_after(ONE, ReaderOrder::Fence, Checks::Off);
}

#[test]
fn no_byte_is_written_after_everything_is_flushed() {
    no_byte_is_written_after(ALL, ReaderOrder::HeavyBarrier, Checks::Off);
    no_byte_is_written_after(ALL, ReaderOrder::Fence, Checks::Off);
}

#[test]
fn checked_flushes_find_nothing() {
    no_byte_is_written_after(ONE, ReaderOrder::HeavyBarrier, Checks::Flushes);
    no_byte_is_written_after(ALL, ReaderOrder::Fence, Checks::Flushes);
}

/// What hardware does, seen from the entry: accessed by a load, dirty by a store, and no bit for one refused.
#[test]
fn accesses_mark_the_entry_and_stale_translations_last_until_flushed() {
    let machine = machine(ReaderOrder::HeavyBarrier, Checks::Flushes);
    let cpu = machine.claim(CpuId(0)).expect("free");
    let tables = Tables::new(&machine);
    let attrs = || X86_64::attrs(Entry(tables.entry.raw().load(SeqCst)));
    assert!(cpu.load(ADDR).is_err(), "no space is loaded");
    machine.load_space(cpu.id(), Some((tables.root, ASID)), true);
    assert!(cpu.load(ADDR).is_err_and(|fault| !fault.present));
    tables.map(RW.read_only());
    assert_eq!(cpu.load(ADDR), Ok(0));
    assert!(attrs().accessed && !attrs().dirty);
    assert!(cpu.store(ADDR, 1).is_err_and(|fault| fault.present));
    assert!(!attrs().dirty, "a store that was refused");
    tables.map(RW);
    assert_eq!(cpu.store(ADDR, 1), Ok(()), "rights may grow without a flush");
    assert!(attrs().dirty);
    // The entry goes; the CPU still has its translation, and only a flush takes it.
    tables.entry.raw().store(Entry::EMPTY.0, SeqCst);
    assert_eq!(cpu.load(ADDR), Ok(1));
    let mut own = CpuSet::EMPTY;
    own.insert(cpu.id());
    let elsewhere = FlushScope { pages: Some(VpnRange::sized(machine::Vpn(ADDR.page().0 + 1), 1)), ..ONE };
    machine.flush(cpu.id(), &own, &elsewhere);
    machine.flush(cpu.id(), &own, &FlushScope { asid: Asid(6), ..ONE });
    assert_eq!(cpu.load(ADDR), Ok(1), "flushes of other pages and spaces");
    machine.flush(cpu.id(), &own, &ONE);
    assert!(cpu.load(ADDR).is_err());
    assert_eq!(machine.violations(), Vec::<String>::new());
}

/// Words may lie across pages, and bytes anywhere.
#[test]
fn bytes_and_words_are_where_they_were_stored() {
    let machine = machine(ReaderOrder::HeavyBarrier, Checks::Off);
    let cpu = machine.claim(CpuId(0)).expect("free");
    let tables = Tables::new(&machine);
    machine.load_space(cpu.id(), Some((tables.root, ASID)), true);
    tables.map(RW);
    cpu.store(VirtAddr(ADDR.0 + 3), 0x1122_3344_5566_7788).expect("mapped");
    cpu.write(VirtAddr(ADDR.0 + 11), &[9; 5]).expect("mapped");
    let mut bytes = [0; 16];
    cpu.read(ADDR, &mut bytes).expect("mapped");
    assert_eq!(bytes, [0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 9, 9, 9, 9, 9]);
    let end = VirtAddr(ADDR.0 + PAGE_SIZE - 4);
    assert!(cpu.store(end, u64::MAX).is_err_and(|fault| fault.addr == VirtAddr(ADDR.0 + PAGE_SIZE)));
    let first = u64::from_le_bytes([0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44]);
    assert_eq!(cpu.fetch_add(ADDR, 1), Ok(first));
    assert_eq!(machine.peek(tables.root, ADDR), Some(first + 1));
}
