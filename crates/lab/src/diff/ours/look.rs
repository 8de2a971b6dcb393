//! Looking at memory: layouts and sums.

use std::cell::Cell;

use freehold::frame::Id;
use freehold::linux::{Process, Resource};
use freehold::machine::entry::Kind;
use freehold::machine::x86_64::X86_64;
use freehold::machine::{Cx, EntryFormat, Pfn, VirtAddr, Vpn, VpnRange};
use freehold::object::SIZE_MAX;
use freehold::space::{Snapshot, Space, VmaFlags};
use native::arena::{END, HUGE_PAGES, PAGE, PAGES, START, USER_END, WORDS};
use native::{Answer, Area, Backing, Call, Op, Status};
use sim::{SimMachine, TaskCtx};

use super::super::advice;
use super::super::known::Known;
use super::super::program::{
    MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MREMAP_DONTUNMAP, MREMAP_FIXED, PROT_GROWSDOWN,
};
use super::World;

/// Bytes of a huge page.
const WIDE: u64 = HUGE_PAGES * PAGE;
/// What is kept free before a stack.
const STACK_GAP: u64 = 256 * PAGE;

/// One step of a sum; the worker's is the same.
fn mix(sum: u64, value: u64) -> u64 {
    (sum.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<'w> World<'w> {
    /// The first mapping that ends behind a page.
    pub(super) fn vma_at(&self, ctx: TaskCtx<'_>, me: usize, page: u64) -> Option<Snapshot> {
        let process = self.process(me)?;
        let space = self.manager.linux().process(process).space()?;
        self.manager.spaces().vma_at(self.cx(ctx).at(), space, VirtAddr(page * PAGE).page())
    }

    /// The mappings of a range.
    pub(super) fn vmas(&self, ctx: TaskCtx<'_>, me: usize, (addr, len): (u64, u64)) -> Vec<Snapshot> {
        let end = addr.saturating_add(len).div_ceil(PAGE);
        let next = |page: u64| self.vma_at(ctx, me, page).filter(|vma| vma.range.start.0 < end);
        std::iter::successors(next(addr / PAGE), |vma| next(vma.range.end.0)).collect()
    }

    /// The arena's mappings.
    pub(super) fn layout(&self, ctx: TaskCtx<'_>, me: usize) -> Answer {
        let mut areas = Vec::new();
        if let Some(space) =
            self.process(me).and_then(|process| self.manager.linux().process(process).space())
        {
            self.manager.spaces().for_each_vma(self.cx(ctx).at(), space, |vma| {
                if vma.range.start.addr().0 < END && vma.range.end.addr().0 > START {
                    areas.push(self.area(vma));
                }
            });
        }
        let value = areas.len() as u64;
        self.ran.borrow_mut().answers.areas.append(&mut areas);
        Answer { status: Status::Good, value }
    }

    /// Why the mapping of an address may be merged in another way on Linux, if it may.
    pub(super) fn merged(&self, ctx: TaskCtx<'_>, me: usize, (addr, len): (u64, u64)) -> Option<Known> {
        let vma = self.vma_at(ctx, me, addr / PAGE).filter(|vma| vma.flags.is_private())?;
        // Linux: expand_downwards() prepares a stack that grows for pages.
        let grows = vma.flags.contains(VmaFlags::GROWS_DOWN);
        let cx = self.cx(ctx);
        let any_touched = |vmas: Vec<Snapshot>| {
            let has_anon = |vma: &Snapshot| self.manager.spaces().vma(vma.id).has_anon(&cx);
            vmas.iter().any(|vma| vma.flags.is_private() && has_anon(vma))
        };
        let touched = grows
            || self.traits.is_wide
            || self.has_stopped_short.get()
            || any_touched(self.vmas(ctx, me, (addr, len)));
        touched.then_some(Known::TouchedApart).or(vma.file.map(|_| Known::TwoOpenings))
    }

    /// Differences that depend on files and pages.
    pub(super) fn known_of_pages(&self, ctx: TaskCtx<'_>, me: usize, op: &Op) -> Option<Known> {
        let [a, b, c, ..] = op.args;
        match op.call {
            Call::Mincore if c != 0 => {
                let doubtful = self.doubt(&mut self.cx(ctx), me, (a, b)) != 0;
                let known = doubtful.then_some(Known::Residency);
                known.or_else(|| self.is_disk_tail(ctx, me, c).then_some(Known::DiskTail))
            }
            Call::Store => {
                let tail = self.is_disk_tail(ctx, me, a).then_some(Known::DiskTail);
                tail.or_else(|| self.known_of_growth(ctx, me, (a, PAGE)))
            }
            Call::Load | Call::Execute => self.known_of_growth(ctx, me, (a, PAGE)),
            Call::Scan => self.known_of_growth(ctx, me, (a, b * PAGE)),
            Call::MemRead => self.known_of_growth(ctx, a as usize, (b, c)),
            Call::Splice => self.known_of_splice(ctx, me, (a, b)),
            // What is in a swap area is dropped at once, what is not stays until memory is short.
            Call::Madvise if self.traits.swaps && advice::number(c) == advice::FREE => Some(Known::Residency),
            Call::VmRead => self.ends_in_disk_tail(ctx, me, (b, op.args[3])).then_some(Known::DiskTail),
            Call::VmWrite => {
                let (read, written) = ((b, op.args[3]), (c, op.args[3]));
                let tail = self.ends_in_disk_tail(ctx, a as usize, written).then_some(Known::DiskTail);
                tail.or_else(|| self.known_of_write(ctx, (me, read), (a as usize, written)))
            }
            Call::MemWrite => {
                let tail = self.ends_in_disk_tail(ctx, a as usize, (b, c)).then_some(Known::DiskTail);
                tail.or_else(|| self.known_of_growth(ctx, a as usize, (b, c)))
            }
            Call::Madvise if advice::number(c) == advice::COLLAPSE => self.known_of_collapse(ctx, me, (a, b)),
            Call::Mmap | Call::Mremap => self.known_of_place(ctx, me, op),
            Call::Ftruncate => self.known_of_size(ctx, a, b),
            Call::Mprotect if c & PROT_GROWSDOWN != 0 && (self.is_copy(me) || self.has_moved()) => {
                let vma = self.vma_at(ctx, me, a / PAGE)?;
                let inside = vma.flags.contains(VmaFlags::GROWS_DOWN) && vma.range.start.addr().0 < a;
                inside.then_some(Known::TouchedApart)
            }
            _ => None,
        }
    }

    /// Whether the program has moved a mapping: a part of a stack that was may be two on Linux, where a stack
    /// that grows counts as touched.
    fn has_moved(&self) -> bool {
        self.ops[..self.next.get()].iter().any(|op| op.call == Call::Mremap)
    }

    /// Freehold has huge pages of anonymous memory alone.
    fn known_of_collapse(&self, ctx: TaskCtx<'_>, me: usize, (addr, len): (u64, u64)) -> Option<Known> {
        let of_file = self.vmas(ctx, me, (addr, len)).iter().any(|vma| vma.file.is_some());
        of_file.then_some(Known::Advice)
    }

    /// Whether a file system may pass over the place that is asked for, because less than 2 MiB more than is
    /// needed are free there.
    // LINUX: thp_get_unmapped_area().
    fn known_of_place(&self, ctx: TaskCtx<'_>, me: usize, op: &Op) -> Option<Known> {
        let [addr, len, new, flags, file, ..] = op.args;
        let (hint, len, is_disk) = if op.call == Call::Mmap {
            let places = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS;
            let file = self.files.get(file).filter(|_| flags & places == 0)?;
            (addr, len, self.files.backing(file.file) == Backing::Disk)
        } else {
            let places = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) == MREMAP_DONTUNMAP;
            let vma = self.vma_at(ctx, me, addr / PAGE).filter(|_| places)?;
            (file, new, vma.file.is_some_and(|file| self.files.backing(file) == Backing::Disk))
        };
        let end = hint.checked_add(len)?.checked_add(WIDE)?;
        let is_wide = hint != 0 && len >= WIDE && end <= USER_END;
        // Linux keeps a gap before stacks, too.
        let next = self.vma_at(ctx, me, hint / PAGE).filter(|_| is_disk && is_wide)?;
        (next.range.start.addr().0 < end + STACK_GAP).then_some(Known::PlaceOfFile)
    }

    /// Linux makes pages its own before it copies to them: private pages of a file no longer show what others
    /// store to the file, although nothing came.
    fn known_of_write(
        &self,
        ctx: TaskCtx<'_>,
        (me, read): (usize, (u64, u64)),
        (other, written): (usize, (u64, u64)),
    ) -> Option<Known> {
        let of_file = |vma: &Snapshot| vma.file.is_some() && vma.flags.is_private();
        if !self.alive.get(other)?.get() || !self.vmas(ctx, other, written).iter().any(of_file) {
            return None;
        }
        // What is past the end of a file cannot be read, either.
        let sure = |vma: &Snapshot| vma.file.is_none() && vma.flags.contains(VmaFlags::READ);
        let mut next = read.0 / PAGE;
        for vma in self.vmas(ctx, me, read).iter().filter(|vma| sure(vma)) {
            next = if vma.range.start.0 <= next { vma.range.end.0 } else { next };
        }
        (next * PAGE < read.0.saturating_add(read.1)).then_some(Known::Residency)
    }

    /// Whether a stack reaches a page depends on where it ends: Linux may have two mappings for one.
    fn known_of_growth(&self, ctx: TaskCtx<'_>, me: usize, (addr, len): (u64, u64)) -> Option<Known> {
        // Of what one call mapped there are no two.
        let accesses = [Call::Load, Call::Store, Call::Execute, Call::Scan, Call::Layout, Call::Prlimit];
        if self.ops[..self.next.get()].iter().filter(|op| !accesses.contains(&op.call)).count() < 2 {
            return None;
        }
        let (first, end) = (addr / PAGE, addr.saturating_add(len).div_ceil(PAGE));
        let limit = self.process(me).map(|process| self.manager.linux().process(process))?;
        let limit = limit.limit(Resource::Stack).soft / PAGE;
        let near = END.max(addr) / PAGE;
        (first..end.min(near)).find_map(|page| {
            let is_stack = |vma: &Snapshot| vma.flags.contains(VmaFlags::GROWS_DOWN);
            let next = self.vma_at(ctx, me, page).filter(|vma| vma.range.start.0 > page && is_stack(vma))?;
            let follows = |at: u64| {
                self.vma_at(ctx, me, at)
                    .filter(|vma| vma.range.start.0 <= at && is_stack(vma))
                    .map(|vma| vma.range.end.0)
            };
            let ends = std::iter::successors(Some(next.range.end.0), |&at| follows(at));
            let farthest = ends.last().unwrap_or(next.range.end.0);
            let least = next.range.start.0 + 1 - page;
            (least <= limit && limit < farthest - page).then_some(Known::TouchedApart)
        })
    }

    /// Differences between memory files that are cut or grow.
    fn known_of_size(&self, ctx: TaskCtx<'_>, file: u64, new: u64) -> Option<Known> {
        let id = self.files.get(file)?.file;
        let old = self.manager.linux().objects().file(id).size(&self.cx(ctx));
        let large = new > SIZE_MAX && new <= i64::MAX as u64;
        match self.files.backing(id) {
            Backing::Memory | Backing::Sealed if large => Some(Known::FileSize),
            Backing::Memory => (old % PAGE != 0 && new > old).then_some(Known::MemoryTail),
            _ => None,
        }
    }

    /// Whether an address is that of a shared byte past the end of the disk's file.
    fn is_disk_tail(&self, ctx: TaskCtx<'_>, me: usize, addr: u64) -> bool {
        let page = VirtAddr(addr).page();
        let vma = self.vma_at(ctx, me, addr / PAGE).filter(|vma| vma.range.contains(page));
        let Some((vma, file)) = vma.and_then(|vma| Some((vma, vma.file?))) else { return false };
        let size = self.manager.linux().objects().file(file).size(&self.cx(ctx));
        let at = vma.file_index(page).saturating_mul(PAGE).saturating_add(addr % PAGE);
        !vma.flags.is_private() && self.files.backing(file) == Backing::Disk && at >= size
    }

    /// Whether bytes reach past the end of the disk's file in some page.
    fn ends_in_disk_tail(&self, ctx: TaskCtx<'_>, me: usize, (addr, len): (u64, u64)) -> bool {
        let pages = addr / PAGE..addr.saturating_add(len).div_ceil(PAGE);
        let last = |page: u64| addr.saturating_add(len).min((page + 1) * PAGE) - 1;
        (addr < END && self.alive.get(me).is_some_and(Cell::get))
            && pages.into_iter().any(|page| self.is_disk_tail(ctx, me, last(page)))
    }

    /// Bits of `mincore`'s answer that are each system's own affair: which pages of a disk's file are cached,
    /// and whether a copy of a space got zero pages that nobody stored to.
    pub(super) fn doubt(&self, cx: &mut Cx<'w, SimMachine>, me: usize, (addr, len): (u64, u64)) -> u64 {
        let process = self.process(me).map(|process| self.manager.linux().process(process));
        let Some(space) = process.and_then(Process::space) else { return 0 };
        let pages = len.div_ceil(PAGE).min(PAGES);
        let range = VpnRange::sized(VirtAddr(addr).page(), pages);
        let mut doubtful = vec![false; pages as usize];
        self.manager.spaces().for_each_vma(cx.at(), space, |vma| {
            let disk = vma.file.is_some_and(|file| self.files.backing(file) == Backing::Disk);
            let elsewhere = self.traits.swaps || self.has_stopped_short.get();
            let disk = disk || elsewhere || self.traits.is_wide && vma.flags.is_private();
            let zeros = vma.file.is_none() && vma.flags.is_private() && self.is_copy(me);
            let part = vma.range.intersect(&range);
            for page in part.start.0..part.end.0 {
                let own = || self.holds_a_page(space, Vpn(page));
                doubtful[(page - range.start.0) as usize] = disk || zeros && !own();
            }
        });
        doubtful.iter().fold(0, |sum, doubt| sum.rotate_left(1) | u64::from(*doubt))
    }

    /// What is mapped there.
    fn mapped(&self, space: Id<Space>, page: Vpn) -> Option<Pfn> {
        let spaces = self.manager.spaces();
        let seen = spaces.walker(spaces.space(space).table()?).quiet_peek(self.sim, page);
        if let Kind::Leaf(frame) = X86_64::kind(seen.entry, seen.level) { Some(frame) } else { None }
    }

    /// Whether a page other than the zero page is mapped there.
    fn holds_a_page(&self, space: Id<Space>, page: Vpn) -> bool {
        let zero = self.manager.spaces().objects().zero_frame();
        self.mapped(space, page).is_some_and(|frame| frame != zero)
    }

    /// Whether a page is mapped there.
    pub(super) fn is_present(&self, space: Id<Space>, page: Vpn) -> bool {
        self.mapped(space, page).is_some()
    }

    fn area(&self, vma: &Snapshot) -> Area {
        let bits = [(VmaFlags::READ, 1), (VmaFlags::WRITE, 2), (VmaFlags::EXEC, 4), (VmaFlags::SHARED, 8)];
        let bits = bits.iter().filter(|(flag, _)| vma.flags.contains(*flag)).map(|(_, bit)| bit).sum();
        Area {
            start: vma.range.start.addr().0,
            end: vma.range.end.addr().0,
            bits,
            backing: vma.file.map_or(Backing::Anonymous, |file| self.files.backing(file)),
            inode: vma.file.map_or(0, |file| u64::from(file.raw())),
            offset: vma.file.map_or(0, |_| vma.file_index(vma.range.start) * PAGE),
        }
    }

    /// The words of some pages, and the signals that came of loading them.
    pub(super) fn scan(&self, ctx: TaskCtx<'_>, addr: u64, pages: u64) -> Answer {
        let mut sum = 0;
        for page in 0..pages {
            for word in WORDS {
                let at = VirtAddr(addr + page * PAGE + word * 8);
                match ctx.load(self, at).map_err(|signal| self.signalled(signal)) {
                    Ok(value) => sum = mix(sum, value),
                    Err((number, code)) => {
                        sum = mix(sum, u64::from(number) << 8 | u64::from(code) | 1 << 63);
                        break;
                    }
                }
            }
        }
        Answer { status: Status::Good, value: sum }
    }
}
