//! Per-CPU lists: a frame that one CPU frees goes through its list, a private chain and the zone to another
//! CPU, which drains that list meanwhile.

use frame::{Config, Frames, Request, Reserve};
use loomed::{At, Board, Data, Op, RACE, Weak, explore_bounded, rejects_bounded, together};
use machine::{Boot, Core, CpuId, Cx, Pfn, TaskId, level};
use std::collections::HashMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex};

/// All the frames there are: few, so that what one CPU frees is what the other gets.
const FRAMES: usize = 40;
const WANT: Request = Request::kernel().reserve(Reserve::Oom);

/// An allocator without a free frame, and all its frames, each with what its owner does with it.
struct Machine {
    board: &'static Board,
    core: Core<'static>,
    frames: Frames<'static, Board>,
    owned: Mutex<HashMap<Pfn, Arc<Data>>>,
}

impl Machine {
    fn start(board: &'static Board) -> (Arc<Machine>, Vec<(Pfn, Arc<Data>)>) {
        board.reset();
        let boot = Boot::new(board).unwrap();
        let core = Core::new(&boot).unwrap();
        let frames =
            Frames::new(board, &boot, &Config { min_free_kib: Some(0), ..Config::default() }).unwrap();
        let machine = Arc::new(Machine { board, core, frames, owned: Mutex::default() });
        let mut taken = Vec::new();
        // Both CPUs take and give once, so that the board knows their locks.
        for cpu in [1, 0] {
            let first = machine.frames.allocate(machine.cx(cpu).at(), &WANT).unwrap();
            machine.frames.put(machine.cx(cpu).at(), first);
        }
        while let Ok(pfn) = machine.frames.allocate(machine.cx(0).at(), &WANT) {
            taken.push((pfn, Arc::new(Data::new())));
        }
        assert_eq!(machine.frames.free_frames(), 0, "a frame is left");
        *machine.owned.lock().unwrap() = taken.iter().cloned().collect();
        board.watch(0);
        (machine, taken)
    }

    fn cx(&self, cpu: u32) -> Cx<'static, Board> {
        Cx::new(self.board, self.core, CpuId(cpu), TaskId(cpu))
    }

    /// Takes a frame if there is one, and uses it.
    fn take_and_use(&self, cpu: u32, all: &HashMap<Pfn, Arc<Data>>) {
        self.board.step();
        let Ok(pfn) = self.frames.allocate(self.cx(cpu).at(), &WANT) else { return };
        let twice = self.owned.lock().unwrap().insert(pfn, Arc::clone(&all[&pfn]));
        assert!(twice.is_none(), "{pfn:?} has two owners");
        all[&pfn].write();
    }

    /// Uses a frame for the last time and frees it.
    fn use_and_free(&self, cpu: u32, (pfn, data): &(Pfn, Arc<Data>)) {
        self.board.step();
        data.write();
        self.owned.lock().unwrap().remove(pfn);
        self.frames.put(self.cx(cpu).at(), *pfn);
    }
}

/// CPU 0 frees a frame and takes one; CPU 1 drains CPU 0's lists and takes one.
fn a_drain_meets_the_owner(board: &'static Board) {
    let (machine, taken) = Machine::start(board);
    let all: Arc<HashMap<_, _>> = Arc::new(taken.iter().cloned().collect());
    let (other, other_all) = (Arc::clone(&machine), Arc::clone(&all));
    together(
        move || {
            board.step();
            other.frames.drain_cpu(other.cx(1).at(), CpuId(0));
            other.take_and_use(1, &other_all);
        },
        || {
            machine.use_and_free(0, &taken[0]);
            machine.take_and_use(0, &all);
        },
    );
}

/// CPU 0 frees a frame and gives its lists back to the zone; CPU 1 takes one.
fn a_frame_goes_through_the_zone(board: &'static Board) {
    let (machine, taken) = Machine::start(board);
    let all: HashMap<_, _> = taken.iter().cloned().collect();
    let other = Arc::clone(&machine);
    together(
        move || other.take_and_use(1, &all),
        || {
            machine.use_and_free(0, &taken[0]);
            board.step();
            machine.frames.drain_cpu(machine.cx(0).at(), CpuId(0));
        },
    );
}

#[test]
fn a_frame_goes_from_one_owner_to_the_next() {
    let board = Board::new(FRAMES, &[]);
    explore_bounded(3, move || a_drain_meets_the_owner(board));
    explore_bounded(3, move || a_frame_goes_through_the_zone(board));
}

const NO_ACQUIRE: &[Weak] = &[Weak::new(Op::Update, Acquire, Relaxed)];
const NO_RELEASE: &[Weak] = &[Weak::new(Op::Store, Release, Relaxed)];

fn reject(weak: &'static [At], model: fn(&'static Board)) {
    let board = Board::new(FRAMES, weak);
    rejects_bounded(3, RACE, move || model(board));
}

#[test]
fn twin_the_lock_of_the_lists_does_not_release() {
    reject(&[At { level: level::PCP, weak: NO_RELEASE }], a_drain_meets_the_owner);
}

#[test]
fn twin_the_lock_of_the_lists_does_not_acquire() {
    reject(&[At { level: level::PCP, weak: NO_ACQUIRE }], a_drain_meets_the_owner);
}

#[test]
fn twin_the_lock_of_the_zone_does_not_release() {
    reject(&[At { level: level::ZONE, weak: NO_RELEASE }], a_frame_goes_through_the_zone);
}

#[test]
fn twin_the_lock_of_the_zone_does_not_acquire() {
    reject(&[At { level: level::ZONE, weak: NO_ACQUIRE }], a_frame_goes_through_the_zone);
}
