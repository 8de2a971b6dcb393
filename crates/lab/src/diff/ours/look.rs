//! Looking at memory: layouts and sums.

use std::cell::Cell;

use freehold::frame::Id;
use freehold::linux::Process;
use freehold::machine::entry::Kind;
use freehold::machine::x86_64::X86_64;
use freehold::machine::{Cx, EntryFormat, VirtAddr, Vpn, VpnRange};
use freehold::object::SIZE_MAX;
use freehold::space::{Snapshot, Space, VmaFlags};
use native::arena::{END, PAGE, PAGES, START, WORDS};
use native::{Answer, Area, Backing, Call, Op, Status};
use sim::{SimMachine, TaskCtx};

use super::super::advice;
use super::super::known::Known;
use super::super::program::PROT_GROWSDOWN;
use super::World;

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
    pub(super) fn merged(&self, ctx: TaskCtx<'_>, me: usize, addr: u64) -> Option<Known> {
        let vma = self.vma_at(ctx, me, addr / PAGE).filter(|vma| vma.flags.is_private())?;
        // Linux: expand_downwards() prepares a stack that grows for pages.
        let grows = vma.flags.contains(VmaFlags::GROWS_DOWN);
        let touched = grows
            || self.traits.is_wide
            || self.has_stopped_short.get()
            || self.manager.spaces().vma(vma.id).has_anon();
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
            Call::Store => self.is_disk_tail(ctx, me, a).then_some(Known::DiskTail),
            Call::Splice => self.known_of_splice(a, b),
            // What is in a swap area is dropped at once, what is not stays until memory is short.
            Call::Madvise if self.traits.swaps && advice::number(c) == advice::FREE => Some(Known::Residency),
            Call::VmRead => self.ends_in_disk_tail(ctx, me, (b, op.args[3])).then_some(Known::DiskTail),
            Call::VmWrite => {
                let written = (c, op.args[3]);
                self.ends_in_disk_tail(ctx, a as usize, written).then_some(Known::DiskTail)
            }
            Call::Ftruncate => self.known_of_size(ctx, a, b),
            Call::Mprotect if c & PROT_GROWSDOWN != 0 && self.is_copy(me) => {
                let vma = self.vma_at(ctx, me, a / PAGE)?;
                let inside = vma.flags.contains(VmaFlags::GROWS_DOWN) && vma.range.start.addr().0 < a;
                inside.then_some(Known::TouchedApart)
            }
            _ => None,
        }
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

    /// Whether a page other than the zero page is mapped there.
    fn holds_a_page(&self, space: Id<Space>, page: Vpn) -> bool {
        let spaces = self.manager.spaces();
        let Some(table) = spaces.space(space).table() else { return false };
        let seen = spaces.walker(table).quiet_peek(self.sim, page);
        let zero = spaces.objects().zero_frame();
        matches!(X86_64::kind(seen.entry, seen.level), Kind::Leaf(frame) if frame != zero)
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
