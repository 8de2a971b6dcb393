//! Stackful coroutines: a task's own stack, and leaving it at any depth.
//!
//! The only unsafe code of the scheduler is here.

use crate::config::SimError;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

/// How many stacks wait for their next use, a host thread.
const SPARES: usize = 256;

thread_local! {
    /// Stacks by size: mapping one costs more than a whole small run.
    static SPARE: RefCell<Vec<(usize, DefaultStack)>> = const { RefCell::new(Vec::new()) };
    /// The way out of the fiber that this thread runs; null outside of fibers.
    static CURRENT: Cell<Exit> = const { Cell::new(std::ptr::null()) };
}

/// The way out of a running fiber.
type Exit = *const Yielder<(), ()>;

/// Stands for the time in which fibers may run: `'s` is invariant and chosen by `SimMachine::scope`, which
/// alone makes one.
pub(crate) struct Lifetime<'s, 'env: 's> {
    scope: PhantomData<&'s mut &'s ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl Lifetime<'_, '_> {
    /// For `SimMachine::scope`, whose promise [`Fiber::scoped`] relies on.
    pub(crate) fn of_a_scope() -> Self {
        Lifetime { scope: PhantomData, env: PhantomData }
    }
}

/// A task's stack and where it stopped.
pub(crate) struct Fiber {
    coroutine: Coroutine<(), (), (), DefaultStack>,
    size: usize,
}

impl Fiber {
    /// A fiber for a task of a scope.
    pub(crate) fn scoped<'s, 'env>(
        _lifetime: &'s Lifetime<'s, 'env>,
        size: usize,
        body: impl FnOnce() + 's,
    ) -> Result<Fiber, SimError> {
        // SAFETY: what `body` borrows outlives `'s`, which is not over before the body of `SimMachine::scope`
        // has returned; right then (also when it panics) every fiber of the machine is abandoned, and only
        // the machine that the scope belongs to resumes it. (As in `std::thread::scope`.)
        unsafe { Fiber::new(size, body) }
    }

    /// A fiber that will run `body`.
    ///
    /// # Safety
    /// The fiber is neither resumed nor dropped after the end of anything that `body` borrows, except by
    /// [`Fiber::abandon`].
    unsafe fn new(size: usize, body: impl FnOnce()) -> Result<Fiber, SimError> {
        let spare = SPARE.with(|spare| {
            let mut spare = spare.borrow_mut();
            let fits = spare.iter().rposition(|(known, _)| *known == size);
            fits.map(|index| spare.swap_remove(index).1)
        });
        let stack = match spare {
            Some(stack) => stack,
            None => DefaultStack::new(size)
                .map_err(|error| SimError::Host { what: "a task's stack", error: error.to_string() })?,
        };
        let body = move |yielder: &Yielder<(), ()>, ()| {
            CURRENT.set(std::ptr::from_ref(yielder));
            body();
        };
        // SAFETY: the caller keeps the fiber within the lifetime of what `body` borrows.
        let coroutine = unsafe { Coroutine::with_stack_unchecked(stack, body) };
        Ok(Fiber { coroutine, size })
    }

    /// Runs it until it leaves; answers whether it is over.
    pub(crate) fn resume(&mut self) -> bool {
        let outer = CURRENT.get();
        let over = matches!(self.coroutine.resume(()), CoroutineResult::Return(()));
        CURRENT.set(outer);
        over
    }

    /// Takes the stack of a fiber that is over back.
    pub(crate) fn finish(self) {
        let size = self.size;
        let stack = self.coroutine.into_stack();
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARES {
                spare.push((size, stack));
            }
        });
    }

    /// Takes the stack of a fiber back wherever it stopped. What is on the stack is forgotten, not dropped:
    /// its destructors would run kernel code (release locks, wake tasks) on a machine that has stopped.
    pub(crate) fn abandon(mut self) {
        if !self.coroutine.started() {
            // Only drops the body.
            self.coroutine.force_unwind();
            return self.finish();
        }
        // SAFETY: the fiber never runs again, so nothing looks at what was on its stack. Values there are
        // forgotten, as by `mem::forget`; `Scope::spawn` tells its callers so.
        unsafe { self.coroutine.force_reset() };
        self.finish();
    }
}

/// Leaves the running fiber until it is resumed. Outside of fibers it does nothing.
pub(crate) fn leave() {
    let exit = CURRENT.get();
    if exit.is_null() {
        return;
    }
    // SAFETY: `CURRENT` is the yielder of the fiber this thread runs: set when its body starts and below
    // after each return to it, and put back by `resume` when it is left. The yielder lives on that fiber's
    // stack below the body.
    unsafe { (*exit).suspend(()) };
    CURRENT.set(exit);
}
