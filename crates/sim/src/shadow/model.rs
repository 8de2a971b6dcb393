//! The model: what is asked and told.

use crate::shadow::files::Files;
use crate::shadow::holds::{Holds, Target};
use crate::shadow::mismatch::{Expected, Mismatch, mismatch};
use crate::shadow::process::{Cell, Process};
use crate::shadow::source::{Keep, Source};
use crate::shadow::window::{Change, Ticket, Window};
use machine::{FileKey, PAGE_SIZE, VirtAddr, Vpn, VpnRange};
use std::collections::BTreeMap;

/// The model.
#[derive(Default)]
pub struct Shadow {
    pub(super) processes: BTreeMap<u32, Process>,
    pub(super) files: Files,
    pub(super) windows: Vec<Window>,
    pub(super) tickets: u64,
    pub(super) holds: Holds,
    pub(super) loads: u64,
    pub(super) stores: u64,
}

impl Shadow {
    /// No process, no file.
    pub fn new() -> Shadow {
        Shadow::default()
    }

    /// How many loads were compared.
    pub fn loads(&self) -> u64 {
        self.loads
    }

    /// How many stores were recorded.
    pub fn stores(&self) -> u64 {
        self.stores
    }

    // ---- files ----

    /// Declares a file of `size` synthetic bytes (as [`crate::SimFiles::create`]).
    pub fn file(&mut self, file: FileKey, size: u64) {
        self.files.create(file, size, size);
    }

    /// Declares a file of `size` zero bytes (as [`crate::SimFiles::create_zeroed`]).
    pub fn file_zeroed(&mut self, file: FileKey, size: u64) {
        self.files.create(file, size, 0);
    }

    /// A word of a file was written other than through a mapping.
    pub fn file_write(&mut self, file: FileKey, page: u64, word: usize, value: u64) {
        self.see_store(Some(Target::File(file, page, word)), value);
        self.files.store(file, page, word, value);
    }

    /// A word of a file as it should be.
    pub fn file_word(&self, file: FileKey, page: u64, word: usize) -> u64 {
        self.files.word(file, page, word)
    }

    /// A truncation begins: until [`Shadow::truncate`], what lies past `size` may be there or not.
    pub fn truncate_begin(&mut self, file: FileKey, size: u64) {
        self.files.cutting(file, size);
    }

    /// The file has another size now. Private copies of pages wholly past it are gone too.
    pub fn truncate(&mut self, file: FileKey, size: u64) {
        self.files.resize(file, size);
        let first = size.div_ceil(PAGE_SIZE);
        let beyond = |process: &Process| process.beyond(file, first);
        let gone: Vec<_> = self.processes.iter().map(|(&pid, process)| (pid, beyond(process))).collect();
        for (pid, ranges) in gone {
            ranges.into_iter().for_each(|range| self.apply(pid, &Change::Wipe { range }));
        }
        self.follow_truncation(file, (size / PAGE_SIZE, first));
    }

    // ---- processes ----

    /// A process without mappings.
    pub fn process(&mut self, pid: u32) {
        self.give_up_all(pid);
        self.processes.insert(pid, Process::default());
    }

    /// The process got an empty space (exec), or is new.
    pub fn exec(&mut self, pid: u32) {
        self.process(pid);
    }

    /// The process is gone.
    pub fn exit(&mut self, pid: u32) {
        self.give_up_all(pid);
        self.processes.remove(&pid);
        self.windows.retain(|window| window.pid != pid);
    }

    /// Whether the process exists.
    pub fn exists(&self, pid: u32) -> bool {
        self.processes.contains_key(&pid)
    }

    /// Pages are mapped, in place of what was there.
    pub fn map(&mut self, pid: u32, range: VpnRange, source: Source) {
        self.apply(pid, &Change::Map { range, source });
    }

    /// Pages are not mapped any more.
    pub fn unmap(&mut self, pid: u32, range: VpnRange) {
        self.apply(pid, &Change::Unmap { range });
    }

    /// Private pages lost what was stored to them (`MADV_DONTNEED`, the child's side of `MADV_WIPEONFORK`).
    pub fn dontneed(&mut self, pid: u32, range: VpnRange) {
        self.apply(pid, &Change::Wipe { range });
    }

    /// Private pages may be dropped from now on, until they are stored to (`MADV_FREE`).
    pub fn free_lazily(&mut self, pid: u32, range: VpnRange) {
        self.apply(pid, &Change::Free { range });
    }

    /// Pages moved (`mremap`): `from` to as many pages at `to`. With `keep` (`MREMAP_DONTUNMAP`) the old
    /// range stays mapped, without what was stored to it.
    pub fn remap(&mut self, pid: u32, from: VpnRange, to: VpnRange, keep: Keep) {
        self.apply(pid, &Change::Move { from, to, keep });
    }

    /// The first page from `page` on that is mapped.
    pub fn next_mapped(&self, pid: u32, page: Vpn) -> Option<Vpn> {
        self.processes.get(&pid)?.next_mapped(page.0).map(Vpn)
    }

    /// A fork begins: stores from now on may or may not reach the child.
    pub fn fork_begin(&mut self, parent: u32) -> Ticket {
        self.begin(parent, Change::Fork)
    }

    /// The fork gave a child.
    pub fn fork_end(&mut self, ticket: Ticket, child: u32) {
        self.finish_fork(ticket, child);
    }

    // ---- accesses ----

    /// A load found `value`.
    pub fn load(&mut self, pid: u32, addr: VirtAddr, value: u64) -> Result<(), Mismatch> {
        self.loads += 1;
        let addr = VirtAddr(addr.0 & !7);
        let Some(process) = self.processes.get_mut(&pid) else {
            return Err(mismatch(pid, addr, Some(value), Expected::NoProcess));
        };
        let cell = process.cell(&self.files, addr);
        if cell == Cell::Word(value) && !process.is_unsettled(addr) {
            return Ok(());
        }
        self.settle(pid, addr, value, cell)
    }

    /// A load whose value the model at hand does not simply confirm.
    fn settle(&mut self, pid: u32, addr: VirtAddr, value: u64, cell: Cell) -> Result<(), Mismatch> {
        let during = self.during(pid, addr);
        if during.contains(&value) {
            return Ok(());
        }
        let open = !during.is_empty();
        let Some(process) = self.processes.get_mut(&pid) else {
            return Err(mismatch(pid, addr, Some(value), Expected::NoProcess));
        };
        let (mut values, dropped) = (process.unsettled(addr).to_vec(), process.may_be_dropped(addr, value));
        if let Cell::Word(model) = cell {
            values.push(model);
        }
        if dropped || (cell == Cell::Word(value) && process.is_lazy(addr.page().0)) {
            if !open {
                process.settle_lazy(addr, value);
            }
            return Ok(());
        }
        if values.contains(&value) {
            if !open {
                self.settle_at(pid, addr, value);
            }
            return Ok(());
        }
        if !self.holds.writes.is_empty() {
            let targets = self.targets(pid, addr);
            if self.see_coming(targets, value) {
                return Ok(());
            }
        }
        let expected = match cell {
            Cell::Unmapped if values.is_empty() && !open => Expected::Unmapped,
            Cell::BeyondEnd => Expected::BeyondEnd,
            Cell::Free => return Ok(()),
            Cell::Unmapped | Cell::Word(_) => {
                values.extend(during);
                Expected::Value(values)
            }
        };
        let source = self.processes.get_mut(&pid).map(|process| process.describe(addr)).unwrap_or_default();
        Err(Mismatch { source, ..mismatch(pid, addr, Some(value), expected) })
    }

    /// Of the values that a word may have, it has this one.
    pub(super) fn settle_at(&mut self, pid: u32, addr: VirtAddr, value: u64) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.cell(&self.files, addr) == Cell::Word(value) {
            return process.settle(addr);
        }
        // What is found was not stored just now.
        let lazy = process.take_lazy(&VpnRange::sized(addr.page(), 1));
        process.store(&mut self.files, addr, value);
        process.lazy.extend(lazy);
    }

    /// A store of `value` succeeded.
    pub fn store(&mut self, pid: u32, addr: VirtAddr, value: u64) -> Result<(), Mismatch> {
        self.stores += 1;
        let addr = VirtAddr(addr.0 & !7);
        if !self.holds.is_empty() {
            self.follow_store(pid, addr, value);
        }
        let recorded = !self.windows.is_empty() && self.record(pid, addr, value);
        let Some(process) = self.processes.get_mut(&pid) else {
            return Err(mismatch(pid, addr, None, Expected::NoProcess));
        };
        match process.store(&mut self.files, addr, value) {
            Cell::Unmapped if !recorded => Err(mismatch(pid, addr, None, Expected::Unmapped)),
            Cell::BeyondEnd => {
                let source = process.describe(addr);
                Err(Mismatch { source, ..mismatch(pid, addr, None, Expected::BeyondEnd) })
            }
            _ => Ok(()),
        }
    }

    /// A whole page was replaced by one of a content class (as [`crate::TaskCtx::store_class`]).
    pub fn store_class(&mut self, pid: u32, addr: VirtAddr, class: u64) -> Result<(), Mismatch> {
        let page = addr.page().addr();
        for word in 0..PAGE_SIZE / 8 {
            self.store(pid, VirtAddr(page.0 + word * 8), crate::synthetic::class_word(class, word))?;
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.set_class(addr, class);
        }
        Ok(())
    }

    /// Whether a page has exactly the bytes of a content class: then nobody has to store them.
    pub fn has_class(&mut self, pid: u32, addr: VirtAddr, class: u64) -> bool {
        self.processes.get_mut(&pid).is_some_and(|process| process.has_class(addr, class))
    }

    /// Calls `see` with every word that the process stored to its private pages and the value it must have
    /// now; of a page that was filled with a class the first and the last. (Values that a race leaves open
    /// are left out.)
    pub fn for_each_stored(&self, pid: u32, see: &mut dyn FnMut(VirtAddr, u64)) {
        if let Some(process) = self.processes.get(&pid) {
            process.for_each_stored(see);
        }
    }

    /// What a load would have to find, for reports and tests; `None` where it would fault.
    pub fn peek(&mut self, pid: u32, addr: VirtAddr) -> Option<u64> {
        let process = self.processes.get_mut(&pid)?;
        match process.cell(&self.files, VirtAddr(addr.0 & !7)) {
            Cell::Word(value) => Some(value),
            _ => None,
        }
    }
}
