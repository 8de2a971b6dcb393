//! User mode: hardware's translation of a program's accesses.

use crate::SimMachine;
use crate::config::Checks;
use crate::explore::{Thing, Touch};
use crate::report::{Cause, Counts};
use crate::tlb::{Cached, Found, Size, Tlb};
use crate::violation::Rule;
use machine::entry::Kind;
use machine::x86_64::X86_64;
use machine::{
    Access, Asid, CpuId, Entry, EntryFormat, HUGE_ORDER, KernelFrame, Level, Perms, Pfn, VirtAddr, VpnRange,
    Word,
};
use std::sync::atomic::Ordering::Relaxed;

/// What hardware made of a user access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The frame of the page.
    pub frame: Pfn,
    /// What the translation allows.
    pub perms: Perms,
    /// Whether it came from the TLB rather than from the tables.
    pub cached: bool,
    /// How many discards there had been when the translation was read.
    pub(crate) discards: u32,
}

/// An access that hardware refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageFault {
    /// Where.
    pub addr: VirtAddr,
    /// What was tried.
    pub access: Access,
    /// Whether a page is there (x86's `PF_PROT`: the access was not allowed) or not.
    pub present: bool,
}

/// A translation that a CPU holds, for checkers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlbEntry {
    /// Who holds it.
    pub cpu: CpuId,
    /// The space.
    pub asid: Asid,
    /// The pages: one, or the 512 of a huge page.
    pub pages: VpnRange,
    /// The (first) frame.
    pub frame: Pfn,
    /// What it allows.
    pub perms: Perms,
    /// The CPU believes that the entry in memory is marked dirty.
    pub dirty: bool,
    /// Whether the space is loaded on the CPU, so that a program could use the translation now. If not, it
    /// may be out of date: loading the space again has to drop it.
    pub reachable: bool,
    /// Whether the frame was discarded by its owner since the translation was read.
    pub discarded: bool,
}

/// A page-table link that a CPU holds, for checkers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UpperEntry {
    /// Who holds it.
    pub cpu: CpuId,
    /// The space.
    pub asid: Asid,
    /// The 2 MiB it leads to.
    pub pages: VpnRange,
    /// The leaf table.
    pub table: KernelFrame,
    /// Whether the space is loaded on the CPU.
    pub reachable: bool,
}

impl SimMachine {
    /// Translates an access as the CPU's hardware does, through its TLB and the tables of its loaded space,
    /// marking the entry accessed (and dirty). No other CPU runs in between.
    pub fn user_access(&self, cpu: CpuId, addr: VirtAddr, access: Access) -> Result<Translation, PageFault> {
        let state = &self.cpus[cpu.0 as usize];
        if self.exploring.get() {
            self.settle(cpu.0);
            self.touch(Thing::tlb(cpu.0), Touch::Read);
        }
        let page = addr.page().0;
        let absent = PageFault { addr, access, present: false };
        if addr.0 >= X86_64::USER_END {
            Counts::add(&self.counts.page_faults, 1);
            return Err(absent);
        }
        let root = state.root.get();
        let (root, asid) = root.ok_or(absent).inspect_err(|_| Counts::add(&self.counts.page_faults, 1))?;
        let mut tlb = state.tlb.borrow_mut();
        if let Some((entry, found)) = tlb.lookup(asid, page) {
            let usable = entry.perms.allow(access) && (access != Access::Write || entry.dirty);
            if usable {
                self.charge_hit(found);
                return Ok(translation(&entry, page, true));
            }
        }
        Counts::add(&self.counts.walks, 1);
        let walked = self.walk(&mut tlb, (root, asid), addr, access);
        walked.inspect_err(|_| Counts::add(&self.counts.page_faults, 1))
    }

    #[inline]
    fn charge_hit(&self, found: Found) {
        let (count, cost) = match found {
            Found::First => (&self.counts.tlb_l1_hits, self.costs.tlb_l1_hit),
            Found::Second => (&self.counts.tlb_l2_hits, self.costs.tlb_l2_hit),
        };
        Counts::add(count, 1);
        self.tick(Cause::TlbHit, cost);
    }

    /// Reads the tables. Never remembers that something is absent.
    fn walk(
        &self,
        tlb: &mut Tlb,
        (root, asid): (KernelFrame, Asid),
        addr: VirtAddr,
        access: Access,
    ) -> Result<Translation, PageFault> {
        let page = addr.page().0;
        let absent = PageFault { addr, access, present: false };
        let (mut level, mut table) = match tlb.upper(asid, page) {
            Some(leaf) => (Level::LEAF, leaf),
            None => (Level::ROOT, root.0.0),
        };
        loop {
            let index = page >> level.span_shift() & 511;
            let word = self.memory().table_word(u64::from(table), index);
            let Some(word) = word else {
                self.violate(
                    Rule::WildEntry,
                    format!("a table at {:?}, met on the way to {addr:?}", Pfn(table)),
                );
                return Err(absent);
            };
            if self.exploring.get() {
                self.touch(Thing::kernel_frame(table), Touch::Read);
                self.touch_word(word, Touch::Read);
            }
            let cost = if level == Level::LEAF { self.costs.walk_leaf } else { self.costs.walk_level };
            self.tick(Cause::Walk, cost);
            // RELAXED: one host thread; hardware's reads are one step with the access.
            let entry = Entry(word.raw().load(Relaxed));
            match X86_64::kind(entry, level) {
                Kind::Table(next) if level > Level::LEAF => {
                    if level == Level::HUGE {
                        tlb.remember_upper(asid, page, next.0.0);
                    }
                    (level, table) = (Level(level.0 - 1), next.0.0);
                }
                Kind::Leaf(_) if level <= Level::HUGE => {
                    return self.use_leaf(tlb, asid, (word, entry, level, table), addr, access);
                }
                Kind::Leaf(_) | Kind::Table(_) => {
                    self.violate(
                        Rule::WildEntry,
                        format!("a leaf of level {} on the way to {addr:?}", level.0),
                    );
                    return Err(absent);
                }
                Kind::Empty | Kind::Absent(_) => return Err(absent),
            }
        }
    }

    fn use_leaf(
        &self,
        tlb: &mut Tlb,
        asid: Asid,
        (word, entry, level, table): (&Word, Entry, Level, u32),
        addr: VirtAddr,
        access: Access,
    ) -> Result<Translation, PageFault> {
        let present = X86_64::attrs(entry).perms != Perms::NONE;
        let Kind::Leaf(frame) = X86_64::kind(entry, level) else {
            return Err(PageFault { addr, access, present: false });
        };
        if !X86_64::permits(entry, level, access) {
            return Err(PageFault { addr, access, present });
        }
        if !self.contents.borrow().exists(frame.0) {
            self.violate(Rule::WildEntry, format!("{frame:?} is mapped at {addr:?} and does not exist"));
            return Err(PageFault { addr, access, present: false });
        }
        let touched = X86_64::touched(entry, access);
        if touched != entry {
            self.touch_word(word, Touch::Write);
            self.memory().expose(u64::from(table), 1);
            // RELAXED: one host thread. Hardware's locked update is one step with the read above: nobody runs
            // in between.
            word.raw().store(touched.0, Relaxed);
        }
        let attrs = X86_64::attrs(touched);
        let size = if level == Level::HUGE { Size::Huge } else { Size::Base };
        let discards = self.contents.borrow().discards();
        let page = addr.page().0;
        let age = (discards, self.flush_number.get());
        let cached = Tlb::entry(asid, frame, &attrs, age);
        if self.checks == Checks::Heavy
            && let Some(other) = tlb.other_size(asid, page, size)
        {
            let text = format!("{:?} is translated as {size:?} beside {:?} of {asid:?}", addr, other.pages());
            self.violate(Rule::MixedSizes, text);
        }
        tlb.insert(page, size, cached);
        let first = if size == Size::Huge { page & (HUGE_ORDER.frames() - 1) } else { 0 };
        Ok(Translation { frame: frame.plus(first), perms: attrs.perms, cached: false, discards })
    }

    /// Reads a word through a translation, checking that the translation is still true of the frame.
    pub(crate) fn read_through(&self, at: &Translation, addr: VirtAddr) -> u64 {
        self.touch_bytes(at.frame, addr.offset() / 8, Touch::Read);
        let contents = self.contents.borrow();
        let frame = contents.get(at.frame.0);
        let (value, known) = match frame {
            Some(frame) => frame.content.word((addr.offset() / 8) as usize),
            None => (crate::contents::POISON_WORD, false),
        };
        if self.checks != Checks::Off {
            let generation = frame.map_or(0, |f| f.generation);
            if generation > at.discards && at.cached {
                self.stale_use("a load", at, addr);
            } else if !known {
                let text = format!("a load of {addr:?} found {:?} with bytes nobody gave a value", at.frame);
                self.violate(Rule::PoisonRead, text);
            }
        }
        value
    }

    /// Writes a word through a translation.
    pub(crate) fn write_through(&self, at: &Translation, addr: VirtAddr, value: u64) {
        self.touch_bytes(at.frame, addr.offset() / 8, Touch::Write);
        let mut contents = self.contents.borrow_mut();
        let Some(frame) = contents.get_mut(at.frame.0) else { return };
        frame.content.set_word((addr.offset() / 8) as usize, value);
        if frame.held != 0 {
            self.torn("a store", at.frame);
        }
        if self.checks != Checks::Off && frame.generation > at.discards && at.cached {
            self.stale_use("a store", at, addr);
        }
    }

    fn stale_use(&self, what: &str, at: &Translation, addr: VirtAddr) {
        let text = format!("{what} to {addr:?} went to {:?}, which was discarded since the walk", at.frame);
        self.violate(Rule::StaleTranslation, text);
    }

    // ---- for checkers ----

    /// Every translation of every CPU, by CPU, in an order that depends on nothing but the machine's history.
    pub fn for_each_translation(&self, mut see: impl FnMut(TlbEntry)) {
        let contents = self.contents.borrow();
        for (number, cpu) in self.cpus.iter().enumerate() {
            let loaded = cpu.root.get().map(|(_, asid)| asid);
            cpu.tlb.borrow().for_each(|entry| {
                see(TlbEntry {
                    cpu: CpuId(number as u32),
                    asid: entry.asid,
                    pages: entry.pages(),
                    frame: entry.frame,
                    perms: entry.perms,
                    dirty: entry.dirty,
                    reachable: loaded == Some(entry.asid),
                    discarded: contents.were_discarded(entry.frame.0, pages_of(entry), entry.discards),
                });
            });
        }
    }

    /// Every page-table link that CPUs keep beside their translations.
    pub fn for_each_upper(&self, mut see: impl FnMut(UpperEntry)) {
        for (number, cpu) in self.cpus.iter().enumerate() {
            let loaded = cpu.root.get().map(|(_, asid)| asid);
            for (asid, page, table) in cpu.tlb.borrow().uppers() {
                see(UpperEntry {
                    cpu: CpuId(number as u32),
                    asid,
                    pages: VpnRange::sized(machine::Vpn(page), HUGE_ORDER.frames()),
                    table: KernelFrame(Pfn(table)),
                    reachable: loaded == Some(asid),
                });
            }
        }
    }

    /// How many translations a CPU holds.
    pub fn translations(&self, cpu: CpuId) -> usize {
        self.cpus[cpu.0 as usize].tlb.borrow().len()
    }

    /// The space loaded on a CPU.
    pub fn loaded_space(&self, cpu: CpuId) -> Option<(KernelFrame, Asid)> {
        self.cpus[cpu.0 as usize].root.get()
    }

    /// A word of a user frame as it is, without cost or checks: for checkers.
    pub fn peek_word(&self, frame: Pfn, offset: u64) -> u64 {
        let contents = self.contents.borrow();
        let word = (offset / 8) as usize;
        contents.get(frame.0).map_or(crate::contents::POISON_WORD, |f| f.content.word(word).0)
    }

    /// Whether a frame holds nothing anybody may read: for checkers.
    pub fn is_poison(&self, frame: Pfn) -> bool {
        let contents = self.contents.borrow();
        contents.get(frame.0).is_none_or(|f| f.content.is_poison() && f.content.written() == 0)
    }

    /// Which discard of all was the frame's last: for checkers.
    pub fn generation(&self, frame: Pfn) -> u32 {
        self.contents.borrow().generation(frame.0)
    }
}

fn translation(entry: &Cached, page: u64, cached: bool) -> Translation {
    let within = if entry.is_huge() { page & (HUGE_ORDER.frames() - 1) } else { 0 };
    Translation { frame: entry.frame.plus(within), perms: entry.perms, cached, discards: entry.discards }
}

/// How many frames a translation leads to.
pub(crate) fn pages_of(entry: &Cached) -> u32 {
    entry.pages().pages() as u32
}
