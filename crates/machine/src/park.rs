//! Exact wait queues, keyed by address: sleeping locks, page locks and everything else that waits.
//!
//! Linux keeps 256 hashed queues for all pages, so that waking one page walks the waiters of others (thread 002; 3,700
//! waiters, 0.8 s). Here a bucket holds one queue a key: waking a key touches that key's waiters only. A queue needs no
//! memory of its own: the task that waits first heads it.

use crate::lock::Spin;
use crate::{Boot, Cx, Field, Machine, Memory, Shortage, TaskId, Word, level};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const AWAKE: u64 = 0;
const WAITING: u64 = 1;

crate::cells! {
    /// One hash bucket: a chain of queues, each headed by the task that waits longest for its key.
    #[repr(align(64))]
    pub struct Bucket {
        lock: Spin<{ level::PARK }>,
        /// (lock) Head of the first queue.
        first: Field<Option<TaskId>>,
    }
}

crate::cells! {
    /// A task's place in a queue.
    #[repr(align(64))]
    pub struct Waiter {
        /// `WAITING` while queued; cleared by the waker as its last touch (WR21).
        state: Word,
        /// (bucket lock) What is waited for.
        key: Field<u64>,
        /// (bucket lock) The next waiter of the same key.
        next: Field<Option<TaskId>>,
        /// (bucket lock, heads only) The next queue of the bucket.
        next_queue: Field<Option<TaskId>>,
        /// (bucket lock, heads only) The last waiter of the queue.
        tail: Field<Option<TaskId>>,
    }
}

/// The wait queues of one machine.
#[derive(Clone, Copy)]
pub struct Parking<'m> {
    buckets: &'m [Bucket],
    waiters: &'m [Waiter],
}

impl<'m> Parking<'m> {
    /// Queues for every task of the machine.
    pub fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let tasks = boot.machine().tasks_max() as usize;
        let buckets = (tasks / 4).next_power_of_two().clamp(16, 1024);
        Ok(Parking { buckets: boot.array(buckets)?, waiters: boot.array(tasks)? })
    }

    /// Sleeps until [`Parking::wake_all`] or [`Parking::wake_one`] names `key`, unless `skip` says there is no need.
    ///
    /// `skip` runs with the queue locked: whoever makes its answer true and then wakes `key` is not missed (WR20).
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
        // ORDERING: Acquire pairs with the Release in `release_waiter`.
        while cx.load(&waiter.state, Acquire) == WAITING {
            cx.sleep();
        }
    }

    /// Wakes everybody who waits for `key`; answers how many.
    pub fn wake_all<M: Machine, const L: u8>(&self, cx: &mut Cx<'m, M, L>, key: u64) -> usize {
        self.wake(cx, key, usize::MAX)
    }

    /// Wakes who waits longest for `key`; answers whether somebody did.
    pub fn wake_one<M: Machine, const L: u8>(&self, cx: &mut Cx<'m, M, L>, key: u64) -> bool {
        self.wake(cx, key, 1) == 1
    }

    fn wake<M: Machine, const L: u8>(&self, cx: &mut Cx<'m, M, L>, key: u64, most: usize) -> usize {
        let bucket = self.bucket(key);
        let mut woken = 0;
        while woken < most {
            let held = bucket.lock.lock(cx);
            let Some(task) = self.dequeue(bucket, key) else { break };
            // ORDERING: Release pairs with the Acquire in `park_unless`; the waiter may be gone right after it.
            held.store(&self.waiters[task.0 as usize].state, AWAKE, Release);
            drop(held);
            cx.machine().unpark(cx.cpu(), task);
            woken += 1;
        }
        woken
    }

    /// How many tasks wait for `key`: for checkers of a quiet machine.
    pub fn waiting_for(&self, key: u64) -> usize {
        let head = self.find(self.bucket(key), key).1;
        core::iter::successors(head, |task| self.waiters[task.0 as usize].next.get()).count()
    }

    fn bucket(&self, key: u64) -> &'m Bucket {
        let hash = (key >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        &self.buckets[hash as usize & (self.buckets.len() - 1)]
    }

    /// The head of the queue of `key`, and the head of the queue before it in the chain.
    fn find(&self, bucket: &Bucket, key: u64) -> (Option<TaskId>, Option<TaskId>) {
        let mut before = None;
        let mut head = bucket.first.get();
        while let Some(task) = head {
            let waiter = &self.waiters[task.0 as usize];
            if waiter.key.get() == key {
                break;
            }
            before = head;
            head = waiter.next_queue.get();
        }
        (before, head)
    }

    fn enqueue(&self, bucket: &Bucket, me: TaskId, key: u64) {
        let waiter = &self.waiters[me.0 as usize];
        waiter.key.set(key);
        waiter.next.set(None);
        match self.find(bucket, key).1 {
            Some(head) => {
                let head = &self.waiters[head.0 as usize];
                if let Some(last) = head.tail.replace(Some(me)) {
                    self.waiters[last.0 as usize].next.set(Some(me));
                }
            }
            None => {
                waiter.tail.set(Some(me));
                waiter.next_queue.set(bucket.first.get());
                bucket.first.set(Some(me));
            }
        }
    }

    fn dequeue(&self, bucket: &Bucket, key: u64) -> Option<TaskId> {
        let (before, head) = self.find(bucket, key);
        let head = head?;
        let old = &self.waiters[head.0 as usize];
        let successor = match old.next.get() {
            Some(next) => {
                let heir = &self.waiters[next.0 as usize];
                heir.tail.set(old.tail.get());
                heir.next_queue.set(old.next_queue.get());
                Some(next)
            }
            None => old.next_queue.get(),
        };
        match before {
            Some(before) => self.waiters[before.0 as usize].next_queue.set(successor),
            None => bucket.first.set(successor),
        }
        Some(head)
    }
}
