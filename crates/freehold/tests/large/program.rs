//! Random programs: each process has four places of 2 MiB, and does to parts of them what can be done.

use crate::dice::Dice;
use crate::world::*;
use freehold::fault::{HoldError, How};
use freehold::frame::{Id, Request};
use freehold::linux::{self, ExecImage, Process, SwapDevice};
use freehold::machine::{Access, Counter, CpuId, HUGE_ORDER, VirtAddr, Vpn};
use freehold::object::Held;
use freehold::space::HugePages;
use sim::{Cause, Scope, Signal, TaskCtx};
use std::cell::Cell;

const HUGE: u64 = HUGE_ORDER.frames();
const BASE: u64 = 0x1_0000;
const PLACES: u64 = 4;
const PAGES: u64 = PLACES * HUGE;
const OPS: u64 = 60;
/// Which word of a page is looked at.
const WORD: u64 = 8 * 77;

/// What a program is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) tasks: u32,
    pub(crate) huge_pages: HugePages,
}

/// One page of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Page {
    Unmapped,
    Mapped { value: u64, writable: bool },
}

/// A pin: as long as nothing was done to the page it has the page's bytes.
struct Pin {
    held: Held,
    page: u64,
    valid: bool,
}

struct Program<'w, 'm> {
    world: &'w World<'m>,
    plan: Plan,
    live: Cell<u32>,
    born: Cell<u32>,
    values: Cell<u64>,
}

struct Task {
    process: Id<Process>,
    pages: Vec<Page>,
    pins: Vec<Pin>,
    dice: Dice,
}

/// Runs a program; answers how often each event came to pass.
pub(crate) fn run(plan: Plan, counted: &[Counter]) -> Result<Vec<u64>, String> {
    let shape = Shape { memory: 64 << 20, ..Shape::new(3, plan.seed) };
    let sim = shape.machine();
    let linux = linux::Config { huge_pages: plan.huge_pages, ..linux::Config::default() };
    let config = freehold::Config { linux, ..freehold::Config::default() };
    let world = World::with(&sim, &config);
    let program =
        Program { world: &world, plan, live: Cell::new(1), born: Cell::new(1), values: Cell::new(0) };
    let result = sim.scope(|scope| {
        let program = &program;
        scope.spawn(CpuId(0), move |ctx| program.first(scope, ctx))?;
        scope.run()
    });
    if let Err(error) = result {
        let wrong = world.verdict().err().unwrap_or_default();
        return Err(format!("{error}\n{wrong}\n{:?}", sim.violations()));
    }
    world.assert_empty();
    let counts = counted.iter().map(|&counter| world.manager.core().total(counter)).collect();
    world.verdict().map(|()| counts)
}

fn addr(page: u64) -> u64 {
    (BASE + page) * P
}

/// The word of a page.
fn word(page: u64) -> VirtAddr {
    VirtAddr(addr(page) + WORD)
}

impl<'m> Program<'_, 'm> {
    fn first<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>) {
        let (world, linux) = (self.world, self.world.linux());
        let process = linux.first_process(&mut world.cx(ctx)).expect("a process");
        linux.attach(&mut world.cx(ctx), process, ctx.task()).expect("a task");
        let image =
            ExecImage { segments: &[], stack: None, break_start: P, code: (VirtAddr(0), VirtAddr(0)) };
        linux.exec(&mut world.cx(ctx), process, Some(ctx.task()), &image).expect("an empty program");
        let area = SwapDevice::Compressed { disk: 0, pages: 8 * PAGES };
        linux.swapon(&mut world.cx(ctx), area, None).expect("an area");
        world.anon(ctx, process, addr(0), PAGES);
        if self.plan.huge_pages == HugePages::Madvise {
            assert_eq!(world.madvise(ctx, process, (addr(0), PAGES), 14), Ok(()));
        }
        let pages = vec![Page::Mapped { value: 0, writable: true }; PAGES as usize];
        self.live(scope, ctx, Task { process, pages, pins: Vec::new(), dice: Dice::new(self.plan.seed) });
    }

    fn live<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, mut task: Task) {
        for _ in 0..OPS {
            ctx.enter_user(self.world);
            self.step(scope, ctx, &mut task);
            self.check_pins(&task);
            if std::env::var_os("FREEHOLD_STRESS_LOADS").is_some() {
                (0..PAGES).for_each(|page| self.load(ctx, &task, page));
            }
            if self.live.get() == 1 {
                self.world.audit("alone");
            }
            if !self.world.wrong.borrow().is_empty() {
                break;
            }
        }
        ctx.enter_user(self.world);
        for page in 0..PAGES {
            self.load(ctx, &task, page);
        }
        while let Some(pin) = task.pins.pop() {
            self.world.linux().faults().let_go(self.world.cx(ctx).at(), pin.held);
        }
        self.world.exit(ctx);
        self.live.set(self.live.get() - 1);
    }

    fn step<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, task: &mut Task) {
        let ((page, pages), op) = (self.range(task), task.dice.below(43));
        if std::env::var_os("FREEHOLD_STRESS_TRACE").is_some() {
            println!("{:?}: operation {op} of {pages} pages at {page}", task.process);
        }
        match op {
            0..10 => (0..8).for_each(|_| {
                let page = task.dice.below(PAGES);
                self.store(ctx, task, page);
            }),
            10..18 => (0..8).for_each(|_| {
                let page = task.dice.below(PAGES);
                self.load(ctx, task, page);
            }),
            18..20 => (page..page + pages).for_each(|page| self.store(ctx, task, page)),
            20..22 => {
                self.world.munmap(ctx, task.process, addr(page), pages);
                self.set(task, (page, pages), Page::Unmapped);
            }
            22..25 => {
                self.world.anon(ctx, task.process, addr(page), pages);
                self.set(task, (page, pages), Page::Mapped { value: 0, writable: true });
            }
            25..27 => self.dont_need(ctx, task, (page, pages)),
            27..30 => self.protect(ctx, task, (page, pages)),
            30..33 => self.remap(ctx, task, (page, pages)),
            33 => drop(self.world.madvise(ctx, task.process, (addr(page), pages), 14 + page % 2)),
            34..36 => self.fork(scope, ctx, task),
            36 => self.split(ctx, task),
            37 => match task.dice.one_in(3) {
                true => drop(self.world.linux().collapse_step(&mut self.world.cx(ctx), 2 * HUGE)),
                false => drop(self.world.madvise(ctx, task.process, (addr(page), pages), 25)),
            },
            38..40 => self.pin(ctx, task),
            // Paged out, or cold.
            40 => drop(self.world.madvise(ctx, task.process, (addr(page), pages), 20 + page % 2)),
            41 => drop(self.world.madvise(ctx, task.process, (addr(page), pages.min(20)), 21)),
            _ => self.migrate(ctx, task),
        }
    }

    /// A part of the memory: all of a place, or any pages.
    fn range(&self, task: &mut Task) -> (u64, u64) {
        let place = task.dice.below(PLACES) * HUGE;
        match task.dice.below(3) {
            0 => (place, HUGE),
            1 => {
                let first = task.dice.below(HUGE);
                (place + first, 1 + task.dice.below(HUGE - first))
            }
            _ => {
                let first = task.dice.below(PAGES - 8);
                (first, 1 + task.dice.below(8))
            }
        }
    }

    /// What a range is from now on; pins of it have their own bytes.
    fn set(&self, task: &mut Task, (first, pages): (u64, u64), now: Page) {
        task.pages[first as usize..(first + pages) as usize].fill(now);
        for pin in task.pins.iter_mut().filter(|pin| (first..first + pages).contains(&pin.page)) {
            pin.valid = false;
        }
    }

    fn fresh(&self) -> u64 {
        self.values.set(self.values.get() + 1);
        self.values.get() << 8 | 0xa5
    }

    // ---- bytes ----

    fn load(&self, ctx: TaskCtx<'_>, task: &Task, page: u64) {
        let wanted = match task.pages[page as usize] {
            Page::Unmapped => Err(Signal::Segv),
            Page::Mapped { value, .. } => Ok(value),
        };
        let found = ctx.load(self.world, word(page));
        if found != wanted {
            self.world.complain(format!("{:?} page {page}: {found:?}, not {wanted:?}", task.process));
        }
    }

    fn store(&self, ctx: TaskCtx<'_>, task: &mut Task, page: u64) {
        let fresh = self.fresh();
        let stored = ctx.store(self.world, word(page), fresh);
        let wanted = match &mut task.pages[page as usize] {
            Page::Mapped { value, writable: true } => {
                *value = fresh;
                Ok(())
            }
            _ => Err(Signal::Segv),
        };
        if stored != wanted {
            self.world.complain(format!("{:?} page {page}: {stored:?}, not {wanted:?}", task.process));
        }
    }

    // ---- calls ----

    fn dont_need(&self, ctx: TaskCtx<'_>, task: &mut Task, (first, pages): (u64, u64)) {
        // A hole is an error, after the rest was done.
        let _ = self.world.madvise(ctx, task.process, (addr(first), pages), DONTNEED);
        for page in first..first + pages {
            if let Page::Mapped { writable, .. } = task.pages[page as usize] {
                self.set(task, (page, 1), Page::Mapped { value: 0, writable });
            }
        }
    }

    fn protect(&self, ctx: TaskCtx<'_>, task: &mut Task, (first, pages): (u64, u64)) {
        let mapped = |page: &Page| *page != Page::Unmapped;
        if !task.pages[first as usize..(first + pages) as usize].iter().all(mapped) {
            return;
        }
        let writable = task.dice.one_in(2);
        let prot = if writable { RW } else { READ };
        self.world.mprotect(ctx, task.process, addr(first), pages, prot);
        for page in &mut task.pages[first as usize..(first + pages) as usize] {
            if let Page::Mapped { writable: now, .. } = page {
                *now = writable;
            }
        }
    }

    fn remap(&self, ctx: TaskCtx<'_>, task: &mut Task, (first, pages): (u64, u64)) {
        let aligned = first % HUGE == 0 && pages == HUGE && !task.dice.one_in(4);
        let to = match aligned {
            true => task.dice.below(PLACES) * HUGE,
            false => task.dice.below(PAGES - pages + 1),
        };
        if to < first + pages && first < to + pages {
            return;
        }
        let moved = self.world.mremap(ctx, task.process, (addr(first), pages), addr(to), MAYMOVE_FIXED);
        if std::env::var_os("FREEHOLD_STRESS_TRACE").is_some() {
            println!("operation moves to {to}: {moved:?}");
        }
        if moved.is_err() {
            // A source of several mappings: whether the target is gone then depends on which.
            for page in to..to + pages {
                if ctx.load(self.world, word(page)) == Err(Signal::Segv) {
                    self.set(task, (page, 1), Page::Unmapped);
                }
            }
            return;
        }
        self.set(task, (to, pages), Page::Unmapped);
        for page in 0..pages {
            task.pages[(to + page) as usize] = task.pages[(first + page) as usize];
        }
        self.set(task, (first, pages), Page::Unmapped);
    }

    fn fork<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, task: &mut Task) {
        if self.live.get() > self.plan.tasks || self.born.get() >= 12 {
            return;
        }
        ctx.syscall();
        let child = self.world.linux().fork(&mut self.world.cx(ctx), task.process).expect("a child");
        self.live.set(self.live.get() + 1);
        self.born.set(self.born.get() + 1);
        let copy = Task {
            process: child,
            pages: task.pages.clone(),
            pins: Vec::new(),
            dice: Dice::new(task.dice.next()),
        };
        let cpu = CpuId(task.dice.below(3) as u32);
        let spawned = scope.spawn(cpu, move |ctx| {
            while self.world.linux().process_of(ctx.task()).is_none() {
                ctx.spend(Cause::User, 50);
            }
            self.live(scope, ctx, copy);
        });
        let number = spawned.expect("room for a task");
        self.world.linux().attach(&mut self.world.cx(ctx), child, number).expect("free");
    }

    // ---- what a kernel does ----

    fn split(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let page = task.dice.below(PAGES);
        let (linux, mut cx) = (self.world.linux(), self.world.cx(ctx));
        let Some(space) = linux.process(task.process).space() else { return };
        let _ = linux.spaces().split_folio_at(cx.at(), space, Vpn(BASE + page));
    }

    fn migrate(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let page = Vpn(BASE + task.dice.below(PAGES));
        let (linux, mut cx) = (self.world.linux(), self.world.cx(ctx));
        let Some(space) = linux.process(task.process).space() else { return };
        let _ = linux.spaces().move_page(cx.at(), space, page, &Request::user());
    }

    fn pin(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let (linux, mut cx) = (self.world.linux(), self.world.cx(ctx));
        if task.pins.len() > 2 {
            let pin = task.pins.swap_remove(task.dice.below(3) as usize);
            return linux.faults().let_go(cx.at(), pin.held);
        }
        let page = task.dice.below(PAGES);
        let Page::Mapped { writable, .. } = task.pages[page as usize] else { return };
        let access = if writable && task.dice.one_in(2) { Access::Write } else { Access::Read };
        let Some(space) = linux.process(task.process).space() else { return };
        let mut into = [Held::Nothing];
        let held = linux.faults().hold(cx.at(), space, (Vpn(BASE + page), How::pin(access)), &mut into);
        match held {
            // A short pin may be one of the page of zeros, which is nobody's.
            Ok(_) if matches!(into[0], Held::Pinned(_)) => {
                task.pins.push(Pin { held: into[0], page, valid: true });
            }
            Ok(_) => {}
            Err(HoldError::Fault(_)) if self.world.linux().frames().free_frames() < 1024 => {}
            Err(error) => self.world.complain(format!("page {page} is not pinned: {error}")),
        }
    }

    /// What the program stores, the holder of the pin reads.
    fn check_pins(&self, task: &Task) {
        for pin in task.pins.iter().filter(|pin| pin.valid) {
            let Page::Mapped { value, .. } = task.pages[pin.page as usize] else { continue };
            let Some(frame) = pin.held.frame() else { continue };
            let found = self.world.sim.peek_word(frame.0, WORD);
            if found != value {
                let (page, process) = (pin.page, task.process);
                self.world.complain(format!("{process:?}: a pin of page {page} reads {found}, not {value}"));
            }
        }
    }
}
