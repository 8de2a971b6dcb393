//! Exact wait queues, keyed by address: sleeping locks, page locks and everything else that waits.
//!
//! Linux keeps 256 hashed queues for all pages, so that waking one page walks the waiters of others (thread
//! 002; 3,700 waiters, 0.8 s). Here a bucket holds one queue a key: waking a key touches that key's waiters
//! only. A queue needs no memory of its own: the task that waits first heads it.

pub use crate::queues::Parking;

use crate::{Cx, Event, Machine, Memory, level};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const AWAKE: u64 = 0;
const WAITING: u64 = 1;

impl<'m> Parking<'m> {
    /// Sleeps until [`Parking::wake_all`] names `key`, unless `skip` says there is no need.
    ///
    /// `skip` runs with the queue locked: whoever makes its answer true and then wakes `key` is not missed
    /// (WR20).
    pub fn park_unless<M: Machine, const L: u8>(
        &self,
        cx: &mut Cx<'m, M, L>,
        key: u64,
        skip: impl FnOnce(&mut Cx<'m, M, { level::PARK }>) -> bool,
    ) {
        const { assert!(L <= level::SLEEP_MAX, "lock order: no sleep under a spin lock or inside an epoch") };
        let me = cx.task();
        let waiter = &self.waiters[me.0 as usize];
        let bucket = self.bucket(key);
        {
            let mut held = bucket.lock.lock(cx);
            if skip(&mut held) {
                return;
            }
            // RELAXED: the bucket lock orders it before any waker.
            held.store(&waiter.state, WAITING, Relaxed);
            self.enqueue(bucket, me, key);
        }
        cx.trace(|| Event::Waits { key });
        // ORDERING: Acquire pairs with the Release in `wake_all`.
        while cx.load(&waiter.state, Acquire) == WAITING {
            cx.sleep();
        }
    }

    /// Wakes everybody who waits for `key`; answers how many.
    ///
    /// The queue is taken in one step: who is woken and waits again is not woken once more by the same call,
    /// which could then go on for ever (W-21; Linux's bookmarks in `wake_up_page_bit` did).
    pub fn wake_all<M: Machine, const L: u8>(&self, cx: &mut Cx<'m, M, L>, key: u64) -> usize {
        let bucket = self.bucket(key);
        let held = bucket.lock.lock(cx);
        let mut next = self.take(bucket, key);
        drop(held);
        let mut woken = 0;
        while let Some(task) = next {
            // Once awake the task may be in another queue.
            next = self.behind(task);
            // ORDERING: Release pairs with the Acquire in `park_unless`; the waiter may be gone right after
            // it.
            cx.store(&self.waiters[task.0 as usize].state, AWAKE, Release);
            cx.machine().unpark(cx.cpu(), task);
            woken += 1;
        }
        woken
    }
}
