//! Measures what the simulator itself costs the host. Run with `--release`.

use machine::lock::Sleep;
use machine::{Boot, Core, CpuId, Cx, KernelFrame, Machine, Pfn, VirtAddr, Vpn, VpnRange, level};
use sim::shadow::{Shadow, Source};
use sim::{Cause, SimConfig, SimMachine};
use std::hint::black_box;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Instant;

/// Time this thread had a processor, so that a busy host does not count.
fn on_cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn each(name: &str, n: u64, mut body: impl FnMut(u64)) {
    let start = on_cpu();
    for i in 0..n {
        body(i);
    }
    println!("{name:<52} {:>9.1} ns", (on_cpu() - start) as f64 / n as f64);
}

fn config(cpus: u32, memory: u64) -> SimConfig {
    SimConfig { cpus, memory_bytes: memory, tasks_max: 1024, ..SimConfig::default() }
}

fn words() {
    each("an empty turn", 20_000_000, |i| {
        black_box(i);
    });
    let sim = SimMachine::new(&config(2, 64 << 20)).unwrap();
    let area = sim.kernel_area(KernelFrame(Pfn(40)), 1);
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |cx| {
            let cpu = cx.cpu();
            each("load of a word, one CPU running", 20_000_000, |i| {
                black_box(sim.load(cpu, &area[i as usize & 63], Acquire));
            });
            each("store to a word", 20_000_000, |i| sim.store(cpu, &area[i as usize & 63], i, Release));
            each("compare-exchange", 20_000_000, |i| {
                let _ = black_box(sim.compare_exchange(cpu, &area[i as usize & 63], 0, i, Acquire));
            });
        })?;
        scope.run()
    })
    .unwrap();
}

fn switching(cpus: u32, quantum: u64) {
    let sim = SimMachine::new(&SimConfig { quantum_ns: quantum, ..config(cpus, 64 << 20) }).unwrap();
    let n = 4_000_000 / u64::from(cpus);
    let start = on_cpu();
    let report = sim.scope(|scope| {
        for cpu in 0..cpus {
            let word = &sim.kernel_area(KernelFrame(Pfn(40 + cpu)), 1)[0];
            let sim = &sim;
            scope.spawn(CpuId(cpu), move |cx| {
                for _ in 0..n {
                    black_box(sim.load(cx.cpu(), word, Relaxed));
                }
            })?;
        }
        scope.run()
    });
    let events = report.unwrap().events;
    let total = (on_cpu() - start) as f64;
    println!(
        "{:<52} {:>9.1} ns ({} switches, {:.0} ns each if they were all)",
        format!("load of a word, {cpus} CPUs, quantum {quantum} ns"),
        total / (n * u64::from(cpus)) as f64,
        events.scheduler_switches,
        total / events.scheduler_switches as f64
    );
}

fn user() {
    struct None;
    impl sim::Kernel for None {
        fn page_fault(&self, _: sim::TaskCtx<'_>, _: sim::PageFault) -> sim::Outcome {
            sim::Outcome::Signal(sim::Signal::Segv)
        }
    }
    use machine::entry::{Attrs, EntryFormat, Level, Perms};
    use machine::x86_64::X86_64;
    let sim = SimMachine::new(&config(1, 64 << 20)).unwrap();
    for level in 0..3u32 {
        let table = sim.kernel_area(KernelFrame(Pfn(16 + level)), 1);
        table[0].raw().store(X86_64::table(KernelFrame(Pfn(17 + level))).0, Relaxed);
    }
    let perms = Perms { read: true, write: true, execute: false };
    for page in 0..512u32 {
        let leaf = X86_64::leaf(Pfn(1000 + page), Attrs { perms, ..Attrs::default() }, Level::LEAF);
        sim.kernel_area(KernelFrame(Pfn(19)), 1)[page as usize].raw().store(leaf.0, Relaxed);
        let to = machine::UserFrame(Pfn(1000 + page));
        sim.page_op(CpuId(0), machine::PageOp::Zero { to, order: machine::Order(0) });
    }
    sim.load_space(CpuId(0), Some((KernelFrame(Pfn(16)), machine::Asid(1))), false);
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |cx| {
            each("user store, 64 pages", 10_000_000, |i| {
                cx.store(&None, VirtAddr((i & 63) << 12 | (i >> 3 & 7) << 3), i).unwrap();
            });
            each("user load, 64 pages", 10_000_000, |i| {
                black_box(cx.load(&None, VirtAddr((i & 63) << 12)).unwrap());
            });
            each("user load, 512 pages (second level)", 10_000_000, |i| {
                black_box(cx.load(&None, VirtAddr((i & 511) << 12)).unwrap());
            });
            each("walk (a flush of the page and a load)", 2_000_000, |i| {
                let mut targets = machine::CpuSet::EMPTY;
                targets.insert(CpuId(0));
                let pages = Some(VpnRange::sized(Vpn(i & 63), 1));
                sim.flush(
                    CpuId(0),
                    &targets,
                    &machine::FlushScope { asid: machine::Asid(1), pages, tables: false },
                );
                black_box(cx.load(&None, VirtAddr((i & 63) << 12)).unwrap());
            });
        })?;
        scope.run()
    })
    .unwrap();
}

fn shadow() {
    let mut shadow = Shadow::new();
    shadow.process(1);
    let pages = 300_000u64;
    for at in 0..100 {
        let range = VpnRange::sized(Vpn(at * 4000), 3000);
        shadow.map(1, range, Source::Anonymous);
    }
    let addr = |i: u64| {
        let page = (i.wrapping_mul(0x9e37_79b9)) % pages;
        VirtAddr((page / 3000 * 4000 + page % 3000) << 12 | (i & 3) << 3)
    };
    each("shadow store, first, 300,000 pages at random", 1_000_000, |i| shadow.store(1, addr(i), i).unwrap());
    let mut wrong = 0;
    each("shadow load, the same", 1_000_000, |i| wrong += u64::from(shadow.load(1, addr(i), i).is_err()));
    each("shadow load, one page after the other", 1_000_000, |i| {
        wrong += u64::from(shadow.load(1, VirtAddr((i % 3000) << 12 | 32), 0).is_err());
    });
    let start = Instant::now();
    let ticket = shadow.fork_begin(1);
    shadow.fork_end(ticket, 2);
    println!("shadow fork of 300,000 pages: {:?} ({wrong} overwritten)", start.elapsed());
    each("shadow store after a fork, at random", 200_000, |i| shadow.store(2, addr(i * 5), i).unwrap());
}

fn creation() {
    for (name, cpus, memory) in [
        ("64 MiB, 2 CPUs", 2, 64u64 << 20),
        ("4 GiB, 64 CPUs", 64, 4 << 30),
        ("512 GiB, 128 CPUs", 128, 512 << 30),
    ] {
        let config = config(cpus, memory);
        let start = Instant::now();
        drop(black_box(SimMachine::new(&config).unwrap()));
        println!("machine of {name}: first {:?}", start.elapsed());
        each("  again, and dropped", 200, |_| drop(black_box(SimMachine::new(&config).unwrap())));
    }
    let small = config(2, 64 << 20);
    each("64 MiB machine, lowest floor, 2 tasks, 100 locks", 2000, |_| {
        let sim = SimMachine::new(&small).unwrap();
        let boot = Boot::new(&sim).unwrap();
        let core = Core::new(&boot).unwrap();
        let sleep = &boot.array::<Sleep<{ level::LAYOUT }>>(1).unwrap()[0];
        sim.scope(|scope| {
            for cpu in 0..2 {
                let sim = &sim;
                scope.spawn(CpuId(cpu), move |task| {
                    let mut cx = Cx::new(sim, core, task.cpu(), task.task());
                    for _ in 0..50 {
                        drop(sleep.write(&mut cx));
                        task.spend(Cause::User, 50);
                    }
                })?;
            }
            scope.run()
        })
        .unwrap();
    });
}

/// Equal for every run on every host: compare the output of two processes.
fn fingerprint() {
    let sim = SimMachine::new(&SimConfig { tasks_max: 40, ..config(4, 64 << 20) }).unwrap();
    let boot = Boot::new(&sim).unwrap();
    let core = Core::new(&boot).unwrap();
    let locks = boot.array::<Sleep<{ level::LAYOUT }>>(40).unwrap();
    let report = sim.scope(|scope| {
        for number in 0..40u32 {
            let sim = &sim;
            scope.spawn(CpuId(number % 4), move |task| {
                let mut cx = Cx::new(sim, core, task.cpu(), task.task());
                for round in 0..50 {
                    let held = locks[(number + round) as usize % 29].write(&mut cx);
                    task.sleep_until(task.now() + 5000);
                    drop(held);
                    task.yield_user();
                }
            })?;
        }
        scope.run()
    });
    let report = report.unwrap();
    println!(
        "fingerprint: {} ns, {} words, {} parks",
        report.sim_ns, report.events.word_accesses, report.events.parks
    );
}

fn main() {
    fingerprint();
    words();
    switching(2, 1000);
    switching(2, 1);
    switching(64, 1000);
    switching(512, 1000);
    user();
    shadow();
    creation();
}
