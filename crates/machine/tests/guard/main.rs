//! An interrupt between any two steps of a lockless reader, whose handler reads, too (LR18).
#![forbid(unsafe_code)]

#[path = "../../examples/guard/tiny.rs"]
mod tiny;

use machine::{Boot, Core, CpuId, Cx, Machine, Memory, ReaderOrder, TaskId, Word};
use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering::Relaxed;
use tiny::{Access, Tiny, Watcher};

const ORDERS: [ReaderOrder; 2] = [ReaderOrder::Fence, ReaderOrder::HeavyBarrier];
const CPU: CpuId = CpuId(0);
const TASK: TaskId = TaskId(0);

type Whole = (&'static Tiny<Interrupting>, Core<'static>);

/// Lets an interrupt in before one access, and notes all accesses.
#[derive(Default)]
struct Interrupting {
    whole: Cell<Option<Whole>>,
    /// Accesses until the interrupt.
    left: Cell<Option<u32>>,
    accesses: RefCell<Vec<Access>>,
}

impl Watcher for Interrupting {
    fn access(&self, _: &Tiny<Self>, access: Access) {
        match self.left.get() {
            Some(0) => {
                self.left.set(None);
                handle(self.whole.get().expect("it was built"));
            }
            left => self.left.set(left.map(|left| left - 1)),
        }
        self.accesses.borrow_mut().push(access);
    }
}

impl Interrupting {
    /// Whether a fence came behind the last store: what is stored is visible to other CPUs.
    fn is_fenced(&self) -> bool {
        let accesses = self.accesses.borrow();
        let last = |of: Access| accesses.iter().rposition(|&access| access == of);
        last(Access::Fence) > last(Access::Store)
    }
}

fn machine(order: ReaderOrder) -> Whole {
    let machine: &'static Tiny<_> = Box::leak(Box::new(Tiny::new(order, Interrupting::default())));
    let boot = Boot::new(machine).expect("it has memory");
    let core = Core::new(&boot).expect("it has enough");
    machine.watcher.whole.set(Some((machine, core)));
    (machine, core)
}

/// The handler walks twice, one walk around the other.
fn handle((machine, core): Whole) {
    let mut cx = Cx::interrupt(machine, core, CPU, TASK);
    let before = core.epochs.is_marked(CPU);
    let mut outer = cx.enter_epoch();
    reads(&outer, core);
    reads(&outer.enter_epoch(), core);
    reads(&outer, core);
    drop(outer);
    assert_eq!(core.epochs.is_marked(CPU), before, "the handler leaves the mark as it found it");
}

/// What a reader does: it must be covered.
fn reads<const L: u8>(cx: &Cx<'static, Tiny<Interrupting>, L>, core: Core<'static>) {
    assert!(core.epochs.is_marked(CPU), "a reader without a mark");
    let fenced = cx.machine().reader_order() == ReaderOrder::HeavyBarrier || cx.machine().watcher.is_fenced();
    assert!(fenced, "a mark that others may not see yet");
    cx.load(&Word::new(1), Relaxed);
    assert!(core.epochs.is_marked(CPU), "the mark went away under the reader");
}

/// A task that reads, with a nested reader, and reads again.
fn work((machine, core): Whole) {
    let mut cx = Cx::new(machine, core, CPU, TASK);
    for _ in 0..2 {
        let mut outer = cx.enter_epoch();
        reads(&outer, core);
        reads(&outer.enter_epoch(), core);
        reads(&outer, core);
    }
}

#[test]
fn an_interrupt_between_any_two_steps_is_covered_and_leaves_the_mark_alone() {
    for order in ORDERS {
        let mut steps = 0;
        loop {
            let whole = machine(order);
            whole.0.watcher.left.set(Some(steps));
            work(whole);
            assert!(whole.1.epochs.all_outside(), "{order:?}, before access {steps}");
            if whole.0.watcher.left.get().is_some() {
                break;
            }
            steps += 1;
        }
        assert!(steps >= 12, "{order:?}: only {steps} accesses");
    }
}

#[test]
fn a_guard_that_is_given_back_early_leaves_no_mark() {
    fn finds(cx: &mut Cx<'static, Tiny<Interrupting>>, first: bool) -> Option<u64> {
        let inside = cx.enter_epoch();
        let found = first.then_some(inside.load(&Word::new(7), Relaxed))?;
        (found == 7).then_some(found)
    }
    for order in ORDERS {
        let (machine, core) = machine(order);
        let mut cx = Cx::new(machine, core, CPU, TASK);
        assert_eq!(finds(&mut cx, false), None);
        assert!(core.epochs.all_outside());
        assert_eq!(finds(&mut cx, true), Some(7));
        assert!(core.epochs.all_outside());
        core.epochs.wait_for_readers(&mut cx);
    }
}

#[test]
fn only_writers_pay_for_a_heavy_barrier() {
    let (machine, core) = machine(ReaderOrder::HeavyBarrier);
    let mut cx = Cx::new(machine, core, CPU, TASK);
    drop(cx.enter_epoch());
    let paid = |what| machine.watcher.accesses.borrow().iter().filter(|&&access| access == what).count();
    assert_eq!((paid(Access::Fence), paid(Access::Barrier)), (0, 0));
    core.epochs.wait_for_readers(&mut cx);
    assert_eq!((paid(Access::Fence), paid(Access::Barrier)), (1, 1));
    let mut fenced = machine::CpuSet::EMPTY;
    fenced.insert(CpuId(1));
    core.epochs.wait_for_readers_but(&mut cx, &fenced);
    assert_eq!(paid(Access::Barrier), 1, "the other CPU was fenced already");
}
