//! Who holds which lock, and what tasks sleep for.

use machine::{Event, LockId, TaskId};
use std::collections::BTreeMap;

/// The locks of the tasks of a run, as the manager tells of them.
#[derive(Default)]
pub(crate) struct Locks {
    /// By task, in the order taken.
    held: BTreeMap<u32, Vec<LockId>>,
    /// What a task sleeps for.
    keys: BTreeMap<u32, u64>,
}

/// Keys that differ in their low bits belong to one word (a page's lock and the end of its writeback).
fn word_of(key: u64) -> u64 {
    key & !7
}

impl Locks {
    pub(crate) fn tell(&mut self, task: TaskId, event: &Event) {
        let held = self.held.entry(task.0).or_default();
        match event {
            Event::Locked(lock) => held.push(*lock),
            Event::Unlocked(lock) => {
                if let Some(place) = held.iter().rposition(|own| own == lock) {
                    held.remove(place);
                    return;
                }
                // Handed over: who unlocks a page need not be who locked it.
                for held in self.held.values_mut() {
                    held.retain(|own| own != lock);
                }
            }
            Event::Waits { key } => {
                self.keys.insert(task.0, *key);
            }
            _ => {}
        }
    }

    /// Who holds the lock in a word, and at which level.
    pub(crate) fn holders(&self, word: u64) -> impl Iterator<Item = (TaskId, u8)> {
        self.held.iter().flat_map(move |(&task, held)| {
            held.iter().filter(move |lock| lock.key == word).map(move |lock| (TaskId(task), lock.level))
        })
    }

    /// The word that a task sleeps for.
    pub(crate) fn word_awaited(&self, task: TaskId) -> u64 {
        word_of(self.keys.get(&task.0).copied().unwrap_or(0))
    }

    pub(crate) fn held_by(&self, task: TaskId) -> &[LockId] {
        self.held.get(&task.0).map_or(&[], Vec::as_slice)
    }
}
