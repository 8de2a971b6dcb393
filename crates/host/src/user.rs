//! User mode: translation of a program's accesses, as a processor does it.

use crate::bytes;
use crate::claim::HostCpu;
use crate::config::Checks;
use crate::host_machine::HostMachine;
use crate::tlb::{Fill, TlbEntry};
use machine::entry::Kind;
use machine::x86_64::X86_64;
use machine::{
    Access, Asid, CpuId, Entry, EntryFormat, HUGE_ORDER, KernelFrame, Level, PAGE_SIZE, Perms, Pfn, VirtAddr,
    Word,
};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

/// An access that was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageFault {
    /// Where.
    pub addr: VirtAddr,
    /// What was tried.
    pub access: Access,
    /// Whether a page is there (x86's `PF_PROT`: the access was not allowed) or not.
    pub present: bool,
}

/// An entry that a walk found.
struct Leaf {
    entry: Entry,
    level: Level,
}

impl HostCpu<'_> {
    /// Loads a word of user memory. An address that is no multiple of 8 is one of two loads, as bytes.
    #[inline]
    pub fn load(&self, addr: VirtAddr) -> Result<u64, PageFault> {
        if !addr.0.is_multiple_of(8) {
            let mut word = [0; 8];
            return self.read(addr, &mut word).map(|()| u64::from_ne_bytes(word));
        }
        self.access(addr, Access::Read, |at| at.map_or(0, |at| word(at).load(Relaxed)))
    }

    /// Stores a word of user memory. An address that is no multiple of 8 is one of two stores, as bytes.
    #[inline]
    pub fn store(&self, addr: VirtAddr, value: u64) -> Result<(), PageFault> {
        if !addr.0.is_multiple_of(8) {
            return self.write(addr, &value.to_ne_bytes());
        }
        self.access(addr, Access::Write, |at| {
            if let Some(at) = at {
                word(at).store(value, Relaxed);
            }
        })
    }

    /// Adds to a word of user memory in one step, at a multiple of 8; answers what it held.
    pub fn fetch_add(&self, addr: VirtAddr, value: u64) -> Result<u64, PageFault> {
        let addr = VirtAddr(addr.0 & !7);
        self.access(addr, Access::Write, |at| at.map_or(0, |at| word(at).fetch_add(value, SeqCst)))
    }

    /// Loads bytes, page by page; what lies before the page that faults is loaded.
    pub fn read(&self, addr: VirtAddr, into: &mut [u8]) -> Result<(), PageFault> {
        for (addr, range) in pieces(addr, into.len()) {
            let piece = &mut into[range];
            self.access(addr, Access::Read, |at| match at {
                // SAFETY: one side is in the page that `access` found, the other this caller's own.
                Some(at) => unsafe { bytes::copy(piece.as_mut_ptr(), at.as_ptr(), piece.len()) },
                None => piece.fill(0),
            })?;
        }
        Ok(())
    }

    /// Stores bytes, page by page; what lies before the page that faults is stored.
    pub fn write(&self, addr: VirtAddr, from: &[u8]) -> Result<(), PageFault> {
        for (addr, range) in pieces(addr, from.len()) {
            let piece = &from[range];
            self.access(addr, Access::Write, |at| {
                if let Some(at) = at {
                    // SAFETY: one side is in the page that `access` found, the other this caller's own.
                    unsafe { bytes::copy(at.as_ptr(), piece.as_ptr(), piece.len()) };
                }
            })?;
        }
        Ok(())
    }

    /// One access inside one page: `body` gets the address of the byte, or none if frames have no bytes.
    /// Until it returns no flush of the page does.
    #[inline]
    fn access<R>(
        &self,
        addr: VirtAddr,
        access: Access,
        body: impl FnOnce(Option<NonNull<u8>>) -> R,
    ) -> Result<R, PageFault> {
        let _inside = self.state.section(self.machine.accesses);
        let frame = self.translate(addr, access)?;
        Ok(body(self.machine.bytes_of(frame).map(|page| {
            // SAFETY: the offset is below the page's size.
            unsafe { page.add(addr.offset() as usize) }
        })))
    }

    /// The frame of an access. Inside a section.
    #[inline]
    fn translate(&self, addr: VirtAddr, access: Access) -> Result<Pfn, PageFault> {
        let absent = PageFault { addr, access, present: false };
        if addr.0 >= X86_64::USER_END {
            return Err(absent);
        }
        let (root, asid) = self.state.space().ok_or(absent)?;
        let whole = self.state.tlb.begin();
        match self.state.tlb.lookup(asid, addr.page().0, access, whole) {
            Some(frame) => Ok(frame),
            None => self.miss((root, asid), addr, access, whole),
        }
    }

    #[cold]
    fn miss(
        &self,
        (root, asid): (KernelFrame, Asid),
        addr: VirtAddr,
        access: Access,
        whole: u64,
    ) -> Result<Pfn, PageFault> {
        let stamp = match self.machine.checks {
            Checks::Off => 0,
            // ORDERING: SeqCst pairs with the addition in `flush_begins`.
            Checks::Flushes => self.machine.flushes.load(SeqCst),
        };
        let tlb = &self.state.tlb;
        let age = tlb.age(whole, stamp);
        let Leaf { entry, level } = self.machine.walk(root, addr, access)?;
        let absent = PageFault { addr, access, present: false };
        let Kind::Leaf(first) = X86_64::kind(entry, level) else { return Err(absent) };
        let within = addr.page().0 & ((1 << level.span_shift()) - 1);
        let frame = u64::from(first.0) + within;
        if !self.machine.exists(frame) {
            self.machine.violate(format!("frame {frame:#x} is mapped at {addr:?} and does not exist"));
            return Err(absent);
        }
        let frame = Pfn(frame as u32);
        tlb.fill(asid, addr.page().0, &Fill { frame, attrs: X86_64::attrs(entry), age });
        Ok(frame)
    }
}

/// The word at an address that is a multiple of 8.
#[inline]
fn word<'a>(at: NonNull<u8>) -> &'a AtomicU64 {
    // SAFETY: only closures of `access` call this, with an aligned address in a page of the mapping, which is
    // reached as atomics or by assembly only, and outlives the closure.
    unsafe { AtomicU64::from_ptr(at.as_ptr().cast()) }
}

/// The pieces of a range of bytes that lie in one page each.
fn pieces(addr: VirtAddr, len: usize) -> impl Iterator<Item = (VirtAddr, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = VirtAddr(addr.0.saturating_add(done as u64));
        let piece = (len - done).min((PAGE_SIZE - at.offset()) as usize);
        let range = done..done + piece;
        done += piece;
        (piece > 0).then_some((at, range))
    })
}

impl HostMachine {
    /// Reads the tables, and marks the entry found accessed (and dirty).
    fn walk(&self, root: KernelFrame, addr: VirtAddr, access: Access) -> Result<Leaf, PageFault> {
        let page = addr.page().0;
        let absent = PageFault { addr, access, present: false };
        let (mut level, mut table) = (Level::ROOT, root);
        loop {
            let Some(word) = self.table_word(table, page >> level.span_shift() & 511) else {
                self.violate(format!("a table at {table:?}, met on the way to {addr:?}"));
                return Err(absent);
            };
            // ORDERING: Acquire pairs with the Release of whoever linked the table or the leaf.
            let entry = Entry(word.raw().load(Acquire));
            match X86_64::kind(entry, level) {
                Kind::Table(next) if level > Level::LEAF => (level, table) = (Level(level.0 - 1), next),
                Kind::Leaf(_) if level <= Level::HUGE => {
                    if !X86_64::permits(entry, level, access) {
                        let present = X86_64::attrs(entry).perms != Perms::NONE;
                        return Err(PageFault { addr, access, present });
                    }
                    if let Some(entry) = touch(word, entry, access) {
                        return Ok(Leaf { entry, level });
                    }
                    // The entry was changed in between: as if the access came later.
                    (level, table) = (Level::ROOT, root);
                }
                Kind::Leaf(_) | Kind::Table(_) => {
                    self.violate(format!("a leaf of level {} on the way to {addr:?}", level.0));
                    return Err(absent);
                }
                Kind::Empty | Kind::Absent(_) => return Err(absent),
            }
        }
    }

    // ---- for checkers of a quiet machine ----

    /// Every translation of every CPU.
    pub fn for_each_translation(&self, mut see: impl FnMut(TlbEntry)) {
        for (number, cpu) in self.cpus.iter().enumerate() {
            cpu.tlb.for_each(CpuId(number as u32), |entry, _| see(entry));
        }
    }

    /// The space loaded on a CPU.
    pub fn loaded_space(&self, cpu: CpuId) -> Option<(KernelFrame, Asid)> {
        self.cpus.get(cpu.0 as usize)?.space()
    }

    /// A word of user memory as the tables of a space lead to it, without marking anything; `None` if no page
    /// is there.
    pub fn peek(&self, root: KernelFrame, addr: VirtAddr) -> Option<u64> {
        let (mut level, mut table) = (Level::ROOT, root);
        loop {
            let word = self.table_word(table, addr.page().0 >> level.span_shift() & 511)?;
            // ORDERING: Acquire pairs with the Release of whoever linked the table or the leaf.
            match X86_64::kind(Entry(word.raw().load(Acquire)), level) {
                Kind::Table(next) if level > Level::LEAF => (level, table) = (Level(level.0 - 1), next),
                Kind::Leaf(first) if level <= Level::HUGE => {
                    let within = addr.page().0 & (HUGE_ORDER.frames() - 1) & ((1 << level.span_shift()) - 1);
                    let mut bytes = [0; 8];
                    HostMachine::read(self, first.plus(within), addr.offset() & !7, &mut bytes);
                    return Some(u64::from_ne_bytes(bytes));
                }
                _ => return None,
            }
        }
    }
}

/// Marks an entry as hardware does; `None` if it is another by now.
fn touch(word: &Word, entry: Entry, access: Access) -> Option<Entry> {
    let touched = X86_64::touched(entry, access);
    // ORDERING: AcqRel, as hardware's locked update of the accessed and dirty bits. Who takes the entry away
    // in one step takes the bits along, or is found to have been first.
    let set = || word.raw().compare_exchange(entry.0, touched.0, AcqRel, Relaxed).is_ok();
    (touched == entry || set()).then_some(touched)
}
