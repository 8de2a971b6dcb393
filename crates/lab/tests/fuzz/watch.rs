//! A case that hangs or takes all memory ends the whole test, with its seed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The longest a case may take.
const CASE_SECONDS: u64 = 60;
/// The most memory the test may have, in KiB.
const MEMORY_KIB: u64 = 3 << 20;

static CASE: AtomicU64 = AtomicU64::new(0);
static CASES: AtomicU64 = AtomicU64::new(0);

/// A case begins.
pub(crate) fn begin(seed: u64) {
    CASE.store(seed, Relaxed);
    CASES.fetch_add(1, Relaxed);
}

/// Watches from here on.
pub(crate) fn start() {
    std::thread::spawn(|| {
        let (mut cases, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            if CASES.load(Relaxed) != cases {
                (cases, since) = (CASES.load(Relaxed), Instant::now());
            }
            let memory = memory_kib();
            if since.elapsed() > Duration::from_secs(CASE_SECONDS) || memory > MEMORY_KIB {
                let seed = CASE.load(Relaxed);
                eprintln!("seed {seed}: {} s, {memory} KiB", since.elapsed().as_secs());
                std::process::exit(101);
            }
        }
    });
}

/// What this process has now; 0 where there is no telling.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
