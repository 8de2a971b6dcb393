//! A manager on this process's machine, calls shortened, and the oracle's look at what is left.
#![allow(dead_code, unreachable_pub)]

use freehold::frame::{Id, SlabView};
use freehold::linux::{Errno, Exit, Linux, Mmap, Mremap, Process};
use freehold::machine::{Asid, CpuId, Cx, KernelFrame, Machine, PAGE_SIZE, ReaderOrder, TaskId};
use freehold::object::File;
use freehold::{Config, Manager};
use host::{Checks, HostConfig, HostMachine, Program};
use oracle::{Audit, DenseLedger, Holders, Link, Outside, Tally, Tlbs, Translation};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const P: u64 = PAGE_SIZE;
pub const NONE: u64 = 0;
pub const READ: u64 = 1;
pub const RW: u64 = 3;
pub const PRIVATE: u64 = 2;
pub const SHARED: u64 = 1;
pub const FIXED: u64 = 0x10;
pub const ANON: u64 = 0x20;
pub const DONTNEED: u64 = 4;
pub const MERGEABLE: u64 = 12;
pub const HUGEPAGE: u64 = 14;
pub const PAGEOUT: u64 = 21;
pub const POPULATE_WRITE: u64 = 23;
pub const COLLAPSE: u64 = 25;
pub const MAYMOVE_FIXED: u64 = 3;

/// A machine that checks its flushes. The seed chooses who pays for the order of readers and accesses.
pub fn machine(seed: u64, cpus: u32, memory_bytes: u64) -> HostMachine {
    let order = |bit: u64| if seed & bit == 0 { ReaderOrder::HeavyBarrier } else { ReaderOrder::Fence };
    let (readers, accesses, checks) = (order(1), order(2), Checks::Flushes);
    let config = HostConfig { cpus, memory_bytes, readers, accesses, checks, ..HostConfig::default() };
    HostMachine::new(&config).expect("a machine")
}

/// A seed that is another in each run, and is told; `FREEHOLD_SEED` gives it.
pub fn seed(test: &str) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let given = std::env::var("FREEHOLD_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or(now % 1_000_000_007);
    println!("{test}: FREEHOLD_SEED={seed}");
    seed
}

/// How many times as long as usual random tests go on: `FREEHOLD_TIMES`.
pub fn times() -> u64 {
    std::env::var("FREEHOLD_TIMES").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// How long a test goes on.
pub struct Clock(Instant);

impl Clock {
    pub fn millis(millis: u64) -> Clock {
        Clock(Instant::now() + Duration::from_millis(millis))
    }
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// Dice (splitmix64).
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A manager.
pub struct World<'m> {
    pub machine: &'m HostMachine,
    pub manager: Manager<'m, HostMachine>,
}

impl<'m> World<'m> {
    pub fn new(machine: &'m HostMachine) -> Self {
        Self::with(machine, &Config::default())
    }

    pub fn with(machine: &'m HostMachine, config: &Config) -> Self {
        World { machine, manager: Manager::new(machine, config).expect("memory") }
    }

    pub fn linux(&self) -> &Linux<'m, HostMachine> {
        self.manager.linux()
    }

    /// The context of CPU 0, for a test whose threads have ended or not begun.
    pub fn cx(&self) -> Cx<'m, HostMachine> {
        self.manager.cx(CpuId(0), TaskId(0))
    }

    pub fn process(&self) -> Id<Process> {
        self.linux().first_process(&mut self.cx()).expect("a process")
    }

    /// Nothing is under way: what breaks a rule.
    pub fn audit(&self) -> Vec<String> {
        let audit = Audit::new(self.machine, self.manager.core(), self.manager.spaces());
        let (seen, held) = (Seen(self.machine), Held(self));
        let mut ledger = vec![Tally::default(); self.linux().frames().memmap().end().0 as usize];
        let mut wrong = self.machine.violations();
        audit.run(&mut DenseLedger(&mut ledger), Outside { tlbs: &seen, holders: &held }, &mut |violation| {
            if wrong.len() < 20 {
                wrong.push(format!("{}: {}", violation.rule.id(), violation.text));
            }
        });
        wrong
    }

    /// All threads have ended: the state is sound; then the processes go, and nothing is left.
    pub fn finish(&self) {
        assert_eq!(self.audit(), Vec::<String>::new());
        let mut cx = self.cx();
        for process in self.linux().all_processes().collect::<Vec<_>>() {
            self.linux().exit(&mut cx, process, Exit::Code(0));
        }
        for process in self.linux().all_processes().collect::<Vec<_>>() {
            self.linux().wait(&mut cx, process, None, freehold::linux::Waiting::Poll).ok();
        }
        for cpu in 0..self.machine.cpus() {
            self.linux().idle(&mut self.manager.cx(CpuId(cpu), TaskId(cpu)));
        }
        assert_eq!(self.audit(), Vec::<String>::new());
        let spaces = self.manager.spaces();
        assert_eq!((spaces.in_use(), spaces.committed()), ([0, 0, 0], 0), "left behind");
    }
}

/// Calls of a thread, shortened.
pub trait Calls {
    fn map(&mut self, addr: u64, pages: u64, prot: u64) -> Result<u64, Errno>;
    fn unmap(&mut self, addr: u64, pages: u64) -> Result<(), Errno>;
    fn protect(&mut self, addr: u64, pages: u64, prot: u64) -> Result<(), Errno>;
    fn advise(&mut self, addr: u64, pages: u64, advice: u64) -> Result<(), Errno>;
    fn move_to(&mut self, addr: u64, pages: u64, to: u64) -> Result<u64, Errno>;
}

impl Calls for Program<'_, '_> {
    fn map(&mut self, addr: u64, pages: u64, prot: u64) -> Result<u64, Errno> {
        let args = Mmap { addr, len: pages * P, prot, flags: PRIVATE | ANON | FIXED, offset: 0 };
        let process = self.process();
        self.linux().mmap(self.cx(), process, &args, None)
    }
    fn unmap(&mut self, addr: u64, pages: u64) -> Result<(), Errno> {
        let process = self.process();
        self.linux().munmap(self.cx(), process, addr, pages * P)
    }
    fn protect(&mut self, addr: u64, pages: u64, prot: u64) -> Result<(), Errno> {
        let process = self.process();
        self.linux().mprotect(self.cx(), process, addr, pages * P, prot)
    }
    fn advise(&mut self, addr: u64, pages: u64, advice: u64) -> Result<(), Errno> {
        let process = self.process();
        self.linux().madvise(self.cx(), process, addr, pages * P, advice)
    }
    fn move_to(&mut self, addr: u64, pages: u64, to: u64) -> Result<u64, Errno> {
        let len = pages * P;
        let args = Mremap { addr, old_len: len, new_len: len, flags: MAYMOVE_FIXED, new_addr: to };
        let process = self.process();
        self.linux().mremap(self.cx(), process, &args)
    }
}

/// The machine's TLBs, as the oracle reads them.
struct Seen<'a>(&'a HostMachine);

impl Tlbs for Seen<'_> {
    fn loaded(&self, cpu: CpuId) -> Option<(KernelFrame, Asid)> {
        self.0.loaded_space(cpu)
    }
    fn for_each_translation(&self, see: &mut dyn FnMut(&Translation)) {
        self.0.for_each_translation(|entry| {
            see(&Translation {
                cpu: entry.cpu,
                asid: entry.asid,
                page: entry.page,
                frame: entry.frame,
                perms: entry.perms,
                dirty: entry.dirty,
            });
        });
    }
    fn for_each_link(&self, _: &mut dyn FnMut(&Link)) {}
}

/// What the test holds: nothing.
struct Held<'a, 'm>(&'a World<'m>);

impl Holders for Held<'_, '_> {
    fn for_each_slab(&self, visit: &mut dyn FnMut(&'static str, &dyn SlabView, u64)) {
        for (name, slab) in self.0.linux().slab_views() {
            visit(name, slab, slab.live());
        }
    }
    fn opens(&self, _: Id<File>) -> Option<u64> {
        Some(0)
    }
}
