//! A part of a process's memory that one thread uses alone, and what must be in it.

use crate::common::{
    COLLAPSE, Calls, DONTNEED, Dice, HUGEPAGE, MERGEABLE, NONE, P, PAGEOUT, POPULATE_WRITE, READ, RW,
};
use freehold::fault::How;
use freehold::linux::{Errno, Exit, Signal, Waiting};
use freehold::machine::{Access, Machine, VirtAddr};
use freehold::object::Held;
use host::Program;

/// Pages of a large page.
const LARGE: usize = 512;

/// What a thread does.
#[derive(Clone, Copy)]
pub(crate) enum Mix {
    All,
    /// No forks.
    Calls,
    /// Loads, stores and populate, in memory that stays.
    Accesses,
}

/// What a page must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Page {
    prot: u64,
    value: u64,
}

/// The region.
#[derive(Clone)]
pub(crate) struct Region {
    start: u64,
    pages: Vec<Option<Page>>,
    dice: Dice,
    /// The last operations, for who reads of a failure.
    did: Vec<String>,
}

impl Region {
    pub(crate) fn new(start: u64, pages: u64, seed: u64) -> Region {
        Region { start, pages: vec![None; pages as usize], dice: Dice(seed), did: Vec::new() }
    }

    fn addr(&self, page: usize) -> u64 {
        self.start + page as u64 * P
    }

    /// Some pages in a row.
    fn range(&mut self) -> std::ops::Range<usize> {
        let len = self.pages.len() as u64;
        let start = self.dice.below(len);
        let most = if self.dice.below(8) == 0 { len } else { 16 };
        let pages = 1 + self.dice.below(most);
        start as usize..(start + pages).min(len) as usize
    }

    /// Some pages in a row, all mapped.
    fn mapped(&mut self) -> Option<std::ops::Range<usize>> {
        let range = self.range();
        self.pages[range.clone()].iter().all(Option::is_some).then_some(range)
    }

    /// One operation, by chance.
    pub(crate) fn step(&mut self, program: &mut Program<'_, '_>, mix: Mix) {
        let what = match mix {
            Mix::All => self.dice.below(100),
            Mix::Calls => self.dice.below(98),
            Mix::Accesses => self.dice.below(55),
        };
        if self.did.len() == 64 {
            self.did.remove(0);
        }
        self.did.push(format!("{what}"));
        match what {
            0..30 => self.stores(program),
            30..50 => self.loads(program),
            50..55 => self.populate(program),
            55..65 => self.map(program),
            65..70 => self.unmap(program),
            70..78 => self.protect(program),
            78..82 => self.advise(program, DONTNEED),
            82..85 => self.advise(program, PAGEOUT),
            85..87 => self.advise(program, MERGEABLE),
            87 => self.map_large(program),
            88 => self.advise(program, COLLAPSE),
            89..93 => self.move_page(program),
            93..98 => self.pin(program),
            _ => self.fork(program),
        }
    }

    fn store(&mut self, program: &mut Program<'_, '_>, page: usize) {
        // Few values: pages are alike, and can be merged.
        let value = 1 + self.dice.below(3);
        let done = program.store(VirtAddr(self.addr(page)), value);
        match &mut self.pages[page] {
            Some(known) if known.prot == RW => {
                assert_eq!(done, Ok(()), "store to page {page}; {:?}", self.did);
                known.value = value;
            }
            _ => self.expect_segv(page, done),
        }
    }

    fn expect_segv(&self, page: usize, done: Result<(), Signal>) {
        let found = matches!(done, Err(Signal::Segv { .. }));
        assert!(found, "page {page} is {:?}, an access gave {done:?}; {:?}", self.pages[page], self.did);
    }

    fn check(&self, program: &mut Program<'_, '_>, page: usize) {
        let found = program.load(VirtAddr(self.addr(page)));
        match self.pages[page] {
            Some(known) if known.prot != NONE => {
                assert_eq!(found, Ok(known.value), "page {page}; {:?}", self.did);
            }
            _ => self.expect_segv(page, found.map(drop)),
        }
    }

    fn stores(&mut self, program: &mut Program<'_, '_>) {
        self.range().take(8).for_each(|page| self.store(program, page));
    }

    fn loads(&mut self, program: &mut Program<'_, '_>) {
        self.range().take(8).for_each(|page| self.check(program, page));
    }

    /// Every page is as it must be.
    pub(crate) fn check_all(&mut self, program: &mut Program<'_, '_>) {
        self.did.push("all".into());
        (0..self.pages.len()).for_each(|page| self.check(program, page));
    }

    /// All of it, anew.
    pub(crate) fn map_all(&mut self, program: &mut Program<'_, '_>) {
        assert_eq!(program.map(self.start, self.pages.len() as u64, RW), Ok(self.start));
        self.pages.fill(Some(Page { prot: RW, value: 0 }));
    }

    fn map(&mut self, program: &mut Program<'_, '_>) {
        let range = self.range();
        let addr = self.addr(range.start);
        assert_eq!(program.map(addr, range.len() as u64, RW), Ok(addr));
        self.pages[range].fill(Some(Page { prot: RW, value: 0 }));
    }

    /// Anew, 2 MiB that may become a large page with the first store.
    fn map_large(&mut self, program: &mut Program<'_, '_>) {
        let large = self.pages.len() / LARGE;
        if large == 0 {
            return;
        }
        let first = self.dice.below(large as u64) as usize * LARGE;
        let (range, addr) = (first..first + LARGE, self.addr(first));
        assert_eq!(program.map(addr, LARGE as u64, RW), Ok(addr));
        assert_eq!(program.advise(addr, LARGE as u64, HUGEPAGE), Ok(()));
        self.pages[range.clone()].fill(Some(Page { prot: RW, value: 0 }));
        (0..8).for_each(|_| {
            let page = range.start + self.dice.below(LARGE as u64) as usize;
            self.store(program, page);
        });
    }

    fn unmap(&mut self, program: &mut Program<'_, '_>) {
        let range = self.range();
        assert_eq!(program.unmap(self.addr(range.start), range.len() as u64), Ok(()));
        self.pages[range].fill(None);
    }

    fn protect(&mut self, program: &mut Program<'_, '_>) {
        let Some(range) = self.mapped() else { return };
        let prot = [RW, RW, READ, NONE][self.dice.below(4) as usize];
        assert_eq!(program.protect(self.addr(range.start), range.len() as u64, prot), Ok(()));
        self.pages[range].iter_mut().flatten().for_each(|page| page.prot = prot);
    }

    fn advise(&mut self, program: &mut Program<'_, '_>, advice: u64) {
        let Some(range) = self.mapped() else { return };
        let done = program.advise(self.addr(range.start), range.len() as u64, advice);
        match advice {
            // A collapse may find no place for the pages, or pages that are held.
            COLLAPSE => {}
            _ => assert_eq!(done, Ok(()), "advice {advice}"),
        }
        if advice == DONTNEED {
            self.pages[range].iter_mut().flatten().for_each(|page| page.value = 0);
        }
    }

    /// `MADV_POPULATE_WRITE`, where stores are allowed.
    fn populate(&mut self, program: &mut Program<'_, '_>) {
        let Some(range) = self.mapped() else { return };
        if self.pages[range.clone()].iter().flatten().all(|page| page.prot == RW) {
            let done = program.advise(self.addr(range.start), range.len() as u64, POPULATE_WRITE);
            assert_eq!(done, Ok(()), "{:?}", self.did);
        }
    }

    fn move_page(&mut self, program: &mut Program<'_, '_>) {
        let (from, to) = (self.range().start, self.range().start);
        let Some(page) = self.pages[from].filter(|_| from != to) else { return };
        assert_eq!(program.move_to(self.addr(from), 1, self.addr(to)), Ok(self.addr(to)));
        self.pages[from] = None;
        self.pages[to] = Some(page);
    }

    /// A driver reads or writes a page that it pinned.
    fn pin(&mut self, program: &mut Program<'_, '_>) {
        let page = self.range().start;
        let (cpu, process, linux) = (program.cpu(), program.process(), program.linux());
        let access = if self.dice.below(2) == 0 { Access::Read } else { Access::Write };
        let first = VirtAddr(self.addr(page)).page();
        let mut held = [Held::Nothing];
        let done = linux.hold_pages(program.cx(), process, (first, How::pin(access)), &mut held);
        let allowed = self.pages[page].filter(|known| match access {
            Access::Write => known.prot == RW,
            _ => known.prot != NONE,
        });
        let Some(known) = allowed else { return assert_eq!(done, Err(Errno::EFAULT)) };
        assert_eq!(done, Ok(1));
        let frame = held[0].frame().expect("a frame");
        let mut bytes = [0; 8];
        cpu.machine().read_frame(cpu.id(), frame, 0, &mut bytes);
        assert_eq!(u64::from_ne_bytes(bytes), known.value, "pinned page {page}; {:?}", self.did);
        if access == Access::Write {
            cpu.machine().write_frame(cpu.id(), frame, 0, &9u64.to_ne_bytes());
            self.pages[page] = Some(Page { value: 9, ..known });
            linux.release_dirty(program.cx(), held[0]);
        } else {
            linux.release_page(program.cx(), held[0]);
        }
    }

    /// A child sees this region as it is, stores into it, and ends; nothing of that is seen here.
    fn fork(&mut self, program: &mut Program<'_, '_>) {
        let (parent, linux) = (program.process(), program.linux());
        let child = linux.fork(program.cx(), parent).expect("a child");
        program.switch_to(child).expect("alive");
        self.check_all(program);
        let before = self.pages.clone();
        for _ in 0..4 {
            self.stores(program);
        }
        self.check_all(program);
        self.pages = before;
        program.switch_to(parent).expect("alive");
        linux.exit(program.cx(), child, Exit::Code(0));
        linux.wait(program.cx(), parent, Some(child), Waiting::Poll).expect("a child that ended");
        self.check_all(program);
    }
}
