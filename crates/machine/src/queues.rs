//! The queues of sleeping tasks: one a key, chained in hash buckets, headed by the task that waits longest.

use crate::lock_word::Spin;
use crate::{Boot, Field, Machine, Shortage, TaskId, Word, level};

crate::cells! {
    /// One hash bucket: a chain of queues, each headed by the task that waits longest for its key.
    #[repr(align(64))]
    pub(crate) struct Bucket {
        pub(crate) lock: Spin<{ level::PARK }>,
        /// (lock) Head of the first queue.
        first: Field<Option<TaskId>>,
    }
}

crate::cells! {
    /// A task's place in a queue.
    #[repr(align(64))]
    pub(crate) struct Waiter {
        /// 1 (waiting) while queued; cleared by the waker as its last touch (WR21).
        pub(crate) state: Word,
        /// (bucket lock) What is waited for.
        key: Field<u64>,
        /// (bucket lock, or the waker that took the queue) The next waiter of the same key.
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
    pub(crate) waiters: &'m [Waiter],
}

impl<'m> Parking<'m> {
    /// Queues for every task of the machine.
    pub fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let tasks = boot.machine().tasks_max() as usize;
        let buckets = (tasks / 4).next_power_of_two().clamp(16, 1024);
        Ok(Parking { buckets: boot.array(buckets)?, waiters: boot.array(tasks)? })
    }

    /// How many tasks wait for `key`: for checkers of a quiet machine.
    pub fn waiting_for(&self, key: u64) -> usize {
        let head = self.find(self.bucket(key), key).1;
        core::iter::successors(head, |task| self.waiters[task.0 as usize].next.get()).count()
    }

    /// The bucket of a key. Keys are addresses: only their distance from the queues counts, so that a machine
    /// hashes alike wherever its memory lies, and a simulated run repeats exactly.
    pub(crate) fn bucket(&self, key: u64) -> &'m Bucket {
        let distance = key.wrapping_sub(self.buckets.as_ptr() as u64);
        let hash = (distance >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
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

    pub(crate) fn enqueue(&self, bucket: &Bucket, me: TaskId, key: u64) {
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

    /// Takes the whole queue of a key out of its bucket; answers its head. From here on `next` of its waiters
    /// belongs to the caller, until each is woken.
    pub(crate) fn take(&self, bucket: &Bucket, key: u64) -> Option<TaskId> {
        let (before, head) = self.find(bucket, key);
        let successor = self.waiters[head?.0 as usize].next_queue.get();
        match before {
            Some(before) => self.waiters[before.0 as usize].next_queue.set(successor),
            None => bucket.first.set(successor),
        }
        head
    }

    /// The waiter behind this one.
    pub(crate) fn behind(&self, task: TaskId) -> Option<TaskId> {
        self.waiters[task.0 as usize].next.get()
    }
}
