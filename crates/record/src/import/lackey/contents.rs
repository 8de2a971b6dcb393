//! Which pages contain the same bytes.

use std::collections::HashMap;

use super::Page;
use crate::{EventKind, ProcessId, Recording};

/// The classes of the pages that were looked at.
#[derive(Default)]
pub(super) struct Contents {
    classes: HashMap<blake3::Hash, u64>,
    looked_at: u64,
}

impl Contents {
    /// The class of a page; 0 is the page of zeros.
    pub(super) fn class_of(&mut self, page: &Page) -> u64 {
        self.looked_at += 1;
        if page.iter().all(|&byte| byte == 0) {
            return 0;
        }
        let next = self.classes.len() as u64 + 1;
        *self.classes.entry(blake3::hash(page)).or_insert(next)
    }

    /// Whether nothing is known of any page.
    pub(super) const fn is_unknown(&self) -> bool {
        self.looked_at == 0
    }

    /// Leaves out what was seen in one place only, because to be like no other page is what a
    /// written page is taken for anyway; numbers the other classes from 1 as they come.
    pub(super) fn settle(recording: &mut Recording) {
        let mut places: HashMap<u64, Places> = HashMap::new();
        for event in &recording.events {
            if let EventKind::Content { page, class } = event.kind {
                let place = (recording.tasks[event.task.0 as usize].process, page);
                let known = places.entry(class).or_insert(Places::One(place));
                if *known != Places::One(place) {
                    *known = Places::Several;
                }
            }
        }
        let mut numbers = HashMap::from([(0, 0)]);
        recording.events.retain_mut(|event| {
            let EventKind::Content { class, .. } = &mut event.kind else { return true };
            if *class != 0 && places.get(class) != Some(&Places::Several) {
                return false;
            }
            let next = numbers.len() as u64;
            *class = *numbers.entry(*class).or_insert(next);
            true
        });
    }
}

/// Where pages of a class were seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Places {
    /// Only at this page of this process.
    One((ProcessId, u64)),
    Several,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Task, TaskId};

    #[test]
    fn equal_pages_have_equal_classes_and_zeros_have_0() {
        let mut contents = Contents::default();
        assert!(contents.is_unknown());
        let mut page = [7; 4096];
        assert_eq!(contents.class_of(&page), 1);
        page[4095] = 8;
        assert_eq!(contents.class_of(&page), 2);
        assert_eq!(contents.class_of(&[0; 4096]), 0);
        assert_eq!(contents.class_of(&[7; 4096]), 1);
        assert!(!contents.is_unknown());
    }

    #[test]
    fn what_was_seen_in_one_place_is_left_out() {
        let event = |(task, page, class)| {
            let kind = EventKind::Content { page, class };
            Event { time_ns: 0, end_ns: 0, task: TaskId(task), kind }
        };
        let task = |process| Task { tid: 1, process: ProcessId(process) };
        // Tasks 0 and 1 are threads of one process.
        let tasks = vec![task(0), task(0), task(1)];
        let seen = [(0, 1, 5), (0, 2, 3), (0, 3, 0), (0, 4, 9), (2, 4, 9), (0, 1, 6), (1, 1, 6), (0, 7, 5)];
        let events = seen.map(event).to_vec();
        let mut recording = Recording { tasks, events, ..Recording::default() };
        Contents::settle(&mut recording);
        let left = [(0, 1, 1), (0, 3, 0), (0, 4, 2), (2, 4, 2), (0, 7, 1)];
        assert_eq!(recording.events, left.map(event).to_vec());
    }
}
