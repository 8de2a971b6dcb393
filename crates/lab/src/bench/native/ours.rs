//! Freehold on this machine's memory: a process, and what it does.

use freehold::frame::Id;
use freehold::linux::{Linux, Mmap, Process};
use freehold::machine::{Counter, CpuId, PAGE_SIZE, ReaderOrder, VirtAddr};
use freehold::space::HugePages;
use freehold::{Config, Manager};
use host::{Contents, HostConfig, HostMachine, Program};
use native::peer::{Clock, PagesOf};

use super::Trouble;
use super::attempt::Attempt;

/// `PROT_READ`.
pub(super) const READ: u64 = 1;
/// `PROT_READ | PROT_WRITE`.
pub(super) const READ_WRITE: u64 = 3;
/// `MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE`.
const PRIVATE: u64 = 0x4022;
/// `MADV_DONTNEED`.
pub(super) const DONTNEED: u64 = 4;
/// `MADV_MERGEABLE`.
pub(super) const MERGEABLE: u64 = 12;
/// `MADV_PAGEOUT`.
pub(super) const PAGEOUT: u64 = 21;
/// `MADV_POPULATE_WRITE`.
pub(super) const POPULATE_WRITE: u64 = 23;

/// What machine is built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Bytes of memory.
    pub(super) bytes: u64,
    /// How many CPUs.
    pub(super) cpus: u32,
    /// Which pages programs get.
    pub(super) pages: PagesOf,
    /// Whether memory has bytes.
    pub(super) contents: Contents,
    /// Who pays for the order of walks and accesses.
    pub(super) order: ReaderOrder,
}

impl Room {
    /// One CPU, and room for so many bytes of small pages, their tables, and a little more.
    pub(super) fn small(bytes: u64) -> Room {
        let bytes = bytes + bytes / 16 + (16 << 20);
        Room {
            bytes,
            cpus: 1,
            pages: PagesOf::FourKib,
            contents: Contents::Real,
            order: ReaderOrder::HeavyBarrier,
        }
    }

    /// The same of large pages.
    pub(super) fn large(bytes: u64) -> Room {
        Room { pages: PagesOf::TwoMib, ..Room::small(bytes) }
    }

    /// The machine. Its memory is taken from the host at once and lies in large pages of the host's, as a
    /// kernel's direct map does.
    pub(super) fn machine(&self) -> Result<HostMachine, Trouble> {
        let real = self.contents == Contents::Real;
        HostMachine::new(&HostConfig {
            cpus: self.cpus,
            memory_bytes: self.bytes,
            contents: self.contents,
            huge: if real { host::HugePages::All } else { host::HugePages::Memmap },
            resident: real,
            pin: true,
            readers: self.order,
            accesses: self.order,
            ..HostConfig::default()
        })
        .at("a machine of this process")
    }

    /// The manager's choices.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::default();
        config.linux.huge_pages = match self.pages {
            PagesOf::FourKib => HugePages::Never,
            PagesOf::TwoMib => HugePages::Always,
        };
        config
    }
}

/// A manager on a machine.
pub(super) fn manager<'m>(
    machine: &'m HostMachine,
    room: &Room,
) -> Result<Manager<'m, HostMachine>, Trouble> {
    Manager::new(machine, &room.config())
        .map_err(|shortage| Trouble::new(&format!("Freehold does not fit into its memory: {shortage:?}")))
}

/// A range of memory that is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mapped {
    pub(super) start: u64,
    pub(super) len: u64,
}

impl Mapped {
    /// The address of a page.
    pub(super) fn page(self, number: u64) -> VirtAddr {
        VirtAddr(self.start + number * PAGE_SIZE)
    }
}

/// What was counted while something was timed.
pub(super) type Counts = Vec<(&'static str, u64)>;

/// A thread of a process.
pub(super) struct Ours<'r, 'm> {
    pub(super) program: Program<'r, 'm>,
    pub(super) manager: &'r Manager<'m, HostMachine>,
    /// Of what was timed last.
    counts: Counts,
}

/// Runs `body` as the only process of a machine, on its first CPU.
pub(super) fn on_machine<T>(
    room: &Room,
    body: impl FnOnce(&mut Ours<'_, '_>) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let machine = room.machine()?;
    let manager = manager(&machine, room)?;
    let cpu = machine.claim(CpuId(0)).at("the first CPU")?;
    let mut cx = manager.cx(cpu.id(), cpu.task());
    let process = manager.linux().first_process(&mut cx).at("a process")?;
    body(&mut Ours::new(&cpu, &manager, process)?)
}

impl<'r, 'm> Ours<'r, 'm> {
    /// A thread of a process.
    pub(super) fn new(
        cpu: &'r host::HostCpu<'m>,
        manager: &'r Manager<'m, HostMachine>,
        process: Id<Process>,
    ) -> Result<Self, Trouble> {
        let program = Program::new(cpu, manager, process).at("a thread")?;
        Ok(Ours { program, manager, counts: Counts::new() })
    }

    pub(super) fn linux(&self) -> &'r Linux<'m, HostMachine> {
        self.manager.linux()
    }

    /// How long `work` takes, in nanoseconds.
    pub(super) fn timed(
        &mut self,
        clock: Clock,
        work: impl FnOnce(&mut Self) -> Result<(), Trouble>,
    ) -> Result<f64, Trouble> {
        let counted = self.counted();
        let started = clock.now();
        let done = work(self);
        let ended = clock.now();
        self.counts = self
            .counted()
            .into_iter()
            .zip(counted)
            .map(|((name, now), (_, then))| (name, now - then))
            .collect();
        done.map(|()| (ended - started) as f64)
    }

    /// What was counted while something was timed last.
    pub(super) fn counts(&self) -> Counts {
        self.counts.clone()
    }

    fn counted(&self) -> Counts {
        let core = self.manager.core();
        vec![
            ("flush_rounds", core.total(Counter::TlbFlushRounds)),
            ("grace_periods", core.total(Counter::GracePeriods)),
            ("ipis", core.total(Counter::TlbIpis)),
        ]
    }

    /// `mmap` of private memory.
    pub(super) fn map(&mut self, len: u64) -> Result<Mapped, Trouble> {
        let args = Mmap { addr: 0, len, prot: READ_WRITE, flags: PRIVATE, offset: 0 };
        let process = self.program.process();
        let start = self.linux().mmap(self.program.cx(), process, &args, None).at("mmap")?;
        Ok(Mapped { start, len })
    }

    /// `mmap`, and all pages brought in.
    pub(super) fn map_populated(&mut self, len: u64) -> Result<Mapped, Trouble> {
        let mapped = self.map(len)?;
        self.advise(mapped, POPULATE_WRITE)?;
        Ok(mapped)
    }

    /// `madvise`.
    pub(super) fn advise(&mut self, Mapped { start, len }: Mapped, advice: u64) -> Result<(), Trouble> {
        let process = self.program.process();
        self.linux().madvise(self.program.cx(), process, start, len, advice).at("madvise")
    }

    /// `mprotect`.
    pub(super) fn protect(&mut self, Mapped { start, len }: Mapped, prot: u64) -> Result<(), Trouble> {
        let process = self.program.process();
        self.linux().mprotect(self.program.cx(), process, start, len, prot).at("mprotect")
    }

    /// `munmap`.
    pub(super) fn unmap(&mut self, Mapped { start, len }: Mapped) -> Result<(), Trouble> {
        let process = self.program.process();
        self.linux().munmap(self.program.cx(), process, start, len).at("munmap")
    }
}
