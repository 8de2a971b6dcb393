//! A Linux system on a simulated machine, for tests: one process that calls, and looks at what is left.
#![allow(dead_code, unreachable_pub)]

use fault::Faults;
use frame::{Frames, Id};
use linux::{Config, Errno, ExecImage, FileRights, Layout, Linux, MapFile, Mmap, Policy, Process, Signal};
use machine::{
    Access, Boot, Core, CpuId, Cx, FileKey, Machine, PAGE_SIZE, TaskId, UserFrame, VirtAddr, Vpn, VpnRange,
};
use object::{FileKind, Objects, Slabs};
use sim::{SimConfig, SimMachine};
use space::Spaces;
use table::Tables;

pub const PAGE: u64 = PAGE_SIZE;
/// First address no program may use.
pub const USER_END: u64 = (1 << 47) - PAGE;
/// A place where nothing is.
pub const BASE: u64 = 0x1000_0000;
/// Where the heap starts.
pub const HEAP: u64 = 0x2000_0000;

pub const READ: u64 = 1;
pub const WRITE: u64 = 2;
pub const EXEC: u64 = 4;
pub const RW: u64 = READ | WRITE;

pub const SHARED: u64 = 0x1;
pub const PRIVATE: u64 = 0x2;
pub const VALIDATE: u64 = 0x3;
pub const FIXED: u64 = 0x10;
pub const ANON: u64 = 0x20;
pub const GROWSDOWN: u64 = 0x100;
pub const LOCKED: u64 = 0x2000;
pub const NORESERVE: u64 = 0x4000;
pub const POPULATE: u64 = 0x8000;
pub const NOREPLACE: u64 = 0x10_0000;

/// A machine of one CPU.
pub fn machine(memory_bytes: u64) -> SimMachine {
    let config = SimConfig { cpus: 1, memory_bytes, tasks_max: 64, ..SimConfig::default() };
    SimMachine::new(&config).expect("a machine")
}

/// A system, and the context of its one task.
pub struct System<'m> {
    pub machine: &'m SimMachine,
    pub linux: Linux<'m, SimMachine>,
    pub cx: Cx<'m, SimMachine>,
    /// The process that calls.
    pub process: Id<Process>,
}

/// Whatever a call could leak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// Frames that are free, tables, anonymous pages of one process, or cached.
    pub frames: u64,
    pub objects: object::inspect::Census,
    /// Spaces, VMAs, nodes.
    pub spaces: [u64; 3],
    pub processes: usize,
    pub committed: u64,
}

/// Builds the floors.
pub fn build(machine: &SimMachine, config: Config) -> (Linux<'_, SimMachine>, Cx<'_, SimMachine>) {
    build_with(machine, config, &frame::Config::default())
}

fn build_with<'m>(
    machine: &'m SimMachine,
    config: Config,
    zones: &frame::Config,
) -> (Linux<'m, SimMachine>, Cx<'m, SimMachine>) {
    let boot = Boot::new(machine).expect("memory");
    let core = Core::new(&boot).expect("memory");
    let layout = Layout::new(&boot).expect("memory");
    let tables = Tables::new(&boot).expect("memory");
    let slabs = Slabs::new(&boot).expect("memory");
    let space_slabs = space::Slabs::new(&boot).expect("memory");
    let frames = Frames::new(machine, &boot, zones).expect("memory");
    let mut cx = Cx::new(machine, core, CpuId(0), TaskId(0));
    let objects = Objects::new(cx.at(), slabs, frames, tables).expect("memory");
    let spaces = Spaces::new(space_slabs, objects);
    (Linux::new(layout, Faults::new(spaces), config), cx)
}

impl<'m> System<'m> {
    pub fn new(machine: &'m SimMachine) -> Self {
        Self::with(machine, Config { shortage: Policy::Fail, ..Config::default() })
    }

    pub fn with(machine: &'m SimMachine, config: Config) -> Self {
        Self::built(machine, build(machine, config))
    }

    /// A system with other zones.
    pub fn with_frames(machine: &'m SimMachine, zones: &frame::Config) -> Self {
        let config = Config { shortage: Policy::Fail, ..Config::default() };
        Self::built(machine, build_with(machine, config, zones))
    }

    fn built(machine: &'m SimMachine, (linux, mut cx): (Linux<'m, SimMachine>, Cx<'m, SimMachine>)) -> Self {
        let process = linux.first_process(&mut cx).expect("a process");
        linux.attach(&mut cx, process, TaskId(0)).expect("a task");
        linux.enter(&mut cx, process);
        let image =
            ExecImage { segments: &[], stack: None, break_start: HEAP, code: (VirtAddr(0), VirtAddr(0)) };
        linux.exec(&mut cx, process, Some(TaskId(0)), &image).expect("an empty program");
        System { machine, linux, cx, process }
    }

    // ---- calls, shortened ----

    pub fn mmap(&mut self, addr: u64, len: u64, prot: u64, flags: u64) -> Result<u64, Errno> {
        let args = Mmap { addr, len, prot, flags, offset: 0 };
        self.linux.mmap(&mut self.cx, self.process, &args, None)
    }

    pub fn mmap_file(
        &mut self,
        addr: u64,
        len: u64,
        prot: u64,
        flags: u64,
        file: &MapFile,
        offset: u64,
    ) -> Result<u64, Errno> {
        let args = Mmap { addr, len, prot, flags, offset };
        self.linux.mmap(&mut self.cx, self.process, &args, Some(file))
    }

    pub fn mincore(&mut self, addr: u64, len: u64, vec: u64) -> Result<(), Errno> {
        let Self { linux, cx, process, .. } = self;
        let mut copy =
            |cx: &mut Cx<'m, SimMachine>, to, bytes: &[u8]| linux.copy_to_user(cx, *process, to, bytes);
        linux.mincore(cx, *process, addr, len, vec, &mut copy)
    }

    /// Private anonymous memory at a fixed place.
    pub fn anon(&mut self, addr: u64, pages: u64, prot: u64) {
        let at = self.mmap(addr, pages * PAGE, prot, PRIVATE | ANON | FIXED).expect("room");
        assert_eq!(at, addr);
    }

    /// A file of the machine, opened.
    pub fn file(&mut self, key: u64, size: u64, rights: FileRights) -> MapFile {
        self.machine.sim_files().create(FileKey(key), size);
        let opened = self.linux.objects().open(self.cx.at(), FileKey(key), FileKind::Regular, size);
        MapFile { file: opened.expect("a file"), rights }
    }

    // ---- the program's own accesses ----

    /// Makes an access possible as hardware and the kernel do it; answers the frame.
    pub fn touch(&mut self, addr: u64, access: Access) -> Result<UserFrame, Signal> {
        for _ in 0..8 {
            match self.machine.user_access(CpuId(0), VirtAddr(addr), access) {
                Ok(found) => return Ok(UserFrame(found.frame)),
                Err(_) => self.linux.user_fault(&mut self.cx, self.process, VirtAddr(addr), access)?,
            }
        }
        panic!("{addr:#x} faults for ever");
    }

    pub fn load(&mut self, addr: u64) -> Result<u64, Signal> {
        let frame = self.touch(addr, Access::Read)?;
        let mut bytes = [0; 8];
        self.machine.read_frame(CpuId(0), frame, VirtAddr(addr).offset(), &mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    pub fn store(&mut self, addr: u64, value: u64) -> Result<(), Signal> {
        let frame = self.touch(addr, Access::Write)?;
        self.machine.write_frame(CpuId(0), frame, VirtAddr(addr).offset(), &value.to_le_bytes());
        Ok(())
    }

    /// Runs as another process from here on.
    pub fn become_process(&mut self, process: Id<Process>) {
        self.linux.detach(&mut self.cx, TaskId(0));
        self.linux.attach(&mut self.cx, process, TaskId(0)).expect("a task");
        self.linux.enter(&mut self.cx, process);
        self.process = process;
    }

    // ---- looking ----

    pub fn maps(&mut self) -> String {
        let mut text = String::new();
        self.linux.maps(&mut self.cx, self.process, &(), &mut text).expect("text");
        text
    }

    /// The VMAs as `start-end perms`, in pages from `BASE`.
    pub fn picture(&mut self) -> Vec<String> {
        let space = self.linux.process(self.process).space().expect("alive");
        let mut lines = Vec::new();
        self.linux.spaces().for_each_vma(self.cx.at(), space, |vma| {
            let perms = vma.flags.perms();
            let shown = |yes, letter| if yes { letter } else { '-' };
            let page = |page: Vpn| page.0 as i64 - (BASE / PAGE) as i64;
            lines.push(format!(
                "{}..{} {}{}{}",
                page(vma.range.start),
                page(vma.range.end),
                shown(perms.read, 'r'),
                shown(perms.write, 'w'),
                shown(perms.execute, 'x')
            ));
        });
        lines
    }

    pub fn free(&self) -> u64 {
        self.linux.frames().free_frames() + self.linux.frames().per_cpu_frames()
    }

    pub fn count(&mut self) -> Count {
        let spaces = self.linux.spaces();
        let objects = self.linux.objects();
        let stats = spaces.ids().map(|space| spaces.stats(space));
        let held: u64 = stats.map(|stats| stats.tables + stats.anon_rss).sum();
        let cached: u64 = objects.file_ids().map(|file| objects.file(file).cached_pages()).sum();
        Count {
            frames: self.free() + held + cached,
            objects: objects.census(),
            spaces: spaces.in_use(),
            processes: self.linux.all_processes().count(),
            committed: spaces.committed(),
        }
    }

    /// Resident pages of the process: anonymous, file, shared memory.
    pub fn rss(&self) -> [u64; 3] {
        let space = self.linux.process(self.process).space().expect("alive");
        let stats = self.linux.spaces().stats(space);
        [stats.anon_rss, stats.file_rss, stats.shmem_rss]
    }

    pub fn counter(&self, counter: machine::Counter) -> u64 {
        self.cx.core().total(counter)
    }

    /// Makes the slabs large enough for what tests do: frames they take from now on would look like leaks.
    pub fn warm_up(&mut self) {
        let child = self.linux.fork(&mut self.cx, self.process).expect("a child");
        let parent = self.process;
        self.become_process(child);
        let file = self.file(99, 64 * PAGE, FileRights::READ | FileRights::WRITE);
        for i in 0..16 {
            let at = 0x6000_0000 + i * 0x40_0000;
            self.mmap(at, PAGE, RW, PRIVATE | ANON | FIXED).expect("room");
            self.mmap(at + 2 * PAGE, PAGE, RW, SHARED | ANON | FIXED).expect("room");
            self.mmap_file(at + 4 * PAGE, PAGE, RW, SHARED | FIXED, &file, i * PAGE).expect("room");
            self.store(at + 2 * PAGE, 1).expect("stored");
        }
        let children: Vec<_> =
            (0..3).map(|_| self.linux.fork(&mut self.cx, child).expect("a child")).collect();
        for child in children {
            self.linux.exit(&mut self.cx, child, linux::Exit::Code(0));
        }
        self.linux.objects().close(self.cx.at(), file.file).expect("closed");
        let pipe = self.linux.pipe(&mut self.cx).expect("a pipe");
        self.linux.close_pipe(&mut self.cx, pipe);
        let ring = self.linux.ring(&mut self.cx).expect("a ring");
        let buffer = linux::Iovec { base: 0x6000_0000, len: 8 };
        self.linux.register_buffers(&mut self.cx, child, ring, &[buffer]).expect("a buffer");
        self.linux.close_ring(&mut self.cx, ring);
        self.become_process(parent);
        self.linux.exit(&mut self.cx, child, linux::Exit::Code(0));
        self.linux.wait(&mut self.cx, parent, None, linux::Waiting::Poll).expect("a zombie");
        self.linux.objects().drop_clean(self.cx.at(), u64::MAX);
    }
}

/// A range of pages from `BASE`.
pub fn range(start: u64, pages: u64) -> VpnRange {
    VpnRange::sized(Vpn(BASE / PAGE + start), pages)
}
