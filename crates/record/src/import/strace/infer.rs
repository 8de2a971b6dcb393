//! What `execve` must have mapped, from the calls that needed it.
//!
//! `strace` does not show what `execve` maps, but a program soon protects parts of itself and of
//! its dynamic linker. Whatever a successful call needed to be mapped, and no call had mapped
//! before, was there from the start.

use std::collections::{BTreeMap, HashMap};

use crate::{Call, EventKind, ForkMemory, Mapping, MappingKind, ProcessId, Prot, Recording};
use crate::{Sharing, USER_TOP};

const PAGE: u64 = 4096;

/// Adds to every exec of `recording` the mappings and the heap's start that its calls give away.
pub(super) fn exec_mappings(recording: &mut Recording) {
    let mut inferred = Inferred::default();
    for (number, event) in recording.events.iter().enumerate() {
        let process = recording.tasks[event.task.0 as usize].process;
        match &event.kind {
            EventKind::Exec { .. } => inferred.exec(process, number),
            EventKind::Fork { child_process, memory, .. } => {
                inferred.fork(process, *child_process, *memory);
            }
            EventKind::Call { call, ret } => inferred.call(process, call, *ret),
            _ => {}
        }
    }
    for (number, found) in inferred.found {
        if let EventKind::Exec { mappings, brk_start } = &mut recording.events[number].kind {
            *mappings = found.needed.mappings();
            *brk_start = found.brk_start;
        }
    }
}

/// What is known of the spaces so far.
#[derive(Default)]
struct Inferred {
    /// Which space each process is in.
    current: HashMap<ProcessId, usize>,
    spaces: Vec<Space>,
    /// What was found out about each exec, by its event's number.
    found: BTreeMap<usize, Found>,
}

/// An address space.
#[derive(Clone)]
struct Space {
    /// The exec that it, or the one it was copied from, started with.
    exec: usize,
    /// What is mapped, as far as is known.
    mapped: Ranges,
    /// The end of the heap, or 0.
    brk: u64,
}

/// What an exec did.
#[derive(Default)]
struct Found {
    needed: Ranges,
    brk_start: u64,
}

impl Inferred {
    fn exec(&mut self, process: ProcessId, exec: usize) {
        self.found.insert(exec, Found::default());
        self.spaces.push(Space { exec, mapped: Ranges::default(), brk: 0 });
        self.current.insert(process, self.spaces.len() - 1);
    }

    fn fork(&mut self, parent: ProcessId, child: ProcessId, memory: ForkMemory) {
        let Some(&from) = self.current.get(&parent) else { return };
        if memory == ForkMemory::Copied {
            self.spaces.push(self.spaces[from].clone());
            self.current.insert(child, self.spaces.len() - 1);
        } else {
            self.current.insert(child, from);
        }
    }

    fn call(&mut self, process: ProcessId, call: &Call, ret: i64) {
        let Some(&index) = self.current.get(&process) else { return };
        let space = &mut self.spaces[index];
        let Some(found) = self.found.get_mut(&space.exec) else { return };
        match *call {
            Call::Brk { .. } => space.brk(ret as u64, found),
            _ if ret < 0 => {}
            Call::Mmap { len, .. } => space.mapped.add(ret as u64, len),
            Call::Munmap { addr, len } => space.mapped.remove(addr, len),
            Call::Mremap { addr, old_len, new_len, .. } => {
                space.need(addr, old_len, found);
                space.mapped.remove(addr, old_len);
                space.mapped.add(ret as u64, new_len);
            }
            Call::Mprotect { addr, len, .. }
            | Call::Madvise { addr, len, .. }
            | Call::Mlock { addr, len }
            | Call::Mlock2 { addr, len, .. }
            | Call::Msync { addr, len, .. } => space.need(addr, len, found),
            _ => {}
        }
    }
}

impl Space {
    /// A call succeeded that needed a range to be mapped.
    fn need(&mut self, start: u64, len: u64, found: &mut Found) {
        for (from, to) in self.mapped.gaps(start, len) {
            found.needed.add(from, to - from);
        }
        self.mapped.add(start, len);
    }

    fn brk(&mut self, end: u64, found: &mut Found) {
        if end >= USER_TOP {
            return;
        }
        if self.brk == 0 {
            found.brk_start = end;
        } else {
            let (from, to) = (round_up(self.brk), round_up(end));
            self.mapped.add(from, to.saturating_sub(from));
            self.mapped.remove(to, from.saturating_sub(to));
        }
        self.brk = end;
    }
}

/// Disjoint ranges of pages, by their start.
#[derive(Clone, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    fn add(&mut self, start: u64, len: u64) {
        if let Some((mut start, mut end)) = bounds(start, len) {
            for (from, to) in self.touching(start, end) {
                self.0.remove(&from);
                (start, end) = (start.min(from), end.max(to));
            }
            self.0.insert(start, end);
        }
    }

    fn remove(&mut self, start: u64, len: u64) {
        let Some((start, end)) = bounds(start, len) else { return };
        for (from, to) in self.touching(start, end) {
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, start);
            }
            if to > end {
                self.0.insert(end, to);
            }
        }
    }

    /// The parts of a range that are not in here.
    fn gaps(&self, start: u64, len: u64) -> Vec<(u64, u64)> {
        let Some((mut start, end)) = bounds(start, len) else { return Vec::new() };
        let mut gaps = Vec::new();
        for (from, to) in self.touching(start, end) {
            if from > start {
                gaps.push((start, from));
            }
            start = start.max(to);
        }
        if start < end {
            gaps.push((start, end));
        }
        gaps
    }

    /// The ranges that overlap or border on `start..end`, in order.
    fn touching(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let reach = self.0.range(..start).next_back().filter(|(_, to)| **to >= start);
        let first = reach.map_or(start, |(&from, _)| from);
        self.0.range(first..=end).map(|(&from, &to)| (from, to)).collect()
    }

    /// As mappings whose kind and protection are guesses.
    fn mappings(&self) -> Vec<Mapping> {
        let mapping = |(&start, &end): (&u64, &u64)| Mapping {
            start,
            len: end - start,
            prot: Prot::READ | Prot::WRITE,
            sharing: Sharing::Private,
            kind: MappingKind::Anonymous,
            backing: None,
        };
        self.0.iter().map(mapping).collect()
    }
}

/// The pages of a range inside user space, unless there are none.
fn bounds(start: u64, len: u64) -> Option<(u64, u64)> {
    let end = start.checked_add(len).map(round_up).filter(|&end| end <= USER_TOP)?;
    let start = start / PAGE * PAGE;
    (start < end).then_some((start, end))
}

/// Rounds up to a page; whatever is too large stays so.
fn round_up(addr: u64) -> u64 {
    addr.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_split_and_show_their_gaps() {
        let mut ranges = Ranges::default();
        ranges.add(0x1000, 0x1000);
        ranges.add(0x2000, 1);
        ranges.add(0x8000, 0x2000);
        assert_eq!(ranges.gaps(0, 0xb000), [(0, 0x1000), (0x3000, 0x8000), (0xa000, 0xb000)]);
        ranges.remove(0x2000, 0x7000);
        assert_eq!(ranges.0, BTreeMap::from([(0x1000, 0x2000), (0x9000, 0xa000)]));
        assert_eq!(ranges.gaps(0x1000, 0x1000), []);
        assert_eq!(ranges.gaps(u64::MAX, 2), []);
        ranges.add(u64::MAX - 5, 4);
        assert_eq!(ranges.0.len(), 2);
    }
}
