//! What the example does with its machine, on a host and without one: the life of two processes.

use crate::minimal::Minimal;
use freehold::frame::Id;
use freehold::linux::flags::{MapFlags, Prot, RemapFlags, SyncFlags};
use freehold::linux::{Errno, ExecImage, Exit, FileRights, MapFile, Mmap, Mremap, Process, Signal, Waiting};
use freehold::object::{FileError, FileKind};
use freehold::{Config, Manager};
use machine::{
    Access, CpuId, Cx, FileKey, Machine, NodeId, NodeSet, Order, PAGE_SIZE, Shortage, TaskId, VirtAddr,
    VpnRange, Word,
};

/// Words of memory the example is happy with: 16 MiB.
pub(crate) const ARENA_WORDS: usize = 16 << 17;

/// `MAP_PRIVATE`.
const PRIVATE: u64 = 2;
/// `MADV_DONTNEED`.
const DONTNEED: u64 = 4;
/// Where the stack ends as the program starts.
const STACK: u64 = 0x7fff_0000_0000;
/// Where the heap starts.
const HEAP: u64 = 0x5555_0000_0000;
/// How much of each kind of memory the program maps.
const PAGES: u64 = 8;
/// The CPU, and the task that runs both processes in turn.
const HERE: (CpuId, TaskId) = (CpuId(0), TaskId(0));

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// The machine is too small.
    Shortage(Shortage),
    /// A call was refused.
    Refused(Errno),
    /// A file could not be opened.
    File(FileError),
    /// An access ended in a signal.
    Signal(Signal),
    /// A load did not answer what was stored.
    Wrong(VirtAddr),
}

impl From<Shortage> for Trouble {
    fn from(shortage: Shortage) -> Self {
        Trouble::Shortage(shortage)
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Trouble::Refused(errno)
    }
}

impl From<FileError> for Trouble {
    fn from(error: FileError) -> Self {
        Trouble::File(error)
    }
}

impl From<Signal> for Trouble {
    fn from(signal: Signal) -> Self {
        Trouble::Signal(signal)
    }
}

/// A task on its CPU: what a kernel has at hand when a program calls or faults.
struct Running<'r, 'm, 'a> {
    machine: &'m Minimal<'a>,
    manager: &'r Manager<'m, Minimal<'a>>,
    cx: Cx<'m, Minimal<'a>>,
    process: Id<Process>,
}

impl Running<'_, '_, '_> {
    /// The task goes on with another process: what a scheduler does.
    fn switch_to(&mut self, process: Id<Process>) {
        self.process = process;
        self.manager.linux().enter(&mut self.cx, process);
    }

    /// An instruction that accesses memory: the processor translates; where it cannot, it faults, and once
    /// the fault is handled it starts the instruction again.
    fn access(&mut self, addr: VirtAddr, access: Access, bytes: &mut [u8; 8]) -> Result<(), Signal> {
        let frame = loop {
            match self.machine.translate(addr, access) {
                Some(frame) => break frame,
                None => self.manager.linux().user_fault(&mut self.cx, self.process, addr, access)?,
            }
        };
        match access {
            Access::Write => self.machine.write_frame(HERE.0, frame, addr.offset(), bytes),
            _ => self.machine.read_frame(HERE.0, frame, addr.offset(), bytes),
        }
        Ok(())
    }

    fn store(&mut self, addr: VirtAddr, value: u64) -> Result<(), Signal> {
        self.access(addr, Access::Write, &mut value.to_le_bytes())
    }

    /// Loads a value, which should be the expected one.
    fn expect(&mut self, addr: VirtAddr, value: u64) -> Result<(), Trouble> {
        let mut bytes = [0; 8];
        self.access(addr, Access::Read, &mut bytes)?;
        if u64::from_le_bytes(bytes) == value { Ok(()) } else { Err(Trouble::Wrong(addr)) }
    }

    /// `mmap` of private memory; `file` as its descriptor, if it is not anonymous.
    fn map(&mut self, prot: Prot, file: Option<&MapFile>) -> Result<VirtAddr, Errno> {
        let kind = if file.is_some() { MapFlags::empty() } else { MapFlags::ANONYMOUS };
        let (len, flags) = (PAGES * PAGE_SIZE, PRIVATE | kind.bits());
        let args = Mmap { addr: 0, len, prot: prot.bits(), flags, offset: 0 };
        self.manager.linux().mmap(&mut self.cx, self.process, &args, file).map(VirtAddr)
    }
}

/// Builds a manager on the arena, lets two processes live and die on it, and reports what was counted.
pub(crate) fn run(arena: &[Word], report: &mut dyn FnMut(&'static str, u64)) -> Result<(), Trouble> {
    let machine =
        Minimal::new(arena).ok_or(Shortage { order: Order::ZERO, node: NodeId(0), nodes: NodeSet::ALL })?;
    let manager = Manager::new(&machine, &Config::default())?;
    let mut cx = manager.cx(HERE.0, HERE.1);
    let process = manager.linux().first_process(&mut cx)?;
    let mut running = Running { machine: &machine, manager: &manager, cx, process };
    running.switch_to(process);
    program(&mut running)?;
    anonymous_memory(&mut running)?;
    file_pages(&mut running)?;
    copy_on_write(&mut running)?;
    changed_mapping(&mut running)?;
    manager.linux().exit(&mut running.cx, process, Exit::Code(0));
    for (name, count) in manager.core().totals().filter(|(_, count)| *count > 0) {
        report(name, count);
    }
    Ok(())
}

/// The address of a mapping's page.
fn page_of(start: VirtAddr, page: u64) -> VirtAddr {
    VirtAddr(start.0 + page * PAGE_SIZE)
}

/// A program starts with a stack and grows a heap.
fn program(running: &mut Running<'_, '_, '_>) -> Result<(), Trouble> {
    let stack = VpnRange::sized(VirtAddr(STACK).page(), PAGES);
    let code = (VirtAddr(HEAP), VirtAddr(HEAP));
    let image = ExecImage { segments: &[], stack: Some(stack), break_start: HEAP, code };
    let linux = running.manager.linux();
    linux.exec(&mut running.cx, running.process, None, &image)?;
    // Below its end the stack grows to where it is touched.
    running.store(VirtAddr(STACK - PAGE_SIZE), 1)?;
    let end = linux.brk(&mut running.cx, running.process, HEAP + PAGE_SIZE)?;
    running.store(VirtAddr(end - 8), 1)?;
    running.expect(VirtAddr(HEAP), 0)
}

/// Memory is zero until it is written; once unmapped it is gone.
fn anonymous_memory(running: &mut Running<'_, '_, '_>) -> Result<(), Trouble> {
    let start = running.map(Prot::READ | Prot::WRITE, None)?;
    running.expect(start, 0)?;
    for page in 0..PAGES {
        running.store(page_of(start, page), 1 + page)?;
    }
    for page in 0..PAGES {
        running.expect(page_of(start, page), 1 + page)?;
    }
    running.manager.linux().munmap(&mut running.cx, running.process, start.0, PAGES * PAGE_SIZE)?;
    match running.store(start, 1) {
        Err(Signal::Segv { .. }) => Ok(()),
        _ => Err(Trouble::Wrong(start)),
    }
}

/// A file's pages are read when they are touched; stores stay with the process.
fn file_pages(running: &mut Running<'_, '_, '_>) -> Result<(), Trouble> {
    let objects = running.manager.linux().objects();
    let bytes = PAGES * PAGE_SIZE;
    let file = objects.open(running.cx.at(), FileKey(1), FileKind::Regular, bytes)?;
    let descriptor = MapFile { file, rights: FileRights::READ };
    let start = running.map(Prot::READ | Prot::WRITE, Some(&descriptor))?;
    let last = page_of(start, PAGES - 1);
    running.expect(last, PAGES - 1)?;
    running.store(last, 7)?;
    running.expect(last, 7)?;
    // The mapping keeps the file; the descriptor goes. The program's end unmaps it.
    objects.close(running.cx.at(), file).map_err(|_| Errno::EIO)?;
    running.expect(start, 0)
}

/// A child sees what its parent had, and each its own stores only.
fn copy_on_write(running: &mut Running<'_, '_, '_>) -> Result<(), Trouble> {
    let linux = running.manager.linux();
    let parent = running.process;
    let start = running.map(Prot::READ | Prot::WRITE, None)?;
    running.store(start, 1)?;
    let child = linux.fork(&mut running.cx, parent)?;
    running.switch_to(child);
    running.expect(start, 1)?;
    running.store(start, 2)?;
    running.expect(start, 2)?;
    running.switch_to(parent);
    running.expect(start, 1)?;
    linux.exit(&mut running.cx, child, Exit::Code(0));
    // The page is the parent's alone again: this store copies nothing.
    running.store(start, 3)?;
    running.expect(start, 3)?;
    linux.wait(&mut running.cx, parent, Some(child), Waiting::Poll)?;
    Ok(())
}

/// Memory changes its rights and its place, stays resident, and is given up.
fn changed_mapping(running: &mut Running<'_, '_, '_>) -> Result<(), Trouble> {
    let linux = running.manager.linux();
    let process = running.process;
    let (len, both) = (PAGES * PAGE_SIZE, Prot::READ | Prot::WRITE);
    let start = running.map(both, None)?;
    running.store(start, 1)?;
    linux.mprotect(&mut running.cx, process, start.0, len, Prot::READ.bits())?;
    if running.store(start, 2).is_ok() {
        return Err(Trouble::Wrong(start));
    }
    linux.mprotect(&mut running.cx, process, start.0, len, both.bits())?;
    let flags = RemapFlags::MAYMOVE.bits();
    let larger = Mremap { addr: start.0, old_len: len, new_len: 2 * len, flags, new_addr: 0 };
    let moved = VirtAddr(linux.mremap(&mut running.cx, process, &larger)?);
    running.expect(moved, 1)?;
    linux.mlock(&mut running.cx, process, moved.0, len)?;
    linux.munlock(&mut running.cx, process, moved.0, len)?;
    linux.msync(&mut running.cx, process, moved.0, len, SyncFlags::SYNC.bits())?;
    linux.madvise(&mut running.cx, process, moved.0, len, DONTNEED)?;
    running.expect(moved, 0)
}
