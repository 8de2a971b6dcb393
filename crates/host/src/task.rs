//! Sleeping: a token for each task, and the host's futex.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// Nobody called for the task, and it does not sleep.
const NONE: u32 = 0;
/// The task was called.
const TOKEN: u32 = 1;
/// The task sleeps, or is about to.
const ASLEEP: u32 = 2;

/// Where one task sleeps.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Parker(AtomicU32);

fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) {
    let no_timeout = std::ptr::null::<libc::timespec>();
    // SAFETY: the word lives as long as the call; the host only reads it, atomically. Every answer (woken,
    // interrupted, the value is another) means: look again.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation | libc::FUTEX_PRIVATE_FLAG, value, no_timeout)
    };
}

impl Parker {
    /// Takes the token, if there is one.
    pub(crate) fn take(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `wake`.
        self.0.compare_exchange(TOKEN, NONE, AcqRel, Acquire).is_ok()
    }

    /// Sleeps until there is a token, and takes it.
    pub(crate) fn sleep(&self) {
        // ORDERING: AcqRel pairs with the swap in `wake`: who wakes sees the sleeper, or this sees the token.
        if self.0.compare_exchange(NONE, ASLEEP, AcqRel, Acquire).is_ok() {
            while self.0.load(Acquire) == ASLEEP {
                futex(&self.0, libc::FUTEX_WAIT, ASLEEP);
            }
        }
        // ORDERING: AcqRel pairs with the swap in `wake`.
        self.0.swap(NONE, AcqRel);
    }

    /// Leaves a token.
    pub(crate) fn wake(&self) {
        // ORDERING: AcqRel pairs with `take` and `sleep`: what the waker did before is seen by who is woken.
        if self.0.swap(TOKEN, AcqRel) == ASLEEP {
            futex(&self.0, libc::FUTEX_WAKE, 1);
        }
    }
}
