//! A machine with Freehold on it, and the small kernel around: tasks run processes, faults are forwarded, and
//! what is left behind is looked at.

use freehold::Manager;
use freehold::frame::{Id, SlabView};
use freehold::linux::{self, Errno, Exit, FileRights, Linux, MapFile, Mmap, Mremap, Process};
use freehold::machine::{Asid, CpuId, Cx, FileKey, KernelFrame, Machine, PAGE_SIZE, TaskId};
use freehold::object::{File, FileKind};
use oracle::{Audit, DenseLedger, Holders, Link, Outside, Tally, Tlbs, Translation};
use sim::{Checks, Kernel, Outcome, PageFault, Signal, SimConfig, SimMachine, TaskCtx, TlbSize};
use std::cell::{Cell, RefCell};

pub(crate) const P: u64 = PAGE_SIZE;
pub(crate) const READ: u64 = 1;
pub(crate) const RW: u64 = 3;
pub(crate) const SHARED: u64 = 1;
pub(crate) const PRIVATE: u64 = 2;
pub(crate) const FIXED: u64 = 0x10;
pub(crate) const ANON: u64 = 0x20;
pub(crate) const GROWSDOWN: u64 = 0x100;
pub(crate) const POPULATE: u64 = 0x8000;
pub(crate) const DONTNEED: u64 = 4;
pub(crate) const MAYMOVE_FIXED: u64 = 3;
pub(crate) const MS_SYNC: u64 = 4;

/// How a machine is built for a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) cpus: u32,
    pub(crate) memory: u64,
    pub(crate) quantum: u64,
    pub(crate) seed: u64,
}

impl Shape {
    pub(crate) fn new(cpus: u32, seed: u64) -> Shape {
        Shape { cpus, memory: 16 << 20, quantum: [1, 10, 40, 100, 200, 600, 2500][seed as usize % 7], seed }
    }

    /// Every shared word may be a switch point, nothing stale is hidden, everything is checked.
    pub(crate) fn machine(&self) -> SimMachine {
        let config = SimConfig {
            cpus: self.cpus,
            memory_bytes: self.memory,
            seed: self.seed,
            quantum_ns: self.quantum.max(1),
            slice_ns: 3_000,
            tasks_max: 32,
            checks: Checks::Heavy,
            tlb: TlbSize::Unbounded,
            // Programs of this kind take some milliseconds: this is a livelock.
            run_ns_max: 200_000_000,
            ..SimConfig::default()
        };
        SimMachine::new(&config).expect("a machine")
    }
}

/// Frames and objects that somebody has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Left {
    pub(crate) free: u64,
    pub(crate) spaces: [u64; 3],
    pub(crate) files: u64,
    pub(crate) committed: u64,
    pub(crate) processes: usize,
}

/// The kernel.
pub(crate) struct World<'m> {
    pub(crate) sim: &'m SimMachine,
    pub(crate) manager: Manager<'m, SimMachine>,
    opened: RefCell<Vec<Id<File>>>,
    pub(crate) audits: Cell<u64>,
    /// What was found to be wrong.
    pub(crate) wrong: RefCell<Vec<String>>,
    ledger: RefCell<Vec<Tally>>,
}

impl<'m> World<'m> {
    pub(crate) fn new(sim: &'m SimMachine) -> Self {
        Self::with(sim, &freehold::Config::default())
    }

    pub(crate) fn with(sim: &'m SimMachine, config: &freehold::Config) -> Self {
        let manager = Manager::new(sim, config).expect("memory");
        World {
            sim,
            manager,
            opened: RefCell::default(),
            audits: Cell::new(0),
            wrong: RefCell::default(),
            ledger: RefCell::default(),
        }
    }

    pub(crate) fn linux(&self) -> &Linux<'m, SimMachine> {
        self.manager.linux()
    }

    pub(crate) fn cx(&self, task: TaskCtx<'_>) -> Cx<'m, SimMachine> {
        self.manager.cx(task.cpu(), task.task())
    }

    pub(crate) fn complain(&self, what: String) {
        let mut wrong = self.wrong.borrow_mut();
        if wrong.len() < 20 {
            wrong.push(what);
        }
    }

    /// A file of the machine, held open until [`World::close_files`].
    pub(crate) fn file(&self, key: u64, pages: u64) -> MapFile {
        self.sim.sim_files().create(FileKey(key), pages * P);
        let mut cx = self.manager.cx(CpuId(0), TaskId(0));
        let file = self.linux().objects().open(cx.at(), FileKey(key), FileKind::Regular, pages * P);
        let file = file.expect("a file");
        self.opened.borrow_mut().push(file);
        MapFile { file, rights: FileRights::READ | FileRights::WRITE }
    }

    // ---- calls ----

    pub(crate) fn mmap(
        &self,
        task: TaskCtx<'_>,
        process: Id<Process>,
        (addr, pages): (u64, u64),
        (prot, flags): (u64, u64),
        file: Option<(&MapFile, u64)>,
    ) -> Result<u64, Errno> {
        task.syscall();
        let offset = file.map_or(0, |(_, page)| page * P);
        let args = Mmap { addr, len: pages * P, prot, flags, offset };
        self.linux().mmap(&mut self.cx(task), process, &args, file.map(|(file, _)| file))
    }

    pub(crate) fn anon(&self, task: TaskCtx<'_>, process: Id<Process>, addr: u64, pages: u64) {
        let made = self.mmap(task, process, (addr, pages), (RW, PRIVATE | ANON | FIXED), None);
        assert_eq!(made, Ok(addr));
    }

    pub(crate) fn munmap(&self, task: TaskCtx<'_>, process: Id<Process>, addr: u64, pages: u64) {
        task.syscall();
        let done = self.linux().munmap(&mut self.cx(task), process, addr, pages * P);
        assert_eq!(done, Ok(()), "munmap of {addr:#x}");
    }

    pub(crate) fn mprotect(&self, task: TaskCtx<'_>, process: Id<Process>, addr: u64, pages: u64, prot: u64) {
        task.syscall();
        let done = self.linux().mprotect(&mut self.cx(task), process, addr, pages * P, prot);
        assert_eq!(done, Ok(()), "mprotect of {addr:#x}");
    }

    pub(crate) fn madvise(
        &self,
        task: TaskCtx<'_>,
        process: Id<Process>,
        (addr, pages): (u64, u64),
        advice: u64,
    ) -> Result<(), Errno> {
        task.syscall();
        self.linux().madvise(&mut self.cx(task), process, addr, pages * P, advice)
    }

    pub(crate) fn mremap(
        &self,
        task: TaskCtx<'_>,
        process: Id<Process>,
        (addr, pages): (u64, u64),
        new_addr: u64,
        flags: u64,
    ) -> Result<u64, Errno> {
        task.syscall();
        let args = Mremap { addr, old_len: pages * P, new_len: pages * P, flags, new_addr };
        self.linux().mremap(&mut self.cx(task), process, &args)
    }

    pub(crate) fn msync(
        &self,
        task: TaskCtx<'_>,
        process: Id<Process>,
        addr: u64,
        pages: u64,
    ) -> Result<(), Errno> {
        task.syscall();
        self.linux().msync(&mut self.cx(task), process, addr, pages * P, MS_SYNC)
    }

    pub(crate) fn truncate(
        &self,
        task: TaskCtx<'_>,
        process: Id<Process>,
        key: u64,
        file: &MapFile,
        size: u64,
    ) {
        task.syscall();
        let old = self.linux().objects().file(file.file).size(&self.cx(task));
        if size > old {
            self.sim.sim_files().truncate(FileKey(key), size);
        }
        let done = self.linux().ftruncate(&mut self.cx(task), process, file, size);
        assert_eq!(done, Ok(()));
        if size < old {
            self.sim.sim_files().truncate(FileKey(key), size);
        }
    }

    /// Drops what can be dropped: clean cached pages and the CPUs' lists of free frames.
    pub(crate) fn reclaim(&self, task: TaskCtx<'_>) {
        let mut cx = self.cx(task);
        self.linux().objects().drop_clean(cx.at(), 64);
        self.linux().frames().drain_all(cx.at());
    }

    /// The task is over; its process too if it was the last. The CPU may keep the space loaded.
    pub(crate) fn exit(&self, task: TaskCtx<'_>) {
        task.syscall();
        task.enter_user(self);
        self.linux().exit_task(&mut self.cx(task), task.task(), Exit::Code(0));
    }

    /// No CPU has a space loaded.
    fn idle_all(&self) {
        for cpu in 0..self.sim.cpus() {
            self.linux().idle(&mut self.manager.cx(CpuId(cpu), TaskId(0)));
        }
    }

    // ---- looking ----

    /// The whole state is checked; nothing is under way.
    pub(crate) fn audit(&self, when: &str) {
        let audit = Audit::new(self.sim, self.manager.core(), self.manager.spaces());
        let (seen, held) = (Seen(self.sim), Held(self));
        let outside = Outside { tlbs: &seen, holders: &held };
        let mut ledger = self.ledger.borrow_mut();
        ledger.resize(self.linux().frames().memmap().end().0 as usize, Tally::default());
        audit.run(&mut DenseLedger(&mut ledger), outside, &mut |violation| {
            self.complain(format!("{when}: {}: {}", violation.rule.id(), violation.text));
        });
        self.audits.set(self.audits.get() + 1);
    }

    pub(crate) fn left(&self) -> Left {
        let (linux, spaces) = (self.linux(), self.manager.spaces());
        let slabs = linux.objects().slab_views();
        let census = slabs.iter().map(|(_, slab)| slab.in_use()).sum::<u64>();
        Left {
            free: linux.frames().free_frames() + linux.frames().per_cpu_frames(),
            spaces: spaces.in_use(),
            files: census,
            committed: spaces.committed(),
            processes: linux.all_processes().count(),
        }
    }

    /// Closes the test's own files and drops what is cached: nothing must be left after it.
    pub(crate) fn close_files(&self) {
        let mut cx = self.manager.cx(CpuId(0), TaskId(0));
        for file in self.opened.borrow_mut().drain(..) {
            self.linux().objects().close(cx.at(), file).expect("written");
        }
        self.linux().objects().drop_clean(cx.at(), u64::MAX);
    }

    /// Everybody has exited: nothing is left.
    pub(crate) fn assert_empty(&self) {
        self.audit("at the end");
        self.idle_all();
        self.close_files();
        self.audit("all closed");
        let left = self.left();
        if (left.spaces, left.files, left.committed, left.processes) != ([0, 0, 0], 0, 0, 0) {
            self.complain(format!("something is left behind: {left:?}"));
        }
        for violation in self.sim.violations() {
            self.complain(violation.to_string());
        }
    }

    /// What was wrong, for a panic message.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        let wrong = self.wrong.borrow();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

impl Kernel for World<'_> {
    fn page_fault(&self, task: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let Some(process) = self.linux().process_of(task.task()) else {
            return Outcome::Signal(Signal::Kill);
        };
        match self.linux().user_fault(&mut self.cx(task), process, fault.addr, fault.access) {
            Ok(()) => Outcome::Resolved,
            Err(linux::Signal::Segv { .. }) => Outcome::Signal(Signal::Segv),
            Err(linux::Signal::Bus { .. }) => Outcome::Signal(Signal::Bus),
            Err(linux::Signal::Kill) => Outcome::Signal(Signal::Kill),
        }
    }

    fn switch_in(&self, task: TaskCtx<'_>, _before: Option<TaskId>) {
        match self.linux().process_of(task.task()) {
            Some(process) => self.linux().enter(&mut self.cx(task), process),
            None => self.linux().idle(&mut self.cx(task)),
        }
    }
}

/// The machine's TLBs, as the oracle reads them.
struct Seen<'a>(&'a SimMachine);

impl Tlbs for Seen<'_> {
    fn loaded(&self, cpu: CpuId) -> Option<(KernelFrame, Asid)> {
        self.0.loaded_space(cpu)
    }

    fn for_each_translation(&self, see: &mut dyn FnMut(&Translation)) {
        self.0.for_each_translation(|entry| {
            see(&Translation {
                cpu: entry.cpu,
                asid: entry.asid,
                page: entry.pages.start,
                frame: entry.frame,
                perms: entry.perms,
                dirty: entry.dirty,
            });
        });
    }

    fn for_each_link(&self, see: &mut dyn FnMut(&Link)) {
        self.0.for_each_upper(|upper| {
            see(&Link { cpu: upper.cpu, asid: upper.asid, page: upper.pages.start, table: upper.table });
        });
    }
}

/// What the test holds.
struct Held<'a, 'm>(&'a World<'m>);

impl Holders for Held<'_, '_> {
    fn for_each_slab(&self, visit: &mut dyn FnMut(&'static str, &dyn SlabView, u64)) {
        for (name, slab) in self.0.linux().slab_views() {
            visit(name, slab, slab.live());
        }
    }

    fn opens(&self, file: Id<File>) -> Option<u64> {
        Some(self.0.opened.borrow().iter().filter(|&&opened| opened == file).count() as u64)
    }
}
