//! A machine made of this process for these tests: threads are CPUs and tasks, files are in a map, flushes
//! are noted.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

pub mod audit;
pub mod space;

use core::sync::atomic::{AtomicU64, Ordering};
use frame::{Config, Frames};
use machine::{
    Asid, Backing, Boot, Core, CpuId, CpuSet, Cx, FileKey, FlushScope, IoError, KernelFrame, Machine,
    MemoryRange, NodeId, Order, PAGE_SIZE, PageOp, Pfn, TaskId, UserFrame, Word,
};
use object::{Objects, Slabs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex};
use table::Tables;

/// What the machine was asked to do, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    Flush,
    Read(u64),
    Write(u64),
}

/// Makes reads wait until it is opened.
#[derive(Default)]
pub struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicU64,
}

impl Gate {
    pub fn shut(&self) {
        *self.shut.lock().unwrap() = true;
    }
    pub fn open(&self) {
        *self.shut.lock().unwrap() = false;
        self.opened.notify_all();
    }
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut shut = self.shut.lock().unwrap();
        while *shut {
            shut = self.opened.wait(shut).unwrap();
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
    pub fn wait_for_somebody(&self) {
        while self.waiting.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
    }
}

/// A store that a CPU makes through a translation it still holds, at the last moment it can.
#[derive(Clone, Copy)]
pub struct LateStore {
    pub frame: UserFrame,
    pub byte: u8,
}

pub struct Host {
    memory: Vec<Word>,
    first_word: usize,
    memmap: Vec<Word>,
    frames: u64,
    wakes: Vec<(Mutex<bool>, Condvar)>,
    pub log: Mutex<Vec<Event>>,
    pub stored: Mutex<BTreeMap<(u64, u64), Vec<u8>>>,
    pub failing: Mutex<BTreeSet<u64>>,
    pub gate: Gate,
    pub late: Mutex<Option<LateStore>>,
}

pub const CPUS: u32 = 8;

impl Host {
    pub fn new(mib: u64) -> Host {
        let frames = mib << 8;
        let words = || (0..(frames + 1) * 512).map(|_| Word::new(0)).collect::<Vec<_>>();
        let memory = words();
        let first_word = memory.as_ptr().align_offset(PAGE_SIZE as usize);
        Host {
            memory,
            first_word,
            memmap: (0..(frames * 4).next_multiple_of(1 << 17) + 8).map(|_| Word::new(0)).collect(),
            frames,
            wakes: (0..CPUS).map(|_| Default::default()).collect(),
            log: Mutex::default(),
            stored: Mutex::default(),
            failing: Mutex::default(),
            gate: Gate::default(),
            late: Mutex::default(),
        }
    }

    pub fn events(&self) -> Vec<Event> {
        core::mem::take(&mut self.log.lock().unwrap())
    }

    fn words(&self, pfn: Pfn, frames: u64) -> &[Word] {
        &self.memory[self.first_word + pfn.0 as usize * 512..][..frames as usize * 512]
    }

    fn bytes_of(&self, frame: UserFrame) -> Vec<u8> {
        self.words(frame.0, 1).iter().flat_map(|w| w.raw().load(Ordering::Relaxed).to_le_bytes()).collect()
    }

    fn set_bytes(&self, frame: UserFrame, bytes: &[u8]) {
        for (word, bytes) in self.words(frame.0, 1).iter().zip(bytes.chunks(8)) {
            word.raw().store(u64::from_le_bytes(bytes.try_into().unwrap()), Ordering::Relaxed);
        }
    }

    /// The first bytes of a frame.
    pub fn read_bytes(&self, frame: UserFrame, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes_of(frame)[..into.len()]);
    }

    /// What a file's page holds if nothing was ever stored there.
    pub fn original(file: u64, page: u64) -> u8 {
        (file * 31 + page * 7 + 1) as u8
    }
}

impl Backing for Host {
    fn read(&self, _: CpuId, file: FileKey, page: u64, into: UserFrame) -> Result<(), IoError> {
        self.log.lock().unwrap().push(Event::Read(page));
        self.gate.pass();
        if self.failing.lock().unwrap().remove(&page) {
            return Err(IoError);
        }
        let stored = self.stored.lock().unwrap();
        let bytes = stored.get(&(file.0, page)).cloned();
        self.set_bytes(
            into,
            &bytes.unwrap_or_else(|| vec![Host::original(file.0, page); PAGE_SIZE as usize]),
        );
        Ok(())
    }
    fn write(&self, _: CpuId, file: FileKey, page: u64, from: UserFrame) -> Result<(), IoError> {
        self.log.lock().unwrap().push(Event::Write(page));
        if self.failing.lock().unwrap().remove(&page) {
            return Err(IoError);
        }
        self.stored.lock().unwrap().insert((file.0, page), self.bytes_of(from));
        Ok(())
    }
}

impl Machine for Host {
    type Entry = machine::x86_64::X86_64;
    type Files = Host;

    fn cpus(&self) -> u32 {
        CPUS
    }
    fn memory(&self, index: usize) -> Option<MemoryRange> {
        let range = MemoryRange { start: Pfn(0), frames: self.frames, node: NodeId(0), movable: false };
        (index == 0).then_some(range)
    }
    fn tasks_max(&self) -> u32 {
        CPUS
    }
    fn files(&self) -> &Host {
        self
    }
    fn memmap(&self) -> &[Word] {
        let start = self.memmap.as_ptr().align_offset(64);
        &self.memmap[start..start + (self.frames as usize * 4)]
    }
    fn kernel_area(&self, first: KernelFrame, frames: u64) -> &[Word] {
        self.words(first.0, frames)
    }
    fn page_op(&self, _: CpuId, op: PageOp) {
        let all = |first: Pfn, order: Order| (0..order.frames()).map(move |i| UserFrame(first.plus(i)));
        match op {
            PageOp::Zero { to, order } => {
                all(to.0, order).for_each(|to| self.set_bytes(to, &[0; PAGE_SIZE as usize]));
            }
            PageOp::Copy { to, from, order } => all(to.0, order)
                .zip(all(from.0, order))
                .for_each(|(to, from)| self.set_bytes(to, &self.bytes_of(from))),
            PageOp::Discard { frame, order } => {
                all(frame, order).for_each(|frame| self.set_bytes(frame, &[0xdd; PAGE_SIZE as usize]));
            }
        }
    }
    fn read_frame(&self, _: CpuId, frame: UserFrame, offset: u64, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes_of(frame)[offset as usize..][..into.len()]);
    }
    fn write_frame(&self, _: CpuId, frame: UserFrame, offset: u64, bytes: &[u8]) {
        let mut all = self.bytes_of(frame);
        all[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        self.set_bytes(frame, &all);
    }
    fn same_bytes(&self, _: CpuId, a: UserFrame, b: UserFrame) -> bool {
        self.bytes_of(a) == self.bytes_of(b)
    }
    fn hash_bytes(&self, _: CpuId, frame: UserFrame) -> u64 {
        self.bytes_of(frame).iter().fold(0, |hash, &b| hash * 31 + u64::from(b))
    }
    fn relax(&self, _: CpuId, _: &Word) {
        std::thread::yield_now();
    }
    fn irq_save(&self, _: CpuId) -> bool {
        true
    }
    fn irq_restore(&self, _: CpuId, _: bool) {}
    fn flush(&self, cpu: CpuId, _: &CpuSet, _: &FlushScope) {
        if let Some(late) = *self.late.lock().unwrap() {
            self.write_frame(cpu, late.frame, 0, &[late.byte]);
        }
        self.log.lock().unwrap().push(Event::Flush);
    }
    fn load_space(&self, _: CpuId, _: Option<(KernelFrame, Asid)>, _: bool) {}
    fn park(&self, cpu: CpuId, task: TaskId) -> CpuId {
        let (token, wake) = &self.wakes[task.0 as usize];
        let mut token = token.lock().unwrap();
        while !*token {
            token = wake.wait(token).unwrap();
        }
        *token = false;
        cpu
    }
    fn unpark(&self, _: CpuId, task: TaskId) {
        let (token, wake) = &self.wakes[task.0 as usize];
        *token.lock().unwrap() = true;
        wake.notify_all();
    }
    fn now(&self, _: CpuId) -> u64 {
        0
    }
}

/// Floors 0 to 4 on the machine.
pub struct World<'m> {
    pub host: &'m Host,
    pub core: Core<'m>,
    pub objects: Objects<'m, Host>,
}

impl<'m> World<'m> {
    pub fn new(host: &'m Host) -> Self {
        Self::with(host, |_| ()).0
    }

    /// `more` takes what else it needs from boot memory.
    pub fn with<T>(host: &'m Host, more: impl FnOnce(&Boot<'m, Host>) -> T) -> (Self, T) {
        let boot = Boot::new(host).unwrap();
        let core = Core::new(&boot).unwrap();
        let (slabs, tables) = (Slabs::new(&boot).unwrap(), Tables::new(&boot).unwrap());
        let other = more(&boot);
        let frames = Frames::new(host, &boot, &Config::default()).unwrap();
        let mut cx = Cx::new(host, core, CpuId(0), TaskId(0));
        let objects = Objects::new(cx.at(), slabs, frames, tables).unwrap();
        (World { host, core, objects }, other)
    }

    /// A task on a CPU of its own. One thread at a time uses a number.
    pub fn cx(&self, n: u32) -> Cx<'m, Host> {
        Cx::new(self.host, self.core, CpuId(n), TaskId(n))
    }
}

/// Small, repeatable pseudo-random numbers (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }
}
