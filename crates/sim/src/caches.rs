//! What each CPU's caches hold, where that is modelled ([`crate::SimConfig::caches`]).
//!
//! [`crate::lines`] knows which CPU may have a line; here is whether it still has it. A CPU keeps the lines
//! it touched last, so many (`cache_lines`); any other comes from memory (`line_dram`). A prefetch asks
//! for a line without waiting: so many at a time (`lines_in_flight`), the others behind them. Who then needs
//! the line waits for the rest of its way.
//!
//! A line goes from one CPU to one other at a time: who wants it meanwhile waits until it has arrived there.
//! So a word that many CPUs write is as slow as one line is, however many they are. CPUs must not run far
//! ahead of each other for this (`quantum_ns`).
//!
//! Only words that go through the machine are seen. What the manager reads as plain fields is not: where it
//! touches other lines than the words beside it, they are prefetched, and so counted.

use crate::profile::Costs;
use std::cell::RefCell;
use std::collections::HashMap;

const WAYS: usize = 8;

/// How a line is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// In the CPU's caches.
    Here,
    /// On its way: it arrives then.
    Coming(u64),
    /// Nowhere near.
    Cold,
}

/// What a line is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    Read,
    Write,
}

/// The caches of all CPUs.
pub(crate) struct Caches {
    cpus: Vec<RefCell<Cache>>,
    dram: u64,
    /// Lines that went from CPU to CPU, and until when the last move took.
    moving: RefCell<HashMap<u64, u64>>,
}

struct Cache {
    /// Sets of lines, in each that touched last first. 0 is none.
    sets: Vec<[u32; WAYS]>,
    /// Lines asked for and when they arrive.
    coming: Vec<(u64, u64)>,
    /// When each of those that can be asked for at a time is free again.
    slots: Vec<u64>,
    /// Lines that were waited for, and lines that were asked for ahead.
    cold: (u64, u64),
}

impl Caches {
    pub(crate) fn new(cpus: u32, costs: &Costs) -> Caches {
        let sets = (costs.cache_lines / WAYS as u64).max(1).next_power_of_two() as usize;
        let slots = costs.lines_in_flight.clamp(1, 64) as usize;
        let cache =
            || Cache { sets: vec![[0; WAYS]; sets], coming: Vec::new(), slots: vec![0; slots], cold: (0, 0) };
        Caches {
            cpus: (0..cpus).map(|_| RefCell::new(cache())).collect(),
            dram: costs.line_dram,
            moving: RefCell::default(),
        }
    }

    /// A CPU touches a line: it has it from now on.
    pub(crate) fn touch(&self, cpu: u32, line: u64) -> Found {
        let cache = &mut *self.cpus[cpu as usize].borrow_mut();
        if !cache.keep(line) {
            return Found::Cold;
        }
        match cache.coming.iter().position(|coming| coming.0 == line) {
            Some(index) => Found::Coming(cache.coming.swap_remove(index).1),
            None => Found::Here,
        }
    }

    /// A line comes from another CPU, which takes `way`; answers for how long the CPU waits. Who writes keeps
    /// it until it is there.
    pub(crate) fn transfer(&self, line: u64, (now, way): (u64, u64), want: Use) -> u64 {
        let mut moving = self.moving.borrow_mut();
        let until = moving.entry(line).or_default();
        let arrives = now.max(*until) + way;
        if want == Use::Write {
            *until = arrives;
        }
        arrives - now
    }

    /// Counts a line that a CPU waited for.
    pub(crate) fn count_waited(&self, cpu: u32) {
        self.cpus[cpu as usize].borrow_mut().cold.0 += 1;
    }

    /// Counts a line that a CPU asked for.
    pub(crate) fn count_asked(&self, cpu: u32) {
        self.cpus[cpu as usize].borrow_mut().cold.1 += 1;
    }

    /// A CPU's cold lines so far: waited for, and asked for ahead.
    pub(crate) fn cold(&self, cpu: u32) -> (u64, u64) {
        self.cpus[cpu as usize].borrow().cold
    }

    /// A CPU asks for a line. Answers whether it was not there. `way` is how long it takes if it comes from
    /// another CPU.
    pub(crate) fn prefetch(&self, cpu: u32, line: u64, (now, way): (u64, Option<u64>)) -> bool {
        let cache = &mut *self.cpus[cpu as usize].borrow_mut();
        let there = cache.keep(line);
        if there && way.is_none() {
            return false;
        }
        cache.coming.retain(|coming| coming.1 > now && coming.0 != line);
        // A profile has at least one slot.
        let Some(slot) = cache.slots.iter_mut().min() else { return false };
        let arrives = now.max(*slot) + way.unwrap_or(self.dram);
        *slot = arrives;
        cache.coming.push((line, arrives));
        true
    }
}

impl Cache {
    /// Puts a line first in its set; answers whether it was in it.
    fn keep(&mut self, line: u64) -> bool {
        let mixed = line.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let set = mixed as usize & (self.sets.len() - 1);
        let set = &mut self.sets[set];
        // Lines that differ only above 32 bits and share a set are rare enough to be taken for one.
        let tag = (line as u32).wrapping_add(1).max(1);
        let found = set.iter().position(|&kept| kept == tag);
        set[..=found.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = tag;
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn caches(lines: u64) -> Caches {
        let costs = Costs { cache_lines: lines, lines_in_flight: 2, ..Profile::x86_2020s().costs };
        Caches::new(2, &Costs { line_dram: 100, ..costs })
    }

    #[test]
    fn a_line_is_cold_once_and_again_when_others_took_its_place() {
        let caches = caches(64);
        assert_eq!(caches.touch(0, 7), Found::Cold);
        assert_eq!(caches.touch(0, 7), Found::Here);
        assert_eq!(caches.touch(1, 7), Found::Cold, "another CPU has its own");
        (1_000..2_000).for_each(|line| {
            caches.touch(0, line);
        });
        assert_eq!(caches.touch(0, 7), Found::Cold);
    }

    #[test]
    fn a_line_that_many_write_goes_from_one_to_the_next() {
        let caches = caches(64);
        assert_eq!(caches.transfer(7, (0, 50), Use::Write), 50);
        assert_eq!(caches.transfer(7, (10, 50), Use::Write), 90);
        assert_eq!(caches.transfer(7, (20, 50), Use::Read), 130);
        assert_eq!(caches.transfer(7, (20, 50), Use::Read), 130, "readers share it");
        assert_eq!(caches.transfer(8, (20, 50), Use::Write), 50, "another line");
        assert_eq!(caches.transfer(7, (500, 50), Use::Write), 50);
    }

    #[test]
    fn prefetched_lines_overlap_up_to_a_number() {
        let caches = caches(64);
        assert!((0..4).all(|line| caches.prefetch(0, line, (0, None))));
        assert!(!caches.prefetch(0, 0, (5, None)), "it is on its way");
        assert_eq!(caches.touch(0, 0), Found::Coming(100));
        assert_eq!(caches.touch(0, 1), Found::Coming(100));
        assert_eq!(caches.touch(0, 2), Found::Coming(200), "two at a time");
        assert_eq!(caches.touch(0, 0), Found::Here);
        assert!(caches.prefetch(0, 0, (300, Some(50))), "another CPU has written it");
        assert_eq!(caches.touch(0, 0), Found::Coming(350));
    }
}
