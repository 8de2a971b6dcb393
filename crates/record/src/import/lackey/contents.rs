//! Which pages contain the same bytes.

use std::collections::HashMap;

use super::Page;
use crate::{EventKind, Recording};

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

    /// Leaves out what was seen only once in the whole recording, because to be like no other page
    /// is what a written page is taken for anyway; numbers the other classes from 1 as they come.
    pub(super) fn settle(recording: &mut Recording) {
        let mut seen: HashMap<u64, u64> = HashMap::new();
        for event in &recording.events {
            if let EventKind::Content { class, .. } = event.kind {
                *seen.entry(class).or_default() += 1;
            }
        }
        let mut numbers = HashMap::from([(0, 0)]);
        recording.events.retain_mut(|event| {
            let EventKind::Content { class, .. } = &mut event.kind else { return true };
            if *class != 0 && seen[class] < 2 {
                return false;
            }
            let next = numbers.len() as u64;
            *class = *numbers.entry(*class).or_insert(next);
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, TaskId};

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
    fn what_was_seen_once_is_left_out() {
        let event = |page, class| {
            let kind = EventKind::Content { page, class };
            Event { time_ns: 0, end_ns: 0, task: TaskId(0), kind }
        };
        let seen = [(1, 5), (2, 3), (3, 0), (4, 9), (5, 9), (6, 5)];
        let mut recording = Recording::default();
        recording.events = seen.map(|(page, class)| event(page, class)).to_vec();
        Contents::settle(&mut recording);
        let left = [(1, 1), (3, 0), (4, 2), (5, 2), (6, 1)];
        assert_eq!(recording.events, left.map(|(page, class)| event(page, class)).to_vec());
    }
}
