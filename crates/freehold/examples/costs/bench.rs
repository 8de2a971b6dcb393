//! A machine, a manager, and a process whose operations are measured.

use std::cell::Cell;

use freehold::frame::Id;
use freehold::linux::{Errno, ExecImage, Exit, FileRights, MapFile, Mmap, Process, Waiting};
use freehold::machine::{CpuId, Cx, FileKey, PAGE_SIZE, TaskId, VirtAddr};
use freehold::object::FileKind;
use freehold::space::HugePages;
use freehold::{Config, Manager};
use sim::{Kernel, Outcome, PageFault, SimConfig, SimMachine, TaskCtx};

use crate::rows::{Cost, Row, Trouble};

/// Bytes of a page, and of a large one.
pub(crate) const P: u64 = PAGE_SIZE;
pub(crate) const HUGE: u64 = 2 << 20;
/// Where memory is mapped: 2 MiB start there.
pub(crate) const A: u64 = 0x4000_0000;

const READ: u64 = 1;
const RW: u64 = 3;
const SHARED: u64 = 1;
const PRIVATE: u64 = 2;
const FIXED: u64 = 0x10;
const ANONYMOUS: u64 = 0x20;

/// What a machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) mib: u64,
    pub(crate) nodes: u32,
    pub(crate) huge: HugePages,
}

impl Room {
    /// One node, small pages.
    pub(crate) fn small(mib: u64) -> Room {
        Room { mib, nodes: 1, huge: HugePages::Never }
    }

    /// One node, large pages.
    pub(crate) fn large(mib: u64) -> Room {
        Room { huge: HugePages::Always, ..Room::small(mib) }
    }
}

/// A task that runs a process.
pub(crate) struct Bench<'m> {
    pub(crate) ctx: TaskCtx<'m>,
    pub(crate) manager: &'m Manager<'m, SimMachine>,
    pub(crate) process: Id<Process>,
}

/// Faults go to the manager; there is one task, so nothing is switched.
struct Faults<'m>(&'m Manager<'m, SimMachine>);

impl Kernel for Faults<'_> {
    fn page_fault(&self, ctx: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let linux = self.0.linux();
        let mut cx = self.0.cx(ctx.cpu(), ctx.task());
        let done = linux
            .process_of(ctx.task())
            .map(|process| linux.user_fault(&mut cx, process, fault.addr, fault.access));
        if done == Some(Ok(())) { Outcome::Resolved } else { Outcome::Signal(sim::Signal::Segv) }
    }
}

/// Runs `body` as the only task of a machine, on its first CPU: one a node.
pub(crate) fn run(
    room: Room,
    body: impl for<'b> FnOnce(&mut Bench<'b>) -> Result<Vec<Row>, Trouble>,
) -> Result<Vec<Row>, Trouble> {
    let config = SimConfig {
        cpus: room.nodes,
        nodes: room.nodes,
        memory_bytes: room.mib << 20,
        tasks_max: 8,
        run_ns_max: u64::MAX,
        ..SimConfig::default()
    };
    let sim = SimMachine::new(&config)?;
    let mut config = Config::default();
    config.linux.huge_pages = room.huge;
    let manager = Manager::new(&sim, &config)?;
    let rows = Cell::new(None);
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |ctx| {
            rows.set(Some(started(&manager, ctx).and_then(|mut bench| body(&mut bench))))
        })?;
        scope.run()
    })?;
    let rows = rows.take().unwrap_or_else(|| Err(Trouble("the task did not end".into())));
    match sim.violations().first() {
        Some(violation) => Err(Trouble(violation.to_string())),
        None => rows,
    }
}

fn started<'m>(manager: &'m Manager<'m, SimMachine>, ctx: TaskCtx<'m>) -> Result<Bench<'m>, Trouble> {
    let mut cx = manager.cx(ctx.cpu(), ctx.task());
    let process = manager.linux().first_process(&mut cx)?;
    let none = VirtAddr(0);
    let image = ExecImage { segments: &[], stack: None, break_start: 0x2000_0000, code: (none, none) };
    manager.linux().exec(&mut cx, process, None, &image)?;
    manager.linux().attach(&mut cx, process, ctx.task())?;
    manager.linux().enter(&mut cx, process);
    Ok(Bench { ctx, manager, process })
}

impl<'m> Bench<'m> {
    pub(crate) fn cx(&self) -> Cx<'m, SimMachine> {
        self.manager.cx(self.ctx.cpu(), self.ctx.task())
    }

    /// What is spent on something that is done `times` times.
    pub(crate) fn measure(
        &mut self,
        what: &'static str,
        times: u64,
        body: impl FnOnce(&mut Self) -> Result<(), Trouble>,
    ) -> Result<Row, Trouble> {
        let before = Cost::of(&self.ctx.sim().report());
        body(self)?;
        Ok(Row { what, times, cost: Cost::of(&self.ctx.sim().report()).since(before) })
    }

    // ---- what the program does ----

    pub(crate) fn store(&self, addr: u64, value: u64) -> Result<(), Trouble> {
        Ok(self.ctx.store(&Faults(self.manager), VirtAddr(addr), value)?)
    }

    pub(crate) fn load(&self, addr: u64) -> Result<u64, Trouble> {
        Ok(self.ctx.load(&Faults(self.manager), VirtAddr(addr))?)
    }

    /// Stores to each of so many pages.
    pub(crate) fn fill(&self, pages: u64) -> Result<(), Trouble> {
        (0..pages).try_for_each(|page| self.store(A + page * P, page + 1))
    }

    /// Loads from each of so many pages.
    pub(crate) fn read(&self, pages: u64) -> Result<(), Trouble> {
        (0..pages).try_for_each(|page| self.load(A + page * P).map(drop))
    }

    /// A system call: the way in and out, and what it does.
    pub(crate) fn call<T>(
        &self,
        body: impl FnOnce(&mut Cx<'m, SimMachine>) -> Result<T, Errno>,
    ) -> Result<T, Trouble> {
        self.ctx.syscall();
        let done = body(&mut self.cx());
        self.ctx.enter_user(&Faults(self.manager));
        Ok(done?)
    }

    fn map(&self, len: u64, (prot, flags): (u64, u64), file: Option<&MapFile>) -> Result<(), Trouble> {
        let args = Mmap { addr: A, len, prot, flags: flags | FIXED, offset: 0 };
        self.call(|cx| self.manager.linux().mmap(cx, self.process, &args, file)).map(drop)
    }

    /// Private memory at [`A`].
    pub(crate) fn anonymous(&self, len: u64) -> Result<(), Trouble> {
        self.map(len, (RW, PRIVATE | ANONYMOUS), None)
    }

    /// Shared memory at [`A`].
    pub(crate) fn shared(&self, len: u64) -> Result<(), Trouble> {
        self.map(len, (RW, SHARED | ANONYMOUS), None)
    }

    /// The text of a program at [`A`]: a private read-only mapping of a file.
    pub(crate) fn text(&self, len: u64) -> Result<(), Trouble> {
        let key = FileKey(1);
        self.manager.machine().sim_files().create(key, len);
        let file = self.manager.linux().objects().open(self.cx().at(), key, FileKind::Regular, len)?;
        self.map(len, (READ, PRIVATE), Some(&MapFile { file, rights: FileRights::READ }))
    }

    pub(crate) fn advise(&self, addr: u64, len: u64, advice: u64) -> Result<(), Trouble> {
        self.call(|cx| self.manager.linux().madvise(cx, self.process, addr, len, advice))
    }

    pub(crate) fn protect(&self, addr: u64, len: u64, prot: u64) -> Result<(), Trouble> {
        self.call(|cx| self.manager.linux().mprotect(cx, self.process, addr, len, prot))
    }

    // ---- processes ----

    pub(crate) fn fork(&self) -> Result<Id<Process>, Trouble> {
        self.call(|cx| self.manager.linux().fork(cx, self.process))
    }

    /// A child exits, and is waited for.
    pub(crate) fn end(&self, child: Id<Process>) -> Result<(), Trouble> {
        self.exit(child);
        self.call(|cx| self.manager.linux().wait(cx, self.process, Some(child), Waiting::Poll)).map(drop)
    }

    pub(crate) fn exit(&self, child: Id<Process>) {
        self.manager.linux().exit(&mut self.cx(), child, Exit::Code(0));
    }

    /// Goes on as another process.
    pub(crate) fn become_process(&mut self, process: Id<Process>) -> Result<(), Trouble> {
        let (linux, task, mut cx) = (self.manager.linux(), self.task(), self.cx());
        linux.detach(&mut cx, task);
        linux.attach(&mut cx, process, task)?;
        linux.enter(&mut cx, process);
        self.process = process;
        Ok(())
    }

    fn task(&self) -> TaskId {
        self.ctx.task()
    }
}
