//! Memory calls, as the program made them, placed where Linux placed them.

use freehold::linux::{Errno, Mmap, Mremap, Rlimit};
use freehold::machine::{FileKey, PAGE_SIZE, VirtAddr, Vpn, VpnRange};
use freehold::space::{Snapshot, VmaFlags};
use record::{Call, FileId, ProcessId};
use sim::TaskCtx;
use sim::shadow::{Change, Keep, Source};

use super::engine::{Engine, Live};
use super::files::nameless;
use super::tally::note;
use crate::exit::Error;
use crate::trace::Program;

const MAP_SHARED_OR_VALIDATE: u64 = 0x1;
const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;
const MREMAP_MAYMOVE: u64 = 1;
const MREMAP_FIXED: u64 = 2;
const MREMAP_DONTUNMAP: u64 = 4;
const MADV_DONTNEED: u64 = 4;
const MADV_FREE: u64 = 8;
const NO_MEMORY: i64 = -12;

/// How a call ended here: its result, or its error.
type Answer = Result<u64, Errno>;

impl Engine<'_> {
    /// Makes a call and compares its answer with Linux's.
    pub(crate) fn call(
        &self,
        ctx: TaskCtx<'_>,
        (process, live): (ProcessId, Live),
        call: &Call,
        linux: i64,
        number: usize,
    ) -> Result<(), Error> {
        ctx.syscall();
        let change = self.change(ctx, live, call, linux);
        let made = match change {
            Some(Change::Map { source: Source::Shared { file, .. }, .. }) => Some(file),
            _ => None,
        };
        let ticket = change.map(|change| self.shadow.borrow_mut().begin(live.shadow, change));
        let answer = self.make(ctx, live, call, linux);
        self.tell_step(ctx, || Program::Answers { event: number as u32, answer: returned(answer) });
        if answer == Err(Errno::EINTR) {
            self.note_killed(process);
        }
        if let Some(ticket) = ticket {
            let mut shadow = self.shadow.borrow_mut();
            if answer.is_ok() { shadow.end(ticket) } else { shadow.cancel(ticket) }
        }
        match answer {
            Ok(result) if linux < 0 && is_placed_anywhere(call) => self.undo_mmap(ctx, live, call, result),
            Ok(result) => self.follow(ctx, live, call, result),
            Err(_) => self.follow_failure(ctx, live, call),
        }
        self.remember_nameless(ctx, live, made, answer);
        self.compare(call, linux, answer, number)
    }

    /// The change a call makes to the shadow if it succeeds as it did on Linux.
    fn change(&self, ctx: TaskCtx<'_>, live: Live, call: &Call, linux: i64) -> Option<Change> {
        if let Call::Madvise { addr, len, advice: MADV_DONTNEED } = *call {
            return Some(Change::Wipe { range: pages(addr, len)? });
        }
        if let Call::Madvise { addr, len, advice: MADV_FREE } = *call {
            return Some(Change::Free { range: pages(addr, len)? });
        }
        let result = u64::try_from(linux).ok()?;
        match *call {
            Call::Mmap { len, flags, file, offset, .. } => {
                let range = pages(result, len)?;
                Some(Change::Map { range, source: self.mmap_source(len, flags, file, offset) })
            }
            Call::Munmap { addr, len } => Some(Change::Unmap { range: pages(addr, len)? }),
            Call::Mremap { addr, old_len, new_len, flags, .. } if result != addr => {
                let (from, to) = (pages(addr, old_len)?, pages(result, new_len)?);
                let keep = if flags & MREMAP_DONTUNMAP != 0 { Keep::Mapping } else { Keep::Nothing };
                let moved = VpnRange::sized(to.start, to.pages().min(from.pages()));
                Some(Change::Move { from, to: moved, keep })
            }
            Call::Mremap { addr, old_len, new_len, .. } => {
                let (from, to) = (pages(addr, old_len)?, pages(addr, new_len)?);
                (to.end < from.end).then(|| Change::Unmap { range: VpnRange::new(to.end, from.end) })
            }
            Call::Brk { .. } => self.heap_change(ctx, live, result),
            _ => None,
        }
    }

    fn mmap_source(&self, len: u64, flags: u64, file: Option<FileId>, offset: u64) -> Source {
        let shared = flags & MAP_SHARED_OR_VALIDATE != 0;
        let file = file.filter(|_| flags & MAP_ANONYMOUS == 0);
        self.files.source(file, offset, shared).unwrap_or_else(|| {
            self.nameless.set(self.nameless.get() + 1);
            let len = len.checked_next_multiple_of(PAGE_SIZE).unwrap_or(len);
            let file = nameless(&mut self.shadow.borrow_mut(), self.nameless.get(), len);
            Source::Shared { file, page: 0 }
        })
    }

    fn heap_change(&self, ctx: TaskCtx<'_>, live: Live, end: u64) -> Option<Change> {
        let before = self.manager.linux().brk(&mut self.cx(ctx), live.id, 0).ok()?;
        let page_up = |addr: u64| Some(VirtAddr(addr.checked_next_multiple_of(PAGE_SIZE)?).page());
        let (old, new) = (page_up(before)?, page_up(end)?);
        match old.cmp(&new) {
            std::cmp::Ordering::Less => {
                Some(Change::Map { range: VpnRange::new(old, new), source: Source::Anonymous })
            }
            std::cmp::Ordering::Greater => Some(Change::Unmap { range: VpnRange::new(new, old) }),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// Makes the call.
    fn make(&self, ctx: TaskCtx<'_>, live: Live, call: &Call, answer: i64) -> Answer {
        let (linux, id) = (self.manager.linux(), live.id);
        let cx = &mut self.cx(ctx);
        let done = |result: Result<(), Errno>| result.map(|()| 0);
        match *call {
            Call::Mmap { file, .. } => {
                let args = placed_mmap(call, answer);
                let file =
                    file.filter(|_| args.flags & MAP_ANONYMOUS == 0).map(|file| self.files.get(file).map);
                linux.mmap(cx, id, &args, file.as_ref())
            }
            Call::Munmap { addr, len } => done(linux.munmap(cx, id, addr, len)),
            Call::Mprotect { addr, len, prot } => done(linux.mprotect(cx, id, addr, len, prot)),
            Call::Mremap { .. } => linux.mremap(cx, id, &placed_mremap(call, answer)),
            Call::Brk { addr } => linux.brk(cx, id, addr),
            Call::Madvise { addr, len, advice } => done(linux.madvise(cx, id, addr, len, advice)),
            Call::Mlock { addr, len } => done(linux.mlock(cx, id, addr, len)),
            Call::Mlock2 { addr, len, flags } => done(linux.mlock2(cx, id, addr, len, flags)),
            Call::Munlock { addr, len } => done(linux.munlock(cx, id, addr, len)),
            Call::Mlockall { flags } => done(linux.mlockall(cx, id, flags)),
            Call::Munlockall => done(linux.munlockall(cx, id)),
            Call::Msync { addr, len, flags } => done(linux.msync(cx, id, addr, len, flags)),
            // Where the answer was stored is not recorded: it goes nowhere.
            Call::Mincore { addr, len } => {
                done(linux.mincore(cx, id, addr, len, addr, &mut |_, _, _| Ok(())))
            }
            Call::Setrlimit { resource, soft, hard } => {
                linux.prlimit(cx, id, resource, Some(Rlimit { soft, hard })).map(|_| 0)
            }
            Call::Ftruncate { file, len } => done(linux.ftruncate(cx, id, &self.files.get(file).map, len)),
            Call::Fsync { file } => done(linux.fsync(cx, id, &self.files.get(file).map)),
        }
    }

    /// What else follows from a call that succeeded.
    fn follow(&self, ctx: TaskCtx<'_>, live: Live, call: &Call, result: u64) {
        match *call {
            Call::Mremap { old_len, new_len, .. } if new_len > old_len => {
                let new = pages(result, new_len);
                let old = old_len.div_ceil(PAGE_SIZE);
                if let Some(new) = new {
                    self.map_tail(ctx, live, VpnRange::new(new.start + old, new.end));
                }
            }
            Call::Ftruncate { file, len } => {
                let key = self.files.get(file).key;
                self.shadow.borrow_mut().truncate(key, len);
                if self.sim.sim_files().size(key).is_some() {
                    self.sim.sim_files().truncate(key, len);
                }
            }
            _ => {}
        }
    }

    /// Linux refused a mapping that had a place here: it goes again, for Linux may have used the place later.
    fn undo_mmap(&self, ctx: TaskCtx<'_>, live: Live, call: &Call, place: u64) {
        let Call::Mmap { len, .. } = *call else { return };
        // It may be short of memory; then the recording's later use of the place fails and says so.
        let _ = self.manager.linux().munmap(&mut self.cx(ctx), live.id, place, len);
    }

    /// What a call did before it failed, as on Linux: the part of a range before a locked mapping is wiped,
    /// places are emptied for what did not come.
    fn follow_failure(&self, ctx: TaskCtx<'_>, live: Live, call: &Call) {
        match *call {
            Call::Madvise { addr, len, advice: MADV_DONTNEED } if addr.is_multiple_of(PAGE_SIZE) => {
                let Some(mut range) = pages(addr, len) else { return };
                self.for_each_vma(ctx, live, |vma| {
                    if vma.flags.contains(VmaFlags::LOCKED) && vma.range.overlaps(&range) {
                        range.end = vma.range.start.max(range.start);
                    }
                });
                self.shadow.borrow_mut().dontneed(live.shadow, range);
            }
            // What lies before the reason is given up.
            Call::Madvise { addr, len, advice: MADV_FREE } => {
                if let Some(range) = pages(addr, len) {
                    self.shadow.borrow_mut().free_lazily(live.shadow, range);
                }
            }
            Call::Mremap { addr, old_len, new_len, new_addr, .. } => {
                let touched = [pages(addr, old_len), pages(new_addr, new_len)];
                touched.into_iter().flatten().for_each(|range| self.forget_holes(ctx, live, range));
            }
            _ => {}
        }
    }

    /// The shadow forgets the pages of a range that are not mapped here.
    fn forget_holes(&self, ctx: TaskCtx<'_>, live: Live, range: VpnRange) {
        let mut hole = range.start;
        self.for_each_vma(ctx, live, |vma| {
            let part = vma.range.intersect(&range);
            if !part.is_empty() {
                self.shadow.borrow_mut().unmap(live.shadow, VpnRange::new(hole, part.start));
                hole = part.end;
            }
        });
        self.shadow.borrow_mut().unmap(live.shadow, VpnRange::new(hole, range.end));
    }

    fn for_each_vma(&self, ctx: TaskCtx<'_>, live: Live, mut see: impl FnMut(&Snapshot)) {
        let linux = self.manager.linux();
        if let Some(space) = linux.process(live.id).space() {
            linux.spaces().for_each_vma(self.cx(ctx).at(), space, &mut see);
        }
    }

    /// Nameless shared memory is found again by its file, when a mapping of it grows.
    fn remember_nameless(&self, ctx: TaskCtx<'_>, live: Live, made: Option<FileKey>, answer: Answer) {
        let (Some(key), Ok(addr)) = (made, answer) else { return };
        let linux = self.manager.linux();
        let Some(space) = linux.process(live.id).space() else { return };
        let vma = linux.spaces().vma_at(self.cx(ctx).at(), space, VirtAddr(addr).page());
        if let Some(file) = vma.and_then(|vma| vma.file) {
            self.nameless_keys.borrow_mut().insert(file.raw(), key);
        }
    }

    /// A mapping grew: the shadow learns of the new pages, which continue what is mapped before them.
    fn map_tail(&self, ctx: TaskCtx<'_>, live: Live, tail: VpnRange) {
        let linux = self.manager.linux();
        let Some(space) = linux.process(live.id).space() else { return };
        let Some(vma) = linux.spaces().vma_at(self.cx(ctx).at(), space, tail.start) else { return };
        let source = match vma.file {
            None => Some(Source::Anonymous),
            Some(file) => {
                let page = vma.file_index(tail.start);
                let known =
                    self.files.key_of(file).or_else(|| self.nameless_keys.borrow().get(&file.raw()).copied());
                known.map(|file| match vma.flags.contains(VmaFlags::SHARED) {
                    true => Source::Shared { file, page },
                    false => Source::Private { file, page },
                })
            }
        };
        if let Some(source) = source {
            self.shadow.borrow_mut().map(live.shadow, tail, source);
        }
    }

    /// Why a call may have met a shortage. Linux refuses a call that promises more pages than there are
    /// altogether, however little of them is ever used (`vm.overcommit_memory` 0).
    fn why_short(&self, call: &Call) -> String {
        let linux = self.manager.linux();
        let (frames, swap) = (linux.frames().total_frames(), linux.objects().swap_counts().total);
        let promised = promised(call);
        if promised > frames + swap {
            let kib = PAGE_SIZE >> 10;
            return format!(
                "it promises {} KiB at once, and --memory and --swap have {} KiB",
                promised * kib,
                (frames + swap) * kib
            );
        }
        "--memory may be too little".into()
    }

    /// Judges a difference: what Linux could do and this recording's memory cannot take is an error of the
    /// recording; the rest is noted.
    fn compare(&self, call: &Call, linux: i64, answer: Answer, number: usize) -> Result<(), Error> {
        let here = match answer {
            Ok(result) => i64::try_from(result).unwrap_or(i64::MAX),
            Err(errno) => -i64::from(errno.number()),
        };
        if here == linux || answer == Err(Errno::EINTR) {
            return Ok(());
        }
        let text = format!("{} answered {} on Linux and {} here", call.name(), shown(linux), shown(here));
        match judge_difference(call, linux, here) {
            Difference::Contradiction => {
                Err(Error::new(&format!("the recording contradicts itself: {text}")))
            }
            Difference::Shortage => Err(Error::new(&format!("{text} ({})", self.why_short(call)))),
            Difference::Harmless => {
                let tally = &mut *self.tally.borrow_mut();
                note(&mut tally.differences, &mut tally.difference_count, || {
                    format!("event {number}: {text}")
                });
                Ok(())
            }
        }
    }
}

/// The most pages that a call may promise its program.
fn promised(call: &Call) -> u64 {
    match *call {
        Call::Mmap { len, .. } | Call::Mprotect { len, .. } => len.div_ceil(PAGE_SIZE),
        Call::Mremap { old_len, new_len, .. } => new_len.saturating_sub(old_len).div_ceil(PAGE_SIZE),
        _ => 0,
    }
}

/// What it means that a call answered something else.
enum Difference {
    /// Later events may find other memory than they need.
    Contradiction,
    /// The same, because there is not enough memory.
    Shortage,
    /// Later events do not depend on it.
    Harmless,
}

fn judge_difference(call: &Call, linux: i64, here: i64) -> Difference {
    let matters = match call {
        Call::Mmap { .. } => linux >= 0 || !is_placed_anywhere(call),
        Call::Mprotect { .. } => linux >= 0,
        Call::Munmap { .. } | Call::Mremap { .. } => linux >= 0 || here >= 0,
        Call::Brk { .. } => true,
        _ => false,
    };
    match here {
        _ if !matters => Difference::Harmless,
        NO_MEMORY if linux >= 0 => Difference::Shortage,
        _ => Difference::Contradiction,
    }
}

/// Whether a call makes a mapping that replaces nothing.
fn is_placed_anywhere(call: &Call) -> bool {
    matches!(call, Call::Mmap { flags, .. } if flags & MAP_FIXED == 0)
}

/// As Linux returns it.
fn returned(answer: Answer) -> i64 {
    answer.map_or_else(|errno| -i64::from(errno.number()), u64::cast_signed)
}

fn shown(answer: i64) -> String {
    if answer < 0 { format!("error {}", answer.unsigned_abs()) } else { format!("{answer:#x}") }
}

/// `mmap` where Linux put it: what is free there must be free here.
fn placed_mmap(call: &Call, answer: i64) -> Mmap {
    let Call::Mmap { addr, len, prot, flags, offset, .. } = *call else { unreachable!("an mmap") };
    match u64::try_from(answer) {
        Ok(place) if flags & MAP_FIXED == 0 => {
            Mmap { addr: place, len, prot, flags: flags | MAP_FIXED_NOREPLACE, offset }
        }
        _ => Mmap { addr, len, prot, flags, offset },
    }
}

/// `mremap` to where Linux moved it.
fn placed_mremap(call: &Call, answer: i64) -> Mremap {
    let Call::Mremap { addr, old_len, new_len, flags, new_addr } = *call else { unreachable!("an mremap") };
    match u64::try_from(answer) {
        Ok(place) if place != addr => {
            let flags = flags | MREMAP_MAYMOVE | MREMAP_FIXED;
            Mremap { addr, old_len, new_len, flags, new_addr: place }
        }
        _ => Mremap { addr, old_len, new_len, flags, new_addr },
    }
}

/// The pages of a range of bytes, rounded up; `None` if it wraps or is empty.
fn pages(addr: u64, len: u64) -> Option<VpnRange> {
    let end = addr.checked_add(len)?.checked_next_multiple_of(PAGE_SIZE)?;
    let range = VpnRange::new(VirtAddr(addr).page(), Vpn(end / PAGE_SIZE));
    (!range.is_empty()).then_some(range)
}
