//! How faults and changes of the layout of one address space scale with CPUs, in simulated time, and which
//! lines move between CPUs meanwhile: `cargo run --release -p freehold --example scaling -- [CPUS] [WORK]`.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

use freehold::frame::Id;
use freehold::linux::{ExecImage, Mmap, Process};
use freehold::machine::{CpuId, Cx, KernelFrame, Machine, PAGE_SIZE, Pfn, VirtAddr};
use freehold::{Config, Manager};
use sim::{CAUSES, Cause, Kernel, Outcome, PageFault, SimConfig, SimMachine, TaskCtx};

const P: u64 = PAGE_SIZE;
const GIB: u64 = 1 << 30;
const RW: u64 = 3;
/// `MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS`.
const FIXED: u64 = 0x32;
/// All tasks begin to be measured at this moment.
const START: u64 = 100_000_000;

#[derive(Clone, Copy, PartialEq)]
enum Work {
    Fault { pages: u64 },
    Cycle { pages: u64, times: u64, gap: u64 },
}

struct Faults<'m>(&'m Manager<'m, SimMachine>);

impl Kernel for Faults<'_> {
    fn page_fault(&self, ctx: TaskCtx<'_>, fault: PageFault) -> Outcome {
        let linux = self.0.linux();
        let mut cx = self.0.cx(ctx.cpu(), ctx.task());
        let done = linux
            .process_of(ctx.task())
            .map(|process| linux.user_fault(&mut cx, process, fault.addr, fault.access));
        if done == Some(Ok(())) { Outcome::Resolved } else { Outcome::Signal(sim::Signal::Segv) }
    }
}

struct Thread<'a, 'm> {
    manager: &'a Manager<'m, SimMachine>,
    process: Id<Process>,
    ctx: TaskCtx<'a>,
    base: u64,
}

impl<'m> Thread<'_, 'm> {
    fn cx(&self) -> Cx<'m, SimMachine> {
        self.manager.cx(self.ctx.cpu(), self.ctx.task())
    }
    fn call(&self, body: impl FnOnce(&mut Cx<'m, SimMachine>)) {
        self.ctx.syscall();
        body(&mut self.cx());
        self.ctx.enter_user(&Faults(self.manager));
    }
    fn map(&self, addr: u64, len: u64) {
        let args = Mmap { addr, len, prot: RW, flags: FIXED, offset: 0 };
        self.call(|cx| assert!(self.manager.linux().mmap(cx, self.process, &args, None).is_ok()));
    }
    fn unmap(&self, addr: u64, len: u64) {
        self.call(|cx| assert!(self.manager.linux().munmap(cx, self.process, addr, len).is_ok()));
    }
    fn touch(&self, addr: u64) {
        assert!(self.ctx.store(&Faults(self.manager), VirtAddr(addr), 1).is_ok());
    }
    fn run(&self, work: Work) -> u64 {
        match work {
            Work::Fault { pages } => {
                (0..pages).for_each(|page| self.touch(self.base + page * P));
                pages
            }
            Work::Cycle { pages, times, .. } => {
                for _ in 0..times {
                    self.map(self.base, pages * P);
                    (0..pages).for_each(|page| self.touch(self.base + page * P));
                    self.unmap(self.base, pages * P);
                }
                times
            }
        }
    }
    fn enter(&self) {
        let mut cx = self.cx();
        assert!(self.manager.linux().attach(&mut cx, self.process, self.ctx.task()).is_ok());
        self.manager.linux().enter(&mut cx, self.process);
    }
    fn leave(&self) {
        self.manager.linux().detach(&mut self.cx(), self.ctx.task());
    }
    fn wait_for_start(&self) {
        while self.ctx.now() < START {
            self.ctx.spend(Cause::User, (START - self.ctx.now()).clamp(1, 500));
        }
    }
}

/// Operations a second of simulated time, all CPUs together.
fn measure(cpus: u32, work: Work, hot: usize) -> f64 {
    let nodes = cpus.div_ceil(32);
    let config =
        SimConfig { cpus, nodes, memory_bytes: 16 << 30, checks: sim::Checks::Off, ..SimConfig::default() };
    let sim = SimMachine::new(&config).expect("a machine");
    let manager = Manager::new(&sim, &Config::default()).expect("a manager");
    let process = start(&sim, &manager, work, cpus);
    let rates = RefCell::new(Vec::new());
    let begun = Cell::new(false);
    let before = RefCell::new(None);
    sim.restart_clock();
    sim.scope(|scope| {
        for cpu in 0..cpus {
            let (manager, rates, begun, before, sim) = (&manager, &rates, &begun, &before, &sim);
            scope
                .spawn(CpuId(cpu), move |ctx| {
                    let gap = if let Work::Cycle { gap, .. } = work { gap } else { GIB };
                    let base = 4 * GIB + u64::from(cpu) * gap;
                    let thread = Thread { manager, process, ctx, base };
                    thread.enter();
                    // Warm: the tables above are there, the CPU's lists are filled.
                    match work {
                        Work::Fault { .. } => thread.touch(base + GIB / 4),
                        Work::Cycle { pages, gap, .. } => {
                            let _ = thread.run(Work::Cycle { pages, times: 20, gap });
                        }
                    }
                    assert!(ctx.now() < START, "warm by then: {}", ctx.now());
                    thread.wait_for_start();
                    if !begun.replace(true) {
                        sim.count_transfers();
                        *before.borrow_mut() = Some(sim.report());
                    }
                    let done = thread.run(work);
                    rates.borrow_mut().push(done as f64 / (ctx.now() - START) as f64);
                    thread.leave();
                })
                .expect("a task");
        }
        scope.run().expect("a run");
    });
    let rates = rates.into_inner();
    let total: f64 = rates.iter().sum();
    if hot > 0 {
        tell(&sim, &manager, (process, before.into_inner().expect("begun")), (work, cpus), hot);
    }
    total
}

/// Makes the process.
fn start<'m>(sim: &'m SimMachine, manager: &Manager<'m, SimMachine>, work: Work, cpus: u32) -> Id<Process> {
    let process = Cell::new(None);
    sim.scope(|scope| {
        scope
            .spawn(CpuId(0), |ctx| {
                let mut cx = manager.cx(ctx.cpu(), ctx.task());
                let made = manager.linux().first_process(&mut cx).expect("a process");
                let none = VirtAddr(0);
                let image =
                    ExecImage { segments: &[], stack: None, break_start: 0x2000_0000, code: (none, none) };
                manager.linux().exec(&mut cx, made, None, &image).expect("exec");
                process.set(Some(made));
                let thread = Thread { manager, process: made, ctx, base: 0 };
                thread.enter();
                if let Work::Fault { .. } = work {
                    for cpu in 0..u64::from(cpus) {
                        thread.map((4 + cpu) * GIB, GIB / 2);
                    }
                }
                thread.leave();
            })
            .expect("a task");
        scope.run().expect("a run");
    });
    process.get().expect("made")
}

/// What the threads spent their time on, and which words moved.
fn tell(
    sim: &SimMachine,
    manager: &Manager<'_, SimMachine>,
    (process, before): (Id<Process>, sim::RunReport),
    (work, cpus): (Work, u32),
    hot: usize,
) {
    let after = sim.report();
    let ops: u64 = match work {
        Work::Fault { pages } => pages * u64::from(cpus),
        Work::Cycle { times, .. } => times * u64::from(cpus),
    };
    let mut causes: Vec<(u64, &str)> =
        CAUSES.iter().map(|&c| (after.time(c) - before.time(c), c.name())).collect();
    causes.sort();
    let text: Vec<String> = causes.iter().rev().take(7).map(|(t, n)| format!("{n} {}", t / ops)).collect();
    println!("   ns an operation: {}", text.join(", "));
    let per = |a: u64, b: u64| (a - b) as f64 / ops as f64;
    println!(
        "   an operation: {:.2} lines, {:.2} ipis, {:.2} flushes",
        per(after.events.line_transfers, before.events.line_transfers),
        per(after.events.ipis, before.events.ipis),
        per(after.events.flushes, before.events.flushes)
    );
    for (word, n) in sim.hottest_words(hot) {
        println!("   {:8.3}  {word}  {}", n as f64 / ops as f64, name(manager, process, &word));
    }
}

/// What a word is, where that is known.
fn name(manager: &Manager<'_, SimMachine>, process: Id<Process>, word: &str) -> String {
    let _ = (manager, process);
    let digits = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    if let Some(rest) = word.strip_prefix("kernel frame ") {
        let frame = rest.split(',').next().and_then(digits).unwrap_or(0);
        let index: u64 = rest.rsplit(' ').next().and_then(|t| t.parse().ok()).unwrap_or(0);
        let words = manager.machine().kernel_area(KernelFrame(Pfn(frame as u32)), 1);
        let address = std::ptr::from_ref(&words[index as usize]) as usize;
        let spaces = manager.spaces();
        for id in spaces.ids() {
            let space = spaces.space(id);
            let at = std::ptr::from_ref(space) as usize;
            if (at..at + size_of_val(space)).contains(&address) {
                return format!("space, word {}", (address - at) / 8);
            }
        }
        for id in spaces.tables().ids() {
            let table = spaces.tables().get(id).page_table();
            let at = std::ptr::from_ref(table) as usize;
            if (at..at + size_of_val(table)).contains(&address) {
                return format!("page table, word {}", (address - at) / 8);
            }
        }
    }
    String::new()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let most: u32 = args.next().and_then(|a| a.parse().ok()).unwrap_or(128);
    let which = args.next().unwrap_or_else(|| "all".into());
    let hot: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(16);
    let works = [
        ("fault", Work::Fault { pages: 2048 }),
        ("map1", Work::Cycle { pages: 1, times: 200, gap: GIB }),
        ("map16", Work::Cycle { pages: 16, times: 100, gap: GIB }),
    ];
    for (name, work) in works.into_iter().filter(|(name, _)| which == "all" || which == *name) {
        let mut one = 0.0;
        for cpus in [1, 2, 8, 32, 128].into_iter().filter(|&n| n <= most) {
            let rate = measure(cpus, work, if cpus == most || cpus == 1 { hot } else { 0 });
            if cpus == 1 {
                one = rate;
            }
            println!(
                "{name} {cpus}: {:.0} a ms, {:.0} ns each, {:.1} % of linear",
                rate * 1e6,
                f64::from(cpus) / rate,
                100.0 * rate / one / f64::from(cpus)
            );
        }
    }
}
