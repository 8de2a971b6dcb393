//! The barrier that only who asks for it pays: `membarrier(2)`.

use machine::ReaderOrder;
use std::sync::atomic::{Ordering, compiler_fence, fence};

/// How marks of the fast side are ordered before its reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Barrier {
    /// The slow side makes all threads of this process pass a fence; the fast side does nothing.
    Membarrier,
    /// Both sides pass a fence.
    Fence,
}

fn membarrier(command: libc::c_int) -> libc::c_long {
    // SAFETY: the call reads and writes no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}

impl Barrier {
    /// The kind that was asked for, or a fence if the host has no other.
    pub(crate) fn register(order: ReaderOrder) -> Barrier {
        let registered = || membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
        if order == ReaderOrder::HeavyBarrier && registered() { Barrier::Membarrier } else { Barrier::Fence }
    }

    /// The fast side, between its mark and what it reads then.
    #[inline]
    pub(crate) fn light(self) {
        match self {
            // ORDERING: the compiler keeps the order; the processor's is `heavy`'s matter.
            Barrier::Membarrier => compiler_fence(Ordering::SeqCst),
            // ORDERING: SeqCst pairs with the fence in `heavy`.
            Barrier::Fence => fence(Ordering::SeqCst),
        }
    }

    /// The slow side, between what it changed and its look at the marks.
    pub(crate) fn heavy(self) {
        // ORDERING: SeqCst pairs with the fence in `light`, and orders this thread itself.
        fence(Ordering::SeqCst);
        if self == Barrier::Membarrier {
            // Every thread of the process that runs passes a fence; one that does not run passes one before
            // it runs again. It cannot fail once registered.
            let done = membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
            assert_eq!(done, 0, "membarrier after its registration");
        }
    }
}
