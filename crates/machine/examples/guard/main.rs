//! What a lockless reader pays to enter and leave, in nanoseconds of this machine: `cargo run --release -p
//! freehold-machine --example guard`. The floor is a loop that writes its CPU's own line twice.

mod tiny;

use machine::{Boot, Core, CpuId, Cx, ReaderOrder, Shortage, TaskId};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tiny::{Access, Tiny, Watcher};

/// Pairs in a round.
const PAIRS: u32 = 2_000_000;
/// Rounds, interleaved.
const ROUNDS: usize = 21;

/// Nobody looks.
struct Alone;

impl Watcher for Alone {
    #[inline]
    fn access(&self, _: &Tiny<Self>, _: Access) {}
}

fn context(machine: &Tiny<Alone>) -> Result<Cx<'_, Tiny<Alone>>, Shortage> {
    let core = Core::new(&Boot::new(machine)?)?;
    Ok(Cx::new(machine, core, CpuId(0), TaskId(0)))
}

/// Nanoseconds each time.
fn round(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..PAIRS).for_each(|_| work());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS)
}

/// The median and the least.
fn sum_up(mut rounds: Vec<f64>) -> (f64, f64) {
    rounds.sort_by(f64::total_cmp);
    (rounds[rounds.len() / 2], rounds[0])
}

fn main() -> Result<(), Shortage> {
    let heavy = Tiny::new(ReaderOrder::HeavyBarrier, Alone);
    let fence = Tiny::new(ReaderOrder::Fence, Alone);
    let (mut heavy, mut fence) = (context(&heavy)?, context(&fence)?);
    let line = AtomicU64::new(0);
    let mut all = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        all[0].push(round(|| {
            // RELAXED: nobody else looks.
            black_box(&line).store(1, Relaxed);
            black_box(&line).store(0, Relaxed);
        }));
        all[1].push(round(|| drop(black_box(black_box(&mut heavy).enter_epoch()))));
        all[2].push(round(|| drop(black_box(black_box(&mut fence).enter_epoch()))));
    }
    let names = ["two stores to one line", "enter and leave, heavy barrier", "enter and leave, fence"];
    for (name, rounds) in names.into_iter().zip(all) {
        let (median, least) = sum_up(rounds);
        println!("{name:32} {median:6.2} ns (least {least:.2})");
    }
    Ok(())
}
