//! A thread of a process: accesses that fault until the manager has handled it.

use crate::claim::HostCpu;
use crate::host_machine::HostMachine;
use crate::user::PageFault;
use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::{Errno, Exit, Linux, Process, Signal};
use machine::{Cx, VirtAddr};

/// A thread on its CPU that runs a process: what a kernel has at hand when a program calls or faults.
///
/// ```
/// # #[cfg(all(target_os = "linux", target_arch = "x86_64"))] {
/// use freehold::linux::{Exit, Mmap};
/// use freehold::{Config, Manager};
/// use host::{HostConfig, HostMachine, Program};
/// use machine::{CpuId, PAGE_SIZE, VirtAddr};
///
/// let machine = HostMachine::new(&HostConfig { cpus: 2, ..HostConfig::default() }).expect("memory");
/// let manager = Manager::new(&machine, &Config::default()).expect("memory");
/// let cpu = machine.claim(CpuId(0)).expect("a free CPU");
/// let mut cx = manager.cx(cpu.id(), cpu.task());
/// let process = manager.linux().first_process(&mut cx).expect("a process");
/// let mut program = Program::new(&cpu, &manager, process).expect("a thread");
/// let (private, anonymous, read_write) = (2, 0x20, 3);
/// let args = Mmap { addr: 0, len: PAGE_SIZE, prot: read_write, flags: private | anonymous, offset: 0 };
/// let addr = VirtAddr(manager.linux().mmap(program.cx(), process, &args, None).expect("room"));
/// program.store(addr, 7).expect("no signal");
///
/// // Another thread of the process, on another CPU.
/// let seen = machine.run(|threads| {
///     let other = threads.spawn(CpuId(1), |cpu| {
///         let mut program = Program::new(cpu, &manager, process).expect("a thread");
///         let seen = program.load(addr);
///         program.exit(Exit::Code(0));
///         seen
///     });
///     other.join().expect("no panic").expect("a free CPU")
/// });
/// assert_eq!(seen, Ok(7));
/// program.exit(Exit::Code(0));
/// # }
/// ```
pub struct Program<'r, 'm> {
    cpu: &'r HostCpu<'m>,
    manager: &'r Manager<'m, HostMachine>,
    cx: Cx<'m, HostMachine>,
    process: Id<Process>,
}

impl<'r, 'm> Program<'r, 'm> {
    /// The task of this CPU runs the process: as its first thread, or as another. The errors are those of
    /// [`Linux::attach`].
    pub fn new(
        cpu: &'r HostCpu<'m>,
        manager: &'r Manager<'m, HostMachine>,
        process: Id<Process>,
    ) -> Result<Self, Errno> {
        let mut cx = manager.cx(cpu.id(), cpu.task());
        manager.linux().attach(&mut cx, process, cpu.task())?;
        manager.linux().enter(&mut cx, process);
        Ok(Program { cpu, manager, cx, process })
    }

    /// Calls of the surface.
    pub fn linux(&self) -> &'r Linux<'m, HostMachine> {
        self.manager.linux()
    }

    /// The context of this thread.
    pub fn cx(&mut self) -> &mut Cx<'m, HostMachine> {
        &mut self.cx
    }

    /// The process.
    pub fn process(&self) -> Id<Process> {
        self.process
    }

    /// The CPU.
    pub fn cpu(&self) -> &'r HostCpu<'m> {
        self.cpu
    }

    /// The thread goes on with another process: what a scheduler does, or a program that forked and is its
    /// child. The errors are those of [`Linux::attach`].
    pub fn switch_to(&mut self, process: Id<Process>) -> Result<(), Errno> {
        let linux = self.linux();
        linux.detach(&mut self.cx, self.cpu.task());
        linux.attach(&mut self.cx, process, self.cpu.task())?;
        linux.enter(&mut self.cx, process);
        self.process = process;
        Ok(())
    }

    /// Loads a word.
    #[inline]
    pub fn load(&mut self, addr: VirtAddr) -> Result<u64, Signal> {
        self.faulting(|cpu| cpu.load(addr))
    }

    /// Stores a word.
    #[inline]
    pub fn store(&mut self, addr: VirtAddr, value: u64) -> Result<(), Signal> {
        self.faulting(|cpu| cpu.store(addr, value))
    }

    /// Loads bytes.
    pub fn read(&mut self, addr: VirtAddr, into: &mut [u8]) -> Result<(), Signal> {
        self.faulting(|cpu| cpu.read(addr, into))
    }

    /// Stores bytes.
    pub fn write(&mut self, addr: VirtAddr, from: &[u8]) -> Result<(), Signal> {
        self.faulting(|cpu| cpu.write(addr, from))
    }

    /// Tries an access again until its faults are handled, or one of them is a signal.
    #[inline]
    pub fn faulting<R>(
        &mut self,
        mut access: impl FnMut(&HostCpu<'m>) -> Result<R, PageFault>,
    ) -> Result<R, Signal> {
        loop {
            match access(self.cpu) {
                Ok(done) => return Ok(done),
                Err(fault) => self.fault(fault)?,
            }
        }
    }

    #[cold]
    fn fault(&mut self, fault: PageFault) -> Result<(), Signal> {
        self.linux().user_fault(&mut self.cx, self.process, fault.addr, fault.access)
    }

    /// The thread ends; with the last one the process does.
    pub fn exit(mut self, exit: Exit) {
        let task = self.cpu.task();
        self.linux().exit_task(&mut self.cx, task, exit);
    }
}
