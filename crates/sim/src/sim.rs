//! The simulated machine's state, and its accounting.

use crate::caches::{Caches, Found, Use};
use crate::config::{Bytes, CacheModel, Checks, SimConfig, SimError};
use crate::contents::Contents;
use crate::cpu::{Cpu, Task};
use crate::device::Device;
use crate::explore::{Agent, Driver, Locks};
use crate::files::SimFiles;
use crate::lines::{self, Line};
use crate::memory::KernelMemory;
use crate::profile::Costs;
use crate::report::{Cause, Counts, Ledger, RunReport};
use crate::violation::{Rule, Violation};
use crate::watch::Watch;
use machine::{CpuId, MemoryRange, Plant, ReaderOrder, Word};
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::Ordering::Relaxed;

/// Violations are counted without end, and kept up to this many.
const VIOLATIONS_KEPT: usize = 1000;

/// A simulated machine. One host thread runs all of it; two machines in one process share nothing.
pub struct SimMachine {
    pub(crate) costs: Costs,
    pub(crate) checks: Checks,
    pub(crate) reader_order: ReaderOrder,
    pub(crate) quantum: u64,
    pub(crate) slice: u64,
    pub(crate) run_ns_max: u64,
    pub(crate) stack_bytes: usize,
    pub(crate) tasks_max: u32,
    pub(crate) nodes: u32,
    pub(crate) ranges: Vec<MemoryRange>,
    /// Node of each CPU.
    pub(crate) node_of: Vec<u8>,
    /// Socket of each CPU.
    pub(crate) socket_of: Vec<u32>,
    /// For each socket, the CPUs' bits in a line's state.
    near_bits: Vec<u64>,

    memory: KernelMemory,
    /// What CPUs' caches hold, if that is modelled.
    caches: Option<Caches>,
    pub(crate) bytes: Bytes,
    pub(crate) contents: RefCell<Contents>,
    pub(crate) files: SimFiles,
    pub(crate) device: Device,

    /// The running CPU's clock, and the moment at which the scheduler wants to be asked again.
    pub(crate) now: Cell<u64>,
    pub(crate) limit: Cell<u64>,
    /// The CPU that is being simulated.
    pub(crate) current: Cell<u32>,
    pub(crate) cpus: Vec<Cpu>,
    /// When each CPU has something to do next, and after them the device.
    pub(crate) next: Vec<Cell<u64>>,
    /// How many CPUs wait in a spin loop.
    pub(crate) spinners: Cell<u32>,

    pub(crate) tasks: RefCell<Vec<Task>>,
    /// Numbers that were used and are free again, the lowest first.
    pub(crate) free_tasks: RefCell<BinaryHeap<Reverse<u32>>>,
    pub(crate) live_tasks: Cell<u32>,
    pub(crate) in_scope: Cell<bool>,
    pub(crate) running: Cell<bool>,
    pub(crate) stopped: RefCell<Option<SimError>>,
    /// Orders what happens at one moment.
    pub(crate) sequence: Cell<u64>,
    /// Numbers flushes.
    pub(crate) flush_number: Cell<u64>,
    /// State of the jitter; 0 means none.
    pub(crate) jitter: Cell<u64>,
    /// Retries of spin loops that found nothing new (see `Scope::run`).
    pub(crate) stale_rounds: Cell<u32>,

    /// Decides who runs, in explored runs.
    pub(crate) driver: RefCell<Option<Driver>>,
    /// An explored run is going on.
    pub(crate) exploring: Cell<bool>,
    /// Whether stores wait in buffers.
    pub(crate) buffered: Cell<bool>,
    /// Who goes on next, if that was decided by the one who ran last.
    pub(crate) chosen: Cell<Option<Agent>>,
    pub(crate) locks: RefCell<Locks>,

    /// A CPU that answers requests to flush without flushing (tests of checkers).
    pub(crate) deaf: Cell<Option<CpuId>>,
    /// A bug of the manager (tests of judges).
    pub(crate) plant: Cell<Option<Plant>>,

    pub(crate) watch: Watch,
    /// How often the line of each word moved between CPUs, once [`SimMachine::count_transfers`] asked for it.
    transfers: RefCell<Option<HashMap<u64, u64>>>,

    pub(crate) ledger: Ledger,
    pub(crate) counts: Counts,
    violations: RefCell<Vec<Violation>>,
    violation_count: Cell<u64>,
}

impl SimMachine {
    /// Builds a machine. Host memory is committed as it is touched.
    pub fn new(config: &SimConfig) -> Result<SimMachine, SimError> {
        let ranges = config.validate()?;
        let frames = ranges.last().map_or(0, |range| u64::from(range.start.0) + range.frames);
        let costs = config.profile.costs;
        let node_of: Vec<u8> = (0..config.cpus).map(|cpu| (cpu * config.nodes / config.cpus) as u8).collect();
        let socket = |cpu: u32| match config.nodes {
            1 => u64::from(cpu) / costs.cpus_per_socket,
            _ => u64::from(node_of[cpu as usize]),
        };
        let socket_of: Vec<u32> = (0..config.cpus).map(|cpu| socket(cpu) as u32).collect();
        let mut near_bits = vec![0; socket_of.iter().max().map_or(0, |&last| last as usize + 1)];
        for (cpu, &socket) in socket_of.iter().enumerate() {
            near_bits[socket as usize] |= lines::presence_bit(cpu as u32);
        }
        Ok(SimMachine {
            costs,
            checks: config.checks,
            reader_order: config.reader_order,
            quantum: config.quantum_ns,
            slice: config.slice_ns,
            run_ns_max: config.run_ns_max,
            stack_bytes: config.stack_bytes,
            tasks_max: config.tasks_max,
            nodes: config.nodes,
            ranges,
            node_of,
            socket_of,
            near_bits,
            memory: KernelMemory::new(frames)?,
            caches: (config.caches == CacheModel::Finite).then(|| Caches::new(config.cpus, &costs)),
            bytes: config.bytes,
            contents: RefCell::new(Contents::new(frames)),
            files: SimFiles::default(),
            device: Device::new(config.dma_channels),
            now: Cell::new(0),
            limit: Cell::new(u64::MAX),
            current: Cell::new(0),
            cpus: (0..config.cpus).map(|cpu| Cpu::new(cpu, config.tlb)).collect(),
            next: vec![Cell::new(u64::MAX); config.cpus as usize + 1],
            spinners: Cell::new(0),
            tasks: RefCell::default(),
            free_tasks: RefCell::default(),
            live_tasks: Cell::new(0),
            in_scope: Cell::new(false),
            running: Cell::new(false),
            stopped: RefCell::default(),
            sequence: Cell::new(0),
            flush_number: Cell::new(0),
            jitter: Cell::new(config.seed),
            stale_rounds: Cell::new(0),
            driver: RefCell::default(),
            exploring: Cell::new(false),
            buffered: Cell::new(false),
            chosen: Cell::new(None),
            locks: RefCell::default(),
            deaf: Cell::new(None),
            plant: Cell::new(None),
            watch: Watch::default(),
            transfers: RefCell::default(),
            ledger: Ledger::default(),
            counts: Counts::default(),
            violations: RefCell::default(),
            violation_count: Cell::new(0),
        })
    }

    /// Where files' contents, sizes and errors are set up.
    pub fn sim_files(&self) -> &SimFiles {
        &self.files
    }

    /// What the machine itself found to be wrong (the first thousand).
    pub fn violations(&self) -> Vec<Violation> {
        self.violations.borrow().clone()
    }

    /// How many violations were found.
    pub fn violation_count(&self) -> u64 {
        self.violation_count.get()
    }

    /// Costs and counts so far.
    pub fn report(&self) -> RunReport {
        let clocks = self.cpus.iter().map(|cpu| cpu.clock.get());
        RunReport {
            sim_ns: clocks.max().unwrap_or(0).max(self.now.get()),
            by_cause: self.ledger.snapshot(),
            events: self.counts.snapshot(),
            violations: self.violation_count.get(),
        }
    }

    /// Sets all clocks, costs and counts to zero: what was set up before the run is not part of it. Does
    /// nothing while the machine is running.
    pub fn restart_clock(&self) {
        if self.running.get() {
            return;
        }
        self.now.set(0);
        for cpu in &self.cpus {
            cpu.clock.set(0);
            cpu.slice_end.set(0);
            cpu.answered_at.set(0);
        }
        self.ledger.clear();
        self.counts.clear();
    }

    /// From now on notes for which words lines move between CPUs; forgets what was noted before.
    pub fn count_transfers(&self) {
        *self.transfers.borrow_mut() = Some(HashMap::new());
    }

    /// The words whose lines moved most often since [`SimMachine::count_transfers`], each named by where it
    /// lies, the most often moved first.
    pub fn hottest_words(&self, most: usize) -> Vec<(String, u64)> {
        let transfers = self.transfers.borrow();
        let mut words: Vec<(u64, u64)> = transfers.iter().flatten().map(|(&word, &n)| (word, n)).collect();
        words.sort_by_key(|&(word, n)| (Reverse(n), word));
        words.truncate(most);
        words.into_iter().map(|(word, n)| (self.memory.describe(word), n)).collect()
    }

    /// Plants a fault for tests of checkers: the CPU answers other CPUs' requests to flush, and does not
    /// flush.
    pub fn plant_deaf_cpu(&self, cpu: Option<CpuId>) {
        self.deaf.set(cpu);
    }

    /// Plants a bug in the manager for tests of judges: it leaves out one step (see [`machine::plant`]).
    pub fn plant(&self, plant: Option<Plant>) {
        self.plant.set(plant);
    }

    /// The CPU that is being simulated now.
    pub fn running_cpu(&self) -> CpuId {
        CpuId(self.current.get())
    }

    #[inline]
    pub(crate) fn memory(&self) -> &KernelMemory {
        &self.memory
    }

    pub(crate) fn violate(&self, rule: Rule, text: String) {
        self.violation_count.set(self.violation_count.get() + 1);
        let mut violations = self.violations.borrow_mut();
        if violations.len() < VIOLATIONS_KEPT {
            let violation = Violation { rule, at_ns: self.now.get(), cpu: CpuId(self.current.get()), text };
            if self.exploring.get() {
                self.stopped.borrow_mut().get_or_insert(SimError::Violated(violation.clone()));
            }
            violations.push(violation);
        }
    }

    #[inline]
    pub(crate) fn here(&self) -> &Cpu {
        &self.cpus[self.current.get() as usize]
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.set(self.sequence.get() + 1);
        self.sequence.get()
    }

    // ---- time ----

    /// Lets time pass on the running CPU.
    #[inline]
    pub(crate) fn tick(&self, cause: Cause, ns: u64) {
        self.now.set(self.now.get() + ns);
        self.ledger.book(cause, ns);
    }

    /// Moves the running CPU's clock on to `at`, if that is ahead of it.
    pub(crate) fn advance(&self, cause: Cause, at: u64) {
        let ahead = at.saturating_sub(self.now.get());
        self.tick(cause, ahead);
    }

    // ---- shared words ----

    /// A word's number in kernel memory; past the end of it for words elsewhere.
    #[inline]
    pub(crate) fn number(&self, word: &Word) -> u64 {
        let base = self.memory.views().0.as_ptr() as usize;
        ((std::ptr::from_ref(word) as usize).wrapping_sub(base) / 8) as u64
    }

    /// The address of the word with this number.
    pub(crate) fn address(&self, number: u64) -> u64 {
        let base = self.memory.views().0.as_ptr() as u64;
        base.wrapping_add(number.wrapping_mul(8))
    }

    /// The number of the word at an address.
    pub(crate) fn number_at(&self, address: u64) -> u64 {
        let base = self.memory.views().0.as_ptr() as u64;
        address.wrapping_sub(base) / 8
    }

    #[inline]
    fn near(&self, cpu: u32) -> impl Fn(u32) -> bool + '_ {
        let mine = self.socket_of[cpu as usize];
        move |other| self.socket_of.get(other as usize).is_some_and(|&socket| socket == mine)
    }

    #[inline]
    pub(crate) fn charge_read(&self, word: &Word) {
        let line = self.line(word, |state, cpu| lines::read(state, cpu, self.near(cpu)));
        self.charge((word, Use::Read), line, Cause::Words, self.costs.word_hit);
    }

    #[inline]
    pub(crate) fn charge_write(&self, word: &Word) {
        let line = self.line(word, |state, cpu| self.write_line(state, cpu));
        self.charge((word, Use::Write), line, Cause::Words, self.costs.word_hit);
    }

    #[inline]
    pub(crate) fn charge_rmw(&self, word: &Word) {
        let line = self.line(word, |state, cpu| self.write_line(state, cpu));
        self.charge((word, Use::Write), line, Cause::Atomics, self.costs.rmw_hit);
    }

    #[inline]
    fn write_line(&self, state: u64, cpu: u32) -> (u64, Line) {
        let near_bits = self.near_bits[self.socket_of[cpu as usize] as usize];
        lines::write(state, cpu, self.near(cpu), near_bits)
    }

    #[inline]
    fn line(&self, word: &Word, step: impl FnOnce(u64, u32) -> (u64, Line)) -> Line {
        let number = self.number(word);
        let Some(state) = self.memory.views().1.get((number / 8) as usize) else { return Line::Here };
        let state = state.raw();
        // RELAXED: one host thread; the word is atomic only because the mapping is typed so.
        let old = state.load(Relaxed);
        let (new, line) = step(old, self.current.get());
        if new != old {
            state.store(new, Relaxed);
        }
        line
    }

    #[inline]
    fn charge(&self, (word, want): (&Word, Use), line: Line, cause: Cause, hit: u64) {
        Counts::add(&self.counts.word_accesses, 1);
        self.tick(cause, hit);
        if self.caches.is_some() {
            self.charge_cached((word, want), line);
        } else if line != Line::Here {
            self.charge_transfer(word, line);
        }
    }

    #[cold]
    fn charge_transfer(&self, word: &Word, line: Line) {
        self.count_transfer(word);
        self.tick(Cause::Lines, self.way(line).unwrap_or(0));
    }

    fn count_transfer(&self, word: &Word) {
        Counts::add(&self.counts.line_transfers, 1);
        if let Some(transfers) = self.transfers.borrow_mut().as_mut() {
            *transfers.entry(self.number(word)).or_default() += 1;
        }
    }

    /// How long a line takes that comes from another CPU.
    fn way(&self, line: Line) -> Option<u64> {
        match line {
            Line::Here => None,
            Line::Near => Some(self.costs.line_same_socket),
            Line::Far => Some(self.costs.line_other_socket),
        }
    }

    /// Cold lines of one CPU so far: those it waited for, and those that it asked for ahead (see
    /// [`crate::Events::cold_lines`]).
    pub fn cold_lines(&self, cpu: CpuId) -> (u64, u64) {
        self.caches.as_ref().map_or((0, 0), |caches| caches.cold(cpu.0))
    }

    /// The same where a line may have left this CPU's caches.
    fn charge_cached(&self, (word, want): (&Word, Use), line: Line) {
        let Some(caches) = &self.caches else { return };
        let found = caches.touch(self.current.get(), self.number(word) / 8);
        let (full, wait) = match (self.way(line), found) {
            (None, Found::Here) => return,
            (None, Found::Coming(at)) => (self.costs.line_dram, at.saturating_sub(self.now.get())),
            (None, Found::Cold) => (self.costs.line_dram, self.costs.line_dram),
            (Some(way), _) => {
                self.count_transfer(word);
                (way, caches.transfer(self.number(word) / 8, (self.now.get(), way), want))
            }
        };
        // Who asked too late to gain anything to speak of waited.
        if wait * 2 > full {
            Counts::add(&self.counts.cold_lines, 1);
            caches.count_waited(self.current.get());
        }
        self.tick(Cause::Lines, wait);
    }

    /// Asks for a word's line, where caches are modelled.
    pub(crate) fn prefetch_line(&self, word: &Word) {
        let Some(caches) = &self.caches else { return };
        self.tick(Cause::Words, self.costs.word_hit);
        let line = self.line(word, |state, cpu| lines::read(state, cpu, self.near(cpu)));
        let way = self.way(line);
        if way.is_some() {
            self.count_transfer(word);
        }
        let cpu = self.current.get();
        if caches.prefetch(cpu, self.number(word) / 8, (self.now.get(), way)) {
            Counts::add(&self.counts.cold_lines_prefetched, 1);
            caches.count_asked(cpu);
        }
    }
}
