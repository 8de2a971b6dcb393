//! Calls that change an address space or a file.

use freehold::linux::flags::{MapFlags, Prot, RemapFlags, SyncFlags};
use freehold::linux::{Errno, MapFile, Mmap, Mremap};
use freehold::machine::{Cx, Machine, PAGE_SIZE, Perms, VirtAddr, VpnRange};
use freehold::object::{PageCtx, PageError, Want};
use sim::SimMachine;
use sim::shadow::{Change, Keep, Source};

use super::super::script::{Advice, Call, FileName, FileWord, Map, OldPlace, Place, RegionName, Sign, Value};
use super::judge::{self, Forks};
use super::shared::Shared;
use super::world::{Actor, Live, World};

const MAP_SHARED: u64 = 1;
const MAP_PRIVATE: u64 = 2;
const DONTNEED: u64 = 4;
const FREE: u64 = 8;
const DONTFORK: u64 = 10;
const DOFORK: u64 = 11;

/// What a call answers, as a value.
pub(super) fn sign_of(done: Result<(), Errno>) -> Value {
    Value::Sign(done.map_or_else(Sign::Errno, |()| Sign::Ok))
}

impl<'w> World<'w> {
    /// A call that is about memory and files; answers what it came to.
    pub(super) fn memory_call(&self, who: Actor<'_>, at: Place, call: &Call) -> Value {
        let live = self.live(who, at);
        let range = |pages| self.range(who, at, pages);
        match call {
            Call::Map(map) => sign_of(self.map(who, at, live, map)),
            Call::Unmap(pages) => {
                let range = range(pages);
                sign_of(self.changing(who, live, Change::Unmap { range }, |cx| {
                    self.manager.linux().munmap(cx, live.id, addr_of(&range), len_of(&range))
                }))
            }
            Call::Protect(pages, perms) => sign_of(self.protect(who, live, range(pages), *perms)),
            Call::Remap { from, to, old } => sign_of(self.remap(who, live, (range(from), range(to)), *old)),
            Call::Advise(pages, advice) => sign_of(self.advise(who, live, range(pages), *advice)),
            Call::Sync(pages) => {
                let range = range(pages);
                let (addr, len) = (addr_of(&range), len_of(&range));
                let flags = SyncFlags::SYNC.bits();
                sign_of(self.manager.linux().msync(&mut self.cx(who.ctx), live.id, addr, len, flags))
            }
            Call::Lock(pages) | Call::LockOnFault(pages) | Call::Unlock(pages) => {
                sign_of(self.lock(who, live, range(pages), call))
            }
            Call::Break(heap, pages) => self.brk(who, live, *heap, self.number(who, at, pages)),
            Call::Truncate(file, size) => {
                sign_of(self.truncate(who, live, *file, self.number(who, at, size)))
            }
            Call::Fsync(file) => {
                let file = &self.files[file.0].map;
                sign_of(self.manager.linux().fsync(&mut self.cx(who.ctx), live.id, file))
            }
            Call::Move(pages, moving) => sign_of(self.move_pages(who, live, range(pages), *moving)),
            Call::Split(pages) => sign_of(self.split_pages(who, live, range(pages))),
            Call::Evict(pages) => sign_of(self.evict_pages(who, live, range(pages))),
            Call::Get(word) => self.get(who, at, word),
            Call::ClearRefs => sign_of(self.manager.linux().clear_refs(&mut self.cx(who.ctx), live.id, 4)),
            // The others are about processes.
            _ => Value::Sign(Sign::Ok),
        }
    }

    /// A call that changes the memory like this if it succeeds.
    fn changing<T>(
        &self,
        who: Actor<'_>,
        live: Live,
        change: Change,
        call: impl FnOnce(&mut Cx<'w, SimMachine>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let ranges = judge::ranges(&change);
        self.hear_device(who);
        let begun = self.judge.borrow_mut().begin(live.memory, change);
        let done = call(&mut self.cx(who.ctx));
        self.hear_device(who);
        Shared::change_pages(who.ctx, live.memory, &ranges);
        let mut judge = self.judge.borrow_mut();
        match &done {
            Ok(_) => judge.end(begun),
            Err(_) => judge.cancel(begun),
        }
        done
    }

    fn map(&self, who: Actor<'_>, at: Place, live: Live, map: &Map) -> Result<(), Errno> {
        let range = self.range(who, at, &map.pages);
        let sharing = if map.is_shared { MAP_SHARED } else { MAP_PRIVATE };
        let anonymous = if map.file.is_none() { MapFlags::ANONYMOUS.bits() } else { 0 };
        let page = map.file.as_ref().map_or(0, |(_, page)| self.number(who, at, page));
        let args = Mmap {
            addr: addr_of(&range),
            len: len_of(&range),
            prot: prot_of(map.perms),
            flags: sharing | anonymous | MapFlags::FIXED.bits() | map.flags,
            offset: page * PAGE_SIZE,
        };
        let file: Option<&MapFile> = map.file.as_ref().map(|(file, _)| &self.files[file.0].map);
        if file.is_none() && map.is_shared {
            return self.map_nameless(who, live, range, &args);
        }
        let source = match (&map.file, map.is_shared) {
            (Some((file, _)), true) => Source::Shared { file: self.files[file.0].key, page },
            (Some((file, _)), false) => Source::Private { file: self.files[file.0].key, page },
            (None, _) => Source::Anonymous,
        };
        self.changing(who, live, Change::Map { range, source }, |cx| {
            self.manager.linux().mmap(cx, live.id, &args, file).map(drop)
        })
    }

    /// Shared memory without a name: the manager makes a file of its own for it, and the shadow another.
    fn map_nameless(&self, who: Actor<'_>, live: Live, range: VpnRange, args: &Mmap) -> Result<(), Errno> {
        let file = self.next_nameless(len_of(&range));
        let source = Source::Shared { file, page: 0 };
        self.changing(who, live, Change::Map { range, source }, |cx| {
            self.manager.linux().mmap(cx, live.id, args, None).map(drop)
        })
    }

    fn protect(&self, who: Actor<'_>, live: Live, range: VpnRange, perms: Perms) -> Result<(), Errno> {
        let (addr, len) = (addr_of(&range), len_of(&range));
        self.manager.linux().mprotect(&mut self.cx(who.ctx), live.id, addr, len, prot_of(perms))
    }

    fn remap(
        &self,
        who: Actor<'_>,
        live: Live,
        (from, to): (VpnRange, VpnRange),
        old: OldPlace,
    ) -> Result<(), Errno> {
        let keep = if old == OldPlace::Kept { Keep::Mapping } else { Keep::Nothing };
        let dont_unmap = if old == OldPlace::Kept { RemapFlags::DONTUNMAP } else { RemapFlags::empty() };
        let flags = RemapFlags::MAYMOVE | RemapFlags::FIXED | dont_unmap;
        let args = Mremap {
            addr: addr_of(&from),
            old_len: len_of(&from),
            new_len: len_of(&to),
            flags: flags.bits(),
            new_addr: addr_of(&to),
        };
        self.changing(who, live, Change::Move { from, to, keep }, |cx| {
            self.manager.linux().mremap(cx, live.id, &args).map(drop)
        })
    }

    fn advise(&self, who: Actor<'_>, live: Live, range: VpnRange, advice: Advice) -> Result<(), Errno> {
        let call = |cx: &mut Cx<'w, SimMachine>| {
            self.manager.linux().madvise(cx, live.id, addr_of(&range), len_of(&range), advice.number)
        };
        match advice.number {
            DONTNEED => self.changing(who, live, Change::Wipe { range }, call),
            FREE => self.free_lazily(who, live, range, call),
            DONTFORK | DOFORK => {
                let forks = if advice.number == DOFORK { Forks::Yes } else { Forks::No };
                let done = call(&mut self.cx(who.ctx));
                if done.is_ok() {
                    self.judge.borrow_mut().fork_or_not(live.memory, range, forks);
                }
                done
            }
            _ => call(&mut self.cx(who.ctx)),
        }
    }

    /// A call that fails has given up what lies before the reason.
    fn free_lazily(
        &self,
        who: Actor<'_>,
        live: Live,
        range: VpnRange,
        call: impl FnOnce(&mut Cx<'w, SimMachine>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let begun = self.judge.borrow_mut().begin(live.memory, Change::Free { range });
        let done = call(&mut self.cx(who.ctx));
        self.judge.borrow_mut().end(begun);
        done
    }

    fn lock(&self, who: Actor<'_>, live: Live, range: VpnRange, call: &Call) -> Result<(), Errno> {
        let (linux, cx) = (self.manager.linux(), &mut self.cx(who.ctx));
        let (addr, len) = (addr_of(&range), len_of(&range));
        match call {
            Call::Unlock(_) => linux.munlock(cx, live.id, addr, len),
            Call::LockOnFault(_) => linux.mlock2(cx, live.id, addr, len, 1),
            _ => linux.mlock(cx, live.id, addr, len),
        }
    }

    /// The heap gets another end.
    fn brk(&self, who: Actor<'_>, live: Live, heap: RegionName, pages: u64) -> Value {
        let linux = self.manager.linux();
        let start = self.scenario.regions[heap.0].start;
        let old = linux.brk(&mut self.cx(who.ctx), live.id, 0).unwrap_or(start.addr().0);
        let (old, new) = (VirtAddr(old).page(), start + pages);
        let change = match old < new {
            true => Change::Map { range: VpnRange::new(old, new), source: Source::Anonymous },
            false => Change::Unmap { range: VpnRange::new(new, old) },
        };
        let done = self.changing(who, live, change, |cx| {
            let end = linux.brk(cx, live.id, new.addr().0)?;
            if end == new.addr().0 { Ok(()) } else { Err(Errno::ENOMEM) }
        });
        sign_of(done)
    }

    // ---- files ----

    /// Another size, which only one caller at a time gives to a file.
    fn truncate(&self, who: Actor<'_>, live: Live, file: FileName, size: u64) -> Result<(), Errno> {
        self.wait_until(who.ctx, (&[Shared::Resizing(file)], "another truncation"), || {
            !self.resizing.borrow()[file.0]
        });
        self.resizing.borrow_mut()[file.0] = true;
        Shared::Resizing(file).change(who.ctx);
        Shared::Sizes.change(who.ctx);
        let open = self.files[file.0];
        let old = self.manager.linux().objects().file(open.map.file).size(&self.cx(who.ctx));
        if size > old {
            self.sim.sim_files().truncate(open.key, size);
            self.judge.borrow_mut().truncated(open.key, size);
        } else {
            self.judge.borrow_mut().shadow().truncate_begin(open.key, size);
        }
        let done = self.manager.linux().ftruncate(&mut self.cx(who.ctx), live.id, &open.map, size);
        Shared::Sizes.change(who.ctx);
        Shared::Disk(open.key).change(who.ctx);
        let now = if done.is_ok() { size } else { old };
        if size < old || done.is_err() {
            self.sim.sim_files().truncate(open.key, now);
            self.judge.borrow_mut().truncated(open.key, now);
        }
        self.resizing.borrow_mut()[file.0] = false;
        self.wake(who.ctx, Shared::Resizing(file));
        done
    }

    /// A word of a file through the page cache, as `read(2)` copies it. Past the end there is nothing: 0.
    fn get(&self, who: Actor<'_>, at: Place, word: &FileWord) -> Value {
        let (file, index, number) = self.file_place(who, at, word);
        let objects = self.manager.linux().objects();
        let mut cx = self.cx(who.ctx);
        let ctx = PageCtx { file: self.files[file].map.file, index };
        match objects.page(cx.at(), ctx, Want::Read) {
            Ok(Some(fetched)) => {
                let mut bytes = [0; 8];
                let machine = self.manager.machine();
                let (cpu, frame) = (who.ctx.cpu(), fetched.page.frame());
                machine.read_frame(cpu, frame, number as u64 * 8, &mut bytes);
                objects.release(cx.at(), fetched.page);
                Value::Word(u64::from_le_bytes(bytes))
            }
            Ok(None) | Err(PageError::BeyondEnd) => Value::Word(0),
            Err(PageError::Io) => Value::Sign(Sign::Errno(Errno::EIO)),
            Err(PageError::Shortage(_)) => Value::Sign(Sign::Errno(Errno::ENOMEM)),
        }
    }
}

fn addr_of(range: &VpnRange) -> u64 {
    range.start.addr().0
}

fn len_of(range: &VpnRange) -> u64 {
    range.pages() * PAGE_SIZE
}

fn prot_of(perms: Perms) -> u64 {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, perms.read);
    prot.set(Prot::WRITE, perms.write);
    prot.set(Prot::EXEC, perms.execute);
    prot.bits()
}
