//! A manager on a simulated machine, driven from outside of any task: between two calls it is quiet.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use fault::Faults;
use frame::{Config, Frames, Id};
use machine::{
    Access, Asid, Boot, Core, CpuId, Cx, FileKey, KernelFrame, Machine, PAGE_SIZE, Perms, Pfn, TaskId, Vpn,
    VpnRange, Word,
};
use object::{File, FileKind, Objects};
use oracle::{
    Audit, DenseLedger, Holders, Known, Link, Outside, Report, Tally, Tlbs, Translation, Violation,
};
use sim::{SimConfig, SimMachine, TlbSize};
use space::{Limits, Mapping, Place, Sharing, Space, Spaces, VmaFlags};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use table::{PageTable, Sight, Tables};

pub type Machinery = SimMachine;

pub const READ: Perms = Perms { read: true, write: false, execute: false };
pub const RW: Perms = Perms { read: true, write: true, execute: false };
pub const RX: Perms = Perms { read: true, write: false, execute: true };
pub const RWX: Perms = Perms { read: true, write: true, execute: true };

/// A machine of two CPUs whose TLBs forget nothing by themselves.
pub fn machine(memory_bytes: u64) -> SimMachine {
    let config =
        SimConfig { cpus: 2, memory_bytes, tlb: TlbSize::Unbounded, tasks_max: 16, ..SimConfig::default() };
    SimMachine::new(&config).expect("a machine")
}

/// The manager, and what the test itself holds.
pub struct World<'m> {
    pub machine: &'m SimMachine,
    pub core: Core<'m>,
    pub faults: Faults<'m, SimMachine>,
    pub cxs: Vec<Cx<'m, SimMachine>>,
    /// Memory that was handed out before the zones: first frame, how many.
    pub boot: (Pfn, u64),
    pub ledger: Vec<Tally>,
    /// How often the test has each file open.
    pub opens: BTreeMap<u32, u64>,
    /// Frames the test holds.
    pub held: Vec<Pfn>,
    /// Frames the test has pinned.
    pub pins: Vec<Pfn>,
    /// Links that CPUs are said to hold beside those they hold.
    pub links: Vec<Link>,
    /// Where each CPU runs.
    pub running: [Option<Id<Space>>; 2],
}

impl<'m> World<'m> {
    pub fn new(machine: &'m SimMachine) -> Self {
        let boot = Boot::new(machine).expect("memory");
        let core = Core::new(&boot).expect("memory");
        let tables = Tables::new(&boot).expect("memory");
        let slabs = object::Slabs::new(&boot).expect("memory");
        let space_slabs = space::Slabs::new(&boot).expect("memory");
        let frames = Frames::new(machine, &boot, &Config::default()).expect("memory");
        let cx = |cpu| Cx::new(machine, core, CpuId(cpu), TaskId(cpu));
        let mut cxs: Vec<_> = (0..machine.cpus()).map(cx).collect();
        let objects = Objects::new(cxs[0].at(), slabs, frames, tables).expect("memory");
        let end = objects.frames().memmap().end().0 as usize;
        World {
            machine,
            core,
            faults: Faults::new(Spaces::new(space_slabs, objects)),
            cxs,
            boot: boot.taken(),
            ledger: vec![Tally::default(); end],
            opens: BTreeMap::new(),
            held: Vec::new(),
            pins: Vec::new(),
            links: Vec::new(),
            running: [None; 2],
        }
    }

    pub fn spaces(&self) -> &Spaces<'m, SimMachine> {
        self.faults.spaces()
    }

    pub fn objects(&self) -> &Objects<'m, SimMachine> {
        self.spaces().objects()
    }

    pub fn frames(&self) -> &Frames<'m, SimMachine> {
        self.spaces().frames()
    }

    // ---- the audit ----

    pub fn audit(&mut self) -> (Vec<Violation>, Report) {
        let mut ledger = core::mem::take(&mut self.ledger);
        let mut found = Vec::new();
        let report = {
            let outside = Outside { tlbs: self, holders: self };
            let audit = Audit::new(self.machine, self.core, self.spaces());
            audit.run(&mut DenseLedger(&mut ledger), outside, &mut |violation| found.push(violation))
        };
        self.ledger = ledger;
        assert_eq!(report.violations, found.len() as u64);
        (found, report)
    }

    /// Demands that every rule holds.
    pub fn healthy(&mut self) -> Report {
        let (found, report) = self.audit();
        let text: Vec<String> = found.iter().map(Violation::to_string).collect();
        assert!(found.is_empty(), "violations:\n{}", text.join("\n"));
        report
    }

    // ---- operations ----

    pub fn create(&mut self) -> Id<Space> {
        self.faults.spaces().create(self.cxs[0].at(), &Limits::DEFAULT).expect("a space")
    }

    pub fn release(&mut self, space: Id<Space>) {
        self.faults.spaces().release(self.cxs[0].at(), space);
    }

    pub fn fork(&mut self, space: Id<Space>) -> Id<Space> {
        self.faults.spaces().fork(self.cxs[0].at(), space).expect("a child")
    }

    /// Lets a CPU run a space, or nothing.
    pub fn run_on(&mut self, cpu: usize, space: Option<Id<Space>>) {
        if let Some(before) = self.running[cpu].take() {
            self.faults.spaces().deactivate(self.cxs[cpu].at(), before);
        }
        if let Some(space) = space {
            self.faults.spaces().activate(self.cxs[cpu].at(), space);
            self.running[cpu] = Some(space);
        }
    }

    pub fn map_at(&mut self, space: Id<Space>, page: u64, pages: u64, perms: Perms, more: More) -> VpnRange {
        let mapping = Mapping {
            place: Place::Fixed(Vpn(page)),
            pages,
            perms,
            max_perms: RWX,
            sharing: more.sharing,
            object: more.object,
            flags: more.flags,
        };
        self.faults.spaces().map(self.cxs[0].at(), space, &mapping).expect("a mapping")
    }

    pub fn anon(&mut self, space: Id<Space>, page: u64, pages: u64, perms: Perms) -> VpnRange {
        self.map_at(space, page, pages, perms, More::default())
    }

    pub fn open(&mut self, key: u64, kind: FileKind, pages: u64) -> Id<File> {
        let size = pages * PAGE_SIZE;
        self.machine.sim_files().create(FileKey(key), size);
        let objects = self.faults.spaces().objects();
        let file = objects.open(self.cxs[0].at(), FileKey(key), kind, size).expect("a file");
        *self.opens.entry(file.raw()).or_default() += 1;
        file
    }

    pub fn close(&mut self, file: Id<File>) {
        self.faults.spaces().objects().close(self.cxs[0].at(), file).expect("written");
        *self.opens.get_mut(&file.raw()).expect("open") -= 1;
    }

    /// A program's access on a CPU: through its TLB, and into the manager if hardware refuses it.
    pub fn touch(&mut self, cpu: usize, page: Vpn, access: Access) -> Pfn {
        let space = self.running[cpu].expect("the CPU runs a space");
        for _ in 0..8 {
            match self.machine.user_access(CpuId(cpu as u32), page.addr(), access) {
                Ok(found) => return found.frame,
                Err(_) => {
                    let cx = self.cxs[cpu].at();
                    self.faults.handle(cx, space, page.addr(), access).expect("an access that is allowed");
                }
            }
        }
        panic!("{page:?} faults for ever");
    }

    pub fn touch_all(&mut self, cpu: usize, range: VpnRange, access: Access) {
        for page in range.start.0..range.end.0 {
            self.touch(cpu, Vpn(page), access);
        }
    }

    // ---- looking, and breaking ----

    pub fn table(&self, space: Id<Space>) -> Id<PageTable> {
        self.spaces().space(space).table().expect("a space has tables")
    }

    /// The leaf table of a page.
    pub fn leaf_table(&self, space: Id<Space>, page: Vpn) -> KernelFrame {
        let mut found = None;
        self.spaces().walker(self.table(space)).survey(self.machine, &mut |sight| {
            if let Sight::Table { frame, level, first, .. } = sight
                && level == machine::Level::LEAF
                && first == page.huge_base()
            {
                found = Some(frame);
            }
        });
        found.expect("a leaf table")
    }

    /// The word of a page's entry.
    pub fn entry_word(&self, space: Id<Space>, page: Vpn) -> &'m Word {
        &self.machine.kernel_area(self.leaf_table(space, page), 1)[page.0 as usize % 512]
    }

    /// A word of an object in kernel memory.
    pub fn word_of<T>(&self, object: &'m T, index: usize) -> &'m Word {
        let address = core::ptr::from_ref(object) as usize + index * 8;
        let frames = self.frames().memmap().end().0;
        let all = self.machine.kernel_area(KernelFrame(Pfn(0)), u64::from(frames));
        &all[(address - all.as_ptr() as usize) / 8]
    }

    /// The first word of an object that holds a value.
    pub fn word_with<T>(&self, object: &'m T, value: u64) -> &'m Word {
        let words = (0..size_of::<T>() / 8).map(|index| self.word_of(object, index));
        words.into_iter().find(|word| get(word) == value).expect("a word with that value")
    }

    /// The words of boot memory.
    pub fn boot_words(&self) -> &'m [Word] {
        self.machine.kernel_area(KernelFrame(self.boot.0), self.boot.1)
    }
}

pub fn get(word: &Word) -> u64 {
    word.raw().load(Relaxed)
}

pub fn set(word: &Word, value: u64) {
    word.raw().store(value, Relaxed);
}

pub fn add(word: &Word, more: u64) {
    set(word, get(word).wrapping_add(more));
}

/// The less usual parts of a mapping.
#[derive(Clone, Copy)]
pub struct More {
    pub sharing: Sharing,
    pub object: Option<(Id<File>, u64)>,
    pub flags: VmaFlags,
}

impl Default for More {
    fn default() -> Self {
        More { sharing: Sharing::Private, object: None, flags: VmaFlags::empty() }
    }
}

impl More {
    pub fn private(file: Id<File>, first: u64) -> More {
        More { object: Some((file, first)), ..More::default() }
    }

    pub fn shared(file: Id<File>, first: u64) -> More {
        More { sharing: Sharing::Shared, ..More::private(file, first) }
    }

    pub fn flags(flags: VmaFlags) -> More {
        More { flags, ..More::default() }
    }
}

impl Tlbs for World<'_> {
    fn loaded(&self, cpu: CpuId) -> Option<(KernelFrame, Asid)> {
        self.machine.loaded_space(cpu)
    }

    fn for_each_translation(&self, see: &mut dyn FnMut(&Translation)) {
        self.machine.for_each_translation(|held| {
            see(&Translation {
                cpu: held.cpu,
                asid: held.asid,
                page: held.pages.start,
                frame: held.frame,
                perms: held.perms,
                dirty: held.dirty,
            });
        });
    }

    fn for_each_link(&self, see: &mut dyn FnMut(&Link)) {
        self.machine.for_each_upper(|held| {
            see(&Link { cpu: held.cpu, asid: held.asid, page: held.pages.start, table: held.table });
        });
        self.links.iter().for_each(see);
    }
}

impl Holders for World<'_> {
    fn for_each_frame(&self, hold: &mut dyn FnMut(Pfn)) {
        self.held.iter().copied().for_each(hold);
    }

    fn for_each_pin(&self, pin: &mut dyn FnMut(Pfn)) -> Known {
        self.pins.iter().copied().for_each(pin);
        Known::All
    }

    fn opens(&self, file: Id<File>) -> Option<u64> {
        Some(self.opens.get(&file.raw()).copied().unwrap_or(0))
    }
}
