//! Two threads, in one address space and in two.

use std::sync::Barrier;
use std::thread::ScopedJoinHandle;

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::{Exit, Process};
use freehold::machine::{CpuId, PAGE_SIZE};
use host::HostMachine;
use native::peer::{Area, Clock, PagesOf, run_on};

use super::attempt::Attempt;
use super::ours::{DONTNEED, Ours, POPULATE_WRITE, Room, manager};
use super::row::{Better, Measure};
use super::stats::{Samples, in_turn};
use super::worker::Worker;
use super::{Goal, Options, Peer, Row, Side, Trouble};

/// Bytes that a round works on.
const CHUNK: u64 = 64 * PAGE_SIZE;

const LEAVES_OUT: &str = "By the clock on the wall, from the first thread's begin to the last one's end. The peer \
    is the same work by the same side in two address spaces; what two CPUs of this host share is in both. No \
    access of the program is in it, and so no TLB of ours is filled.";

/// What a round is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Brings a thread's own pages in, and gives them up.
    Populate,
    /// The same, with a mapping made before and removed after.
    Map,
}

impl Kind {
    /// As the worker is asked for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Populate => "populate",
            Kind::Map => "map",
        }
    }

    /// See [`Kind::word`].
    pub(super) fn parse(word: &str) -> Option<Kind> {
        [Kind::Populate, Kind::Map].into_iter().find(|kind| kind.word() == word)
    }

    fn about(self) -> &'static str {
        match self {
            Kind::Populate => "populate and dontneed 256 KiB",
            Kind::Map => "mmap, populate, munmap 256 KiB",
        }
    }
}

/// Who works where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    OneThread,
    OneSpace,
    TwoSpaces,
}

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let room = Room { cpus: 2, ..Room::small(options.sized(256 << 20, 32 << 20)) };
    let machine = room.machine()?;
    let manager = manager(&machine, &room)?;
    let rounds = options.sized(4000, 4);
    let mut worker = Worker::start()?;
    let mut rows = Vec::new();
    for kind in [Kind::Populate, Kind::Map] {
        let ours = |shape| ours_rate(&manager, (kind, rounds), shape);
        let mut linux = |shape| linux_rate(&mut worker, (kind, rounds), shape);
        let samples = in_turn(
            options,
            &mut [&mut || ours(Shape::OneThread), &mut || ours(Shape::OneSpace), &mut || {
                ours(Shape::TwoSpaces)
            }],
        )?;
        rows.extend(of_side("", kind, &samples, true));
        let linux = std::cell::RefCell::new(&mut linux);
        let samples = in_turn(
            options,
            &mut [
                &mut || linux.borrow_mut()(Shape::OneThread),
                &mut || linux.borrow_mut()(Shape::OneSpace),
                &mut || linux.borrow_mut()(Shape::TwoSpaces),
            ],
        )?;
        rows.extend(of_side("Linux: ", kind, &samples, false));
    }
    Ok(rows)
}

/// The rows of a side: one thread; two in one space, beside two in two.
fn of_side(side: &str, kind: Kind, samples: &[Samples], is_ours: bool) -> Vec<Row> {
    let name = format!("{side}{}", kind.about());
    let unit = "Mpages/s";
    let [one, same, apart] = samples else { return Vec::new() };
    let peer = Peer { name: "in two spaces".into(), value: apart.median(), min: Some(apart.min()) };
    let goal = Goal { measure: Measure::Ratio, better: Better::Higher, must: 0.95, aim: None };
    vec![
        Row {
            min: Some(one.min()),
            cpus: Some(1),
            ..Row::new(Side::Native, name.clone(), one.median(), unit)
        },
        Row {
            min: Some(same.min()),
            cpus: Some(2),
            goal: is_ours.then_some(goal),
            leaves_out: LEAVES_OUT.into(),
            ..Row::new(Side::Native, name, same.median(), unit).beside(peer)
        },
    ]
}

/// When a thread began, and when it ended.
type Span = (u64, u64);

/// Millions of pages a second.
fn rate(threads: u64, rounds: u64, ns: u64) -> f64 {
    (threads * rounds * CHUNK / PAGE_SIZE) as f64 * 1e3 / ns.max(1) as f64
}

// ---- Freehold ----

fn ours_rate(
    manager: &Manager<'_, HostMachine>,
    (kind, rounds): (Kind, u64),
    shape: Shape,
) -> Result<f64, Trouble> {
    let [first, second] = processes(manager, shape)?;
    let threads: &[(u32, Id<Process>)] =
        if shape == Shape::OneThread { &[(0, first)] } else { &[(0, first), (1, second)] };
    let barrier = Barrier::new(threads.len());
    let times = manager.machine().run(|running| {
        let handles: Vec<_> = threads
            .iter()
            .map(|&(cpu, process)| {
                let barrier = &barrier;
                running.spawn(CpuId(cpu), move |cpu| {
                    let thread = Ours::new(cpu, manager, process);
                    barrier.wait();
                    let mut thread = thread?;
                    let started = Clock::Wall.now();
                    ours_rounds(&mut thread, kind, rounds)?;
                    let ended = Clock::Wall.now();
                    thread.program.exit(Exit::Code(0));
                    Ok((started, ended))
                })
            })
            .collect();
        handles.into_iter().map(joined).collect::<Result<Vec<_>, Trouble>>()
    })?;
    Ok(rate(threads.len() as u64, rounds, span(&times)))
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
    let begin = times.iter().map(|(begin, _)| *begin).min().unwrap_or(0);
    times.iter().map(|(_, end)| *end).max().unwrap_or(0) - begin
}

fn ours_rounds(ours: &mut Ours<'_, '_>, kind: Kind, rounds: u64) -> Result<(), Trouble> {
    match kind {
        Kind::Populate => {
            let mapped = ours.map(CHUNK)?;
            for _ in 0..rounds {
                ours.advise(mapped, POPULATE_WRITE)?;
                ours.advise(mapped, DONTNEED)?;
            }
            ours.unmap(mapped)
        }
        Kind::Map => (0..rounds).try_for_each(|_| {
            let mapped = ours.map_populated(CHUNK)?;
            ours.unmap(mapped)
        }),
    }
}

// ---- Linux ----

fn linux_rate(worker: &mut Worker, (kind, rounds): (Kind, u64), shape: Shape) -> Result<f64, Trouble> {
    let barrier = Barrier::new(if shape == Shape::OneSpace { 2 } else { 1 });
    let here = |cpu: usize| -> Result<Span, Trouble> {
        let bound = run_on(cpu).at("sched_setaffinity");
        barrier.wait();
        bound?;
        let started = Clock::Wall.now();
        linux_rounds(kind, rounds)?;
        Ok((started, Clock::Wall.now()))
    };
    let times = std::thread::scope(|scope| {
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
            times.push((begun, Clock::Wall.now()));
        }
        Ok::<_, Trouble>(times)
    })?;
    let threads = if shape == Shape::OneThread { 1 } else { 2 };
    Ok(rate(threads, rounds, span(&times)))
}

/// Linux's rounds, on the calling thread.
pub(super) fn linux_rounds(kind: Kind, rounds: u64) -> Result<(), Trouble> {
    let map = || Area::map(CHUNK as usize, PagesOf::FourKib).at("mmap");
    match kind {
        Kind::Populate => {
            let area = map()?;
            for _ in 0..rounds {
                area.populate().at("MADV_POPULATE_WRITE")?;
                area.give_up().at("MADV_DONTNEED")?;
            }
            area.unmap().at("munmap")
        }
        Kind::Map => (0..rounds).try_for_each(|_| {
            let area = map()?;
            area.populate().at("MADV_POPULATE_WRITE")?;
            area.unmap().at("munmap")
        }),
    }
}
