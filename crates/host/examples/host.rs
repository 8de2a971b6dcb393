//! Freehold on this process: two threads of one program, and what their accesses and calls cost here.
//!
//! `cargo run --release -p freehold-host --example host`
#![forbid(unsafe_code)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod demo {
    use freehold::linux::{Errno, Exit, Mmap, Signal};
    use freehold::{Config, Manager};
    use host::{HostConfig, HostCpu, HostError, HostMachine, Program};
    use machine::{Asid, CpuId, CpuSet, FlushScope, Machine, PAGE_SIZE, VirtAddr, Vpn, VpnRange};
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::Instant;

    /// Pages of the mapping.
    const PAGES: u64 = 256;
    /// Times that each figure is taken.
    const SAMPLES: usize = 101;

    /// What can go wrong.
    #[derive(Debug)]
    pub(super) enum Trouble {
        /// The host.
        Host(HostError),
        /// The machine is too small.
        Memory,
        /// A call was refused.
        Call(Errno),
        /// An access ended in a signal.
        Signal(Signal),
    }

    impl std::fmt::Display for Trouble {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Trouble::Host(error) => write!(f, "{error}"),
                Trouble::Memory => write!(f, "the machine has too little memory"),
                Trouble::Call(errno) => write!(f, "a call was refused: {errno:?}"),
                Trouble::Signal(signal) => write!(f, "an access ended in a signal: {signal:?}"),
            }
        }
    }

    impl From<HostError> for Trouble {
        fn from(error: HostError) -> Self {
            Trouble::Host(error)
        }
    }
    impl From<Errno> for Trouble {
        fn from(errno: Errno) -> Self {
            Trouble::Call(errno)
        }
    }
    impl From<Signal> for Trouble {
        fn from(signal: Signal) -> Self {
            Trouble::Signal(signal)
        }
    }

    /// Prints the median, the minimum and the ninth of ten of what one of `count` operations costs.
    fn measure(name: &str, count: u64, mut all: impl FnMut() -> Result<(), Trouble>) -> Result<(), Trouble> {
        let mut samples = [0.0; SAMPLES];
        for sample in &mut samples {
            let start = Instant::now();
            all()?;
            *sample = start.elapsed().as_nanos() as f64 / count as f64;
        }
        samples.sort_by(f64::total_cmp);
        let [minimum, median, most] = [0, SAMPLES / 2, SAMPLES * 9 / 10].map(|at| samples[at]);
        println!("{median:>10.1} {minimum:>10.1} {most:>10.1}  {name}");
        Ok(())
    }

    /// Flushes a page of all CPUs.
    fn flushes(cpu: &HostCpu<'_>, targets: &CpuSet, pages: Option<VpnRange>) -> Result<(), Trouble> {
        let scope = FlushScope { asid: Asid(1), pages, tables: false };
        for _ in 0..100 {
            cpu.machine().flush(cpu.id(), targets, &scope);
        }
        Ok(())
    }

    fn set(cpus: u32) -> CpuSet {
        let mut set = CpuSet::EMPTY;
        (0..cpus).for_each(|cpu| set.insert(CpuId(cpu)));
        set
    }

    fn accesses(program: &mut Program<'_, '_>, start: u64) -> Result<(), Trouble> {
        let page = |n: u64| VirtAddr(start + n * PAGE_SIZE);
        measure("load, page in the TLB", 4 * PAGES, || {
            for n in 0..4 * PAGES {
                program.load(page(n % PAGES))?;
            }
            Ok(())
        })?;
        measure("store, page in the TLB", 4 * PAGES, || {
            for n in 0..4 * PAGES {
                program.store(page(n % PAGES), n)?;
            }
            Ok(())
        })?;
        measure("an epoch entered and left", 1000, || {
            for _ in 0..1000 {
                drop(std::hint::black_box(program.cx().enter_epoch()));
            }
            Ok(())
        })
    }

    /// What a thread measures while others of its process run.
    fn figures(cpu: &HostCpu<'_>, others: u32) -> Result<(), Trouble> {
        let (own, all) = (set(1), set(1 + others));
        let one = Some(VpnRange::sized(Vpn(77), 1));
        measure("flush of a page, here only", 100, || flushes(cpu, &own, one))?;
        measure("flush of a space, here only", 100, || flushes(cpu, &own, None))?;
        measure("flush of a page, also of a CPU that runs", 100, || flushes(cpu, &all, one))?;
        measure("heavy barrier, also of a CPU that runs", 100, || {
            (0..100).for_each(|_| cpu.machine().heavy_barrier(cpu.id(), &all));
            Ok(())
        })
    }

    pub(super) fn run() -> Result<(), Trouble> {
        let config = HostConfig { cpus: 2, pin: true, resident: true, ..HostConfig::default() };
        let machine = HostMachine::new(&config)?;
        let manager = Manager::new(&machine, &Config::default()).map_err(|_| Trouble::Memory)?;
        let cpu = machine.claim(CpuId(0))?;
        let mut cx = manager.cx(cpu.id(), cpu.task());
        let process = manager.linux().first_process(&mut cx)?;
        let mut program = Program::new(&cpu, &manager, process)?;
        let (private, anonymous, prot) = (2, 0x20, 3);
        let args = Mmap { addr: 0, len: PAGES * PAGE_SIZE, prot, flags: private | anonymous, offset: 0 };
        let start = manager.linux().mmap(program.cx(), process, &args, None)?;
        println!("{:>10} {:>10} {:>10}  ns", "median", "minimum", "90 of 100");
        accesses(&mut program, start)?;
        measure("mmap, first store to each page, munmap: a page", PAGES, || {
            let start = manager.linux().mmap(program.cx(), process, &args, None)?;
            for n in 0..PAGES {
                program.store(VirtAddr(start + n * PAGE_SIZE), n)?;
            }
            Ok(manager.linux().munmap(program.cx(), process, start, PAGES * PAGE_SIZE)?)
        })?;
        let over = AtomicBool::new(false);
        machine.run(|threads| {
            let other = threads.spawn(CpuId(1), |cpu| {
                let mut program = Program::new(cpu, &manager, process)?;
                let mut sum = 0;
                while !over.load(SeqCst) {
                    sum += program.load(VirtAddr(start))?;
                }
                program.exit(Exit::Code(0));
                Ok::<u64, Trouble>(sum)
            });
            let done = figures(&cpu, 1);
            over.store(true, SeqCst);
            let ended = other.join().map(|ended| ended.map(drop));
            done.and(ended.unwrap_or(Ok(())).map_err(Trouble::Host))
        })?;
        program.exit(Exit::Code(0));
        Ok(())
    }
}

fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if let Err(trouble) = demo::run() {
        eprintln!("host: {trouble}");
        return std::process::ExitCode::FAILURE;
    }
    std::process::ExitCode::SUCCESS
}
