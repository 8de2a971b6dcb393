//! Address spaces as sets of ranges: just enough to say whether an address is mapped.

use std::collections::{BTreeMap, HashMap};

use record::{ForkMemory, Mapping, MappingKind, ProcessId, Recording, TaskId};

/// The most a stack may grow by itself.
const STACK_LIMIT: u64 = 8 << 20;

/// The mapped ranges of one address space, by their start.
#[derive(Clone, Default)]
pub(crate) struct Space {
    ranges: BTreeMap<u64, u64>,
    brk: u64,
    stack_end: u64,
}

impl Space {
    /// Maps a range over whatever is there.
    pub(crate) fn map(&mut self, start: u64, len: u64) {
        let len = len.next_multiple_of(4096);
        self.unmap(start, len);
        self.ranges.insert(start, start + len);
    }

    /// Unmaps a range.
    pub(crate) fn unmap(&mut self, start: u64, len: u64) {
        let end = start + len.next_multiple_of(4096);
        let hit: Vec<(u64, u64)> = self
            .ranges
            .range(..end)
            .rev()
            .map(|(&from, &to)| (from, to))
            .take_while(|&(_, to)| to > start)
            .collect();
        for (from, to) in hit {
            self.ranges.remove(&from);
            if from < start {
                self.ranges.insert(from, start);
            }
            if to > end {
                self.ranges.insert(end, to);
            }
        }
    }

    /// The heap ends at `end` now.
    pub(crate) fn brk(&mut self, end: u64) {
        let (from, to) = (self.brk.next_multiple_of(4096), end.next_multiple_of(4096));
        if self.brk != 0 && to > from {
            self.map(from, to - from);
        } else if self.brk != 0 {
            self.unmap(to, from - to);
        }
        self.brk = end;
    }

    /// Whether an address is mapped, or is where the stack may grow.
    pub(crate) fn holds(&self, addr: u64) -> bool {
        let below = self.ranges.range(..=addr).next_back();
        below.is_some_and(|(_, &end)| addr < end)
            || (addr < self.stack_end && addr >= self.stack_end.saturating_sub(STACK_LIMIT))
    }
}

/// The address spaces of all processes.
pub(crate) struct Spaces {
    processes: Vec<ProcessId>,
    /// Which space each process is in: children may borrow their parent's.
    current: HashMap<ProcessId, usize>,
    spaces: Vec<Space>,
}

impl Spaces {
    pub(crate) fn new(recording: &Recording) -> Self {
        Self {
            processes: recording.tasks.iter().map(|task| task.process).collect(),
            current: HashMap::from([(ProcessId(0), 0)]),
            spaces: vec![Space::default()],
        }
    }

    pub(crate) fn of(&mut self, task: TaskId) -> &mut Space {
        &mut self.spaces[self.current[&self.processes[task.0 as usize]]]
    }

    pub(crate) fn fork(&mut self, parent: TaskId, child: ProcessId, memory: ForkMemory) {
        let from = self.current[&self.processes[parent.0 as usize]];
        match memory {
            ForkMemory::Thread => {}
            ForkMemory::Shared | ForkMemory::BorrowedUntilExec => {
                self.current.insert(child, from);
            }
            ForkMemory::Copied => {
                self.spaces.push(self.spaces[from].clone());
                self.current.insert(child, self.spaces.len() - 1);
            }
        }
    }

    pub(crate) fn exec(&mut self, task: TaskId, mappings: &[Mapping], brk_start: u64) {
        let mut space = Space { brk: brk_start, ..Space::default() };
        for mapping in mappings {
            space.map(mapping.start, mapping.len);
            if mapping.kind == MappingKind::Stack {
                space.stack_end = mapping.end();
            }
        }
        self.spaces.push(space);
        self.current.insert(self.processes[task.0 as usize], self.spaces.len() - 1);
    }
}
