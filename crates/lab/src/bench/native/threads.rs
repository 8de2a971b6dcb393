//! Two threads, in one address space and in two.

use std::cell::RefCell;
use std::sync::Barrier;
use std::thread::ScopedJoinHandle;

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::{Exit, Process};
use freehold::machine::{CpuId, PAGE_SIZE, ReaderOrder};
use host::HostMachine;
use native::peer::{Clock, run_on};

use super::attempt::Attempt;
use super::ours::{Ours, Room, manager};
use super::rounds::{CHUNK, Kind, linux_rounds, ours_rounds};
use super::row::{Better, Measure};
use super::stats::{Samples, in_turn};
use super::worker::Worker;
use super::{Goal, Options, Peer, Row, Side, Trouble};

const LEAVES_OUT: &str = "By the clock on the wall, from the first thread's begin to the last one's end. \
    The peer is the same work by the same side in two address spaces; what two CPUs of this host share is \
    in both. No access of the program is in it, and so no TLB of ours is filled; the other CPU's is emptied \
    without an interrupt (accesses of ours would pass a fence instead).";

/// Two threads of one space, beside two of two.
const GOAL: Goal = Goal { measure: Measure::Ratio, better: Better::Higher, must: 0.95, aim: None };

/// Who works where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    OneThread,
    OneSpace,
    TwoSpaces,
}

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    // Accesses and walks pass fences: a flush of the other CPU is then a few stores and a wait. On a virtual
    // machine the interrupt of `membarrier(2)` costs more than the 64 pages that it is for.
    let order = ReaderOrder::Fence;
    let room = Room { cpus: 2, order, ..Room::small(options.sized(256 << 20, 32 << 20)) };
    let machine = room.machine()?;
    let manager = manager(&machine, &room)?;
    let rounds = options.sized(4000, 4);
    let worker = RefCell::new(Worker::start()?);
    let mut rows = Vec::new();
    for kind in [Kind::Populate, Kind::Map] {
        let ran = RefCell::new([Vec::new(), Vec::new(), Vec::new()]);
        let ours = |shape: Shape| {
            let times = ours_times(&manager, (kind, rounds), shape)?;
            ran.borrow_mut()[shape as usize].push(each(&times, rounds));
            Ok(rate(&times, rounds))
        };
        let samples = in_shapes(options, &ours)?;
        rows.extend(of_side("", kind, &samples, Some(GOAL)));
        rows.push(cpu_row(kind, &ran.into_inner().map(|ran| ran.into_iter().skip(1).collect())));
        let linux = |shape| linux_times(&mut worker.borrow_mut(), (kind, rounds), shape);
        let samples = in_shapes(options, &|shape| linux(shape).map(|times| rate(&times, rounds)))?;
        rows.extend(of_side("Linux: ", kind, &samples, None));
    }
    Ok(rows)
}

/// Measures the three shapes in turn.
fn in_shapes(
    options: &Options,
    measure: &dyn Fn(Shape) -> Result<f64, Trouble>,
) -> Result<Vec<Samples>, Trouble> {
    in_turn(
        options,
        &mut [&mut || measure(Shape::OneThread), &mut || measure(Shape::OneSpace), &mut || {
            measure(Shape::TwoSpaces)
        }],
    )
}

/// What two threads ran for, in one space beside two: what is left of the comparison where others use the
/// machine, too. Sleeping is not in it.
fn cpu_row(kind: Kind, [_, same, apart]: &[Samples; 3]) -> Row {
    let peer = Peer { name: "in two spaces".into(), value: apart.median(), min: Some(apart.min()) };
    Row {
        min: Some(same.min()),
        cpus: Some(2),
        ..Row::new(Side::Native, format!("{}: CPU time", kind.about()), same.median(), "ns/page").beside(peer)
    }
}

/// The rows of a side: one thread; two in one space, beside two in two.
fn of_side(side: &str, kind: Kind, samples: &[Samples], goal: Option<Goal>) -> Vec<Row> {
    let name = format!("{side}{}", kind.about());
    let unit = "Mpages/s";
    let [one, same, apart] = samples else { return Vec::new() };
    let peer = Peer { name: "in two spaces".into(), value: apart.median(), min: Some(apart.min()) };
    vec![
        Row {
            min: Some(one.min()),
            cpus: Some(1),
            ..Row::new(Side::Native, name.clone(), one.median(), unit)
        },
        Row {
            min: Some(same.min()),
            cpus: Some(2),
            goal,
            leaves_out: LEAVES_OUT.into(),
            ..Row::new(Side::Native, name, same.median(), unit).beside(peer)
        },
    ]
}

/// What a thread took.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// When it began and ended, on the wall.
    wall: (u64, u64),
    /// What it ran for. Not known of another process.
    ran: u64,
}

/// Times work.
fn timed(work: impl FnOnce() -> Result<(), Trouble>) -> Result<Span, Trouble> {
    let (wall, ran) = (Clock::Wall.now(), Clock::Thread.now());
    work()?;
    Ok(Span { wall: (wall, Clock::Wall.now()), ran: Clock::Thread.now() - ran })
}

/// Millions of pages a second, of all threads.
fn rate(times: &[Span], rounds: u64) -> f64 {
    pages(times, rounds) * 1e3 / span(times).max(1) as f64
}

/// Nanoseconds that threads ran for, a page.
fn each(times: &[Span], rounds: u64) -> f64 {
    times.iter().map(|span| span.ran).sum::<u64>() as f64 / pages(times, rounds)
}

fn pages(times: &[Span], rounds: u64) -> f64 {
    (times.len() as u64 * rounds * CHUNK / PAGE_SIZE) as f64
}

// ---- Freehold ----

fn ours_times(
    manager: &Manager<'_, HostMachine>,
    (kind, rounds): (Kind, u64),
    shape: Shape,
) -> Result<Vec<Span>, Trouble> {
    let [first, second] = processes(manager, shape)?;
    let threads: &[(u32, Id<Process>)] =
        if shape == Shape::OneThread { &[(0, first)] } else { &[(0, first), (1, second)] };
    let barrier = Barrier::new(threads.len());
    manager.machine().run(|running| {
        let handles: Vec<_> = threads
            .iter()
            .map(|&(cpu, process)| {
                let barrier = &barrier;
                running.spawn(CpuId(cpu), move |cpu| {
                    let thread = Ours::new(cpu, manager, process);
                    barrier.wait();
                    let mut thread = thread?;
                    let span = timed(|| ours_rounds(&mut thread, kind, rounds))?;
                    thread.program.exit(Exit::Code(0));
                    Ok(span)
                })
            })
            .collect();
        handles.into_iter().map(joined).collect()
    })
}

/// A process for each thread: the same, or another.
fn processes(manager: &Manager<'_, HostMachine>, shape: Shape) -> Result<[Id<Process>; 2], Trouble> {
    let cpu = manager.machine().claim(CpuId(0)).at("the first CPU")?;
    let mut cx = manager.cx(cpu.id(), cpu.task());
    let first = manager.linux().first_process(&mut cx).at("a process")?;
    let second = match shape {
        Shape::TwoSpaces => manager.linux().first_process(&mut cx).at("a process")?,
        _ => first,
    };
    Ok([first, second])
}

fn joined(
    handle: ScopedJoinHandle<'_, Result<Result<Span, Trouble>, host::HostError>>,
) -> Result<Span, Trouble> {
    handle.join().map_err(|_| Trouble::new(&"a thread panicked"))?.at("a CPU")?
}

/// From the first begin to the last end.
fn span(times: &[Span]) -> u64 {
    let begin = times.iter().map(|span| span.wall.0).min().unwrap_or(0);
    times.iter().map(|span| span.wall.1).max().unwrap_or(0) - begin
}

// ---- Linux ----

fn linux_times(worker: &mut Worker, (kind, rounds): (Kind, u64), shape: Shape) -> Result<Vec<Span>, Trouble> {
    let barrier = Barrier::new(if shape == Shape::OneSpace { 2 } else { 1 });
    let here = |cpu: usize| -> Result<Span, Trouble> {
        let bound = run_on(cpu).at("sched_setaffinity");
        barrier.wait();
        bound?;
        timed(|| linux_rounds(kind, rounds))
    };
    std::thread::scope(|scope| {
        let begun = Clock::Wall.now();
        if shape == Shape::TwoSpaces {
            worker.begin(kind, rounds)?;
        }
        let cpus = if shape == Shape::OneSpace { 0..2 } else { 0..1 };
        let handles: Vec<_> = cpus.map(|cpu| scope.spawn(move || here(cpu))).collect();
        let joined = |handle: ScopedJoinHandle<'_, Result<Span, Trouble>>| {
            handle.join().map_err(|_| Trouble::new(&"a thread panicked"))?
        };
        let mut times = handles.into_iter().map(joined).collect::<Result<Vec<_>, Trouble>>()?;
        if shape == Shape::TwoSpaces {
            worker.finish()?;
            times.push(Span { wall: (begun, Clock::Wall.now()), ran: 0 });
        }
        Ok(times)
    })
}
