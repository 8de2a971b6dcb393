//! The shadow memory beside a scenario, where calls of one address space may overlap.

use freehold::machine::{FileKey, VirtAddr, Vpn, VpnRange};
use sim::shadow::{Change, Mismatch, Shadow, Source, Ticket};

/// A change that has begun.
#[must_use = "a change that has begun must end"]
pub(super) struct Begun(Ticket);

/// A change under way.
struct Open {
    ticket: Ticket,
    memory: u32,
    change: Change,
    /// Whether another change crossed it, so that nobody knows which of them came last.
    is_crossed: bool,
    /// Of a fork: where its child may be either way.
    unclear: Vec<VpnRange>,
}

/// The shadow, and what it cannot know: which of two changes that overlap in time came last. What they have
/// in common is unclear, and not judged, until a change that nobody crosses makes it clear.
#[derive(Default)]
pub(super) struct Judge {
    shadow: Shadow,
    /// How many processes use each memory.
    users: Vec<u32>,
    open: Vec<Open>,
    unclear: Vec<(u32, VpnRange)>,
    /// What the child of a fork does not get (`MADV_DONTFORK`).
    not_forked: Vec<(u32, VpnRange)>,
    /// A store went where nothing should be mapped by the unclear layout: files may have changed.
    files_unclear: bool,
}

const ALL: VpnRange = VpnRange { start: Vpn(0), end: Vpn(1 << 36) };

/// The pages that a change is about.
pub(super) fn ranges(change: &Change) -> [VpnRange; 2] {
    let none = VpnRange { start: Vpn(0), end: Vpn(0) };
    match change {
        Change::Map { range, .. }
        | Change::Unmap { range }
        | Change::Wipe { range }
        | Change::Free { range } => [*range, none],
        Change::Move { from, to, .. } => [*from, *to],
        Change::Fork => [ALL, none],
    }
}

/// Whether two changes come to the same in either order.
fn commute(a: &Change, b: &Change) -> bool {
    let takes =
        |change: &Change| matches!(change, Change::Unmap { .. } | Change::Wipe { .. } | Change::Free { .. });
    takes(a) && takes(b) || *a == Change::Fork && *b == Change::Fork
}

impl Judge {
    /// The model.
    pub(super) fn shadow(&mut self) -> &mut Shadow {
        &mut self.shadow
    }

    /// A new memory with one user.
    pub(super) fn fresh_memory(&mut self) -> u32 {
        self.users.push(1);
        let memory = self.users.len() as u32 - 1;
        self.shadow.process(memory);
        memory
    }

    /// One more process uses it.
    pub(super) fn share(&mut self, memory: u32) {
        self.users[memory as usize] += 1;
    }

    /// One process less uses it.
    pub(super) fn leave(&mut self, memory: u32) {
        self.users[memory as usize] -= 1;
        if self.users[memory as usize] == 0 {
            self.shadow.exit(memory);
        }
    }

    // ---- changes ----

    /// A call begins that will change the memory like this.
    pub(super) fn begin(&mut self, memory: u32, change: Change) -> Begun {
        let mut own = Vec::new();
        let mut is_crossed = false;
        for other in self.open.iter_mut().filter(|open| open.memory == memory) {
            if commute(&other.change, &change) {
                continue;
            }
            for a in ranges(&other.change) {
                for both in
                    ranges(&change).map(|b| a.intersect(&b)).into_iter().filter(|both| !both.is_empty())
                {
                    match (&other.change, &change) {
                        (Change::Fork, _) => other.unclear.push(both),
                        (_, Change::Fork) => own.push(both),
                        _ => {
                            (other.is_crossed, is_crossed) = (true, true);
                            self.unclear.push((memory, both));
                        }
                    }
                }
            }
        }
        let ticket = self.shadow.begin(memory, change.clone());
        self.open.push(Open { ticket, memory, change, is_crossed, unclear: own });
        Begun(ticket)
    }

    fn take(&mut self, begun: &Begun) -> Option<Open> {
        let index = self.open.iter().position(|open| open.ticket == begun.0)?;
        Some(self.open.remove(index))
    }

    /// The call succeeded.
    pub(super) fn end(&mut self, begun: Begun) {
        let open = self.take(&begun);
        self.shadow.end(begun.0);
        let Some(open) = open.filter(|open| !open.is_crossed) else { return };
        if let Change::Map { range, .. } | Change::Unmap { range } = open.change {
            let inside = |part: &VpnRange| part.intersect(&range) == *part;
            self.unclear.retain(|(memory, part)| *memory != open.memory || !inside(part));
        }
    }

    /// The call failed, and changed nothing.
    pub(super) fn cancel(&mut self, begun: Begun) {
        let _ = self.take(&begun);
        self.shadow.cancel(begun.0);
    }

    /// The fork made a child: answers its memory.
    pub(super) fn forked(&mut self, begun: Begun) -> u32 {
        let open = self.take(&begun);
        self.users.push(1);
        let child = self.users.len() as u32 - 1;
        self.shadow.fork_end(begun.0, child);
        if let Some(open) = open {
            let of_parent = |list: &[(u32, VpnRange)]| -> Vec<_> {
                list.iter()
                    .filter(|(memory, _)| *memory == open.memory)
                    .map(|(_, range)| (child, *range))
                    .collect()
            };
            let inherited = of_parent(&self.unclear);
            self.unclear.extend(inherited);
            self.unclear.extend(open.unclear.iter().map(|range| (child, *range)));
            for (_, range) in of_parent(&self.not_forked) {
                self.shadow.unmap(child, range);
            }
        }
        child
    }

    /// The file has another size now. What of it a child gets that is just being made, nobody knows.
    pub(super) fn truncated(&mut self, file: FileKey, size: u64) {
        self.shadow.truncate(file, size);
        for open in self.open.iter_mut().filter(|open| open.change == Change::Fork) {
            open.unclear.push(ALL);
        }
    }

    /// Children from here on get these pages, or do not.
    pub(super) fn fork_or_not(&mut self, memory: u32, range: VpnRange, forks: Forks) {
        match forks {
            Forks::No => self.not_forked.push((memory, range)),
            Forks::Yes => self.not_forked.retain(|(of, part)| *of != memory || !part.overlaps(&range)),
        }
    }

    // ---- accesses ----

    fn is_unclear(&self, memory: u32, addr: VirtAddr) -> bool {
        self.unclear.iter().any(|(of, range)| *of == memory && range.contains(addr.page()))
    }

    /// A load found this.
    pub(super) fn load(&mut self, memory: u32, addr: VirtAddr, value: u64) -> Result<(), Mismatch> {
        if !self.unclear.is_empty() && (self.is_unclear(memory, addr) || self.files_unclear) {
            return Ok(());
        }
        self.shadow.load(memory, addr, value)
    }

    /// A store of this succeeded.
    pub(super) fn store(&mut self, memory: u32, addr: VirtAddr, value: u64) -> Result<(), Mismatch> {
        let agreed = self.shadow.store(memory, addr, value);
        if !self.unclear.is_empty() && self.is_unclear(memory, addr) {
            self.files_unclear |= agreed.is_err();
            return Ok(());
        }
        agreed
    }

    /// A stack grew.
    pub(super) fn grown(&mut self, memory: u32, range: VpnRange) {
        self.shadow.map(memory, range, Source::Anonymous);
    }

    /// Whether what was stored at a place can be told.
    pub(super) fn is_clear(&self, memory: u32, addr: VirtAddr) -> bool {
        !self.is_unclear(memory, addr)
    }
}

/// Whether children get a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Forks {
    Yes,
    No,
}
