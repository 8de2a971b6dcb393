//! The kernel's stores to a program's memory: read(2), process_vm_writev(2).
//!
//! Such a call takes time. While it lasts a load may find a word of before or the new one; once somebody
//! found the new one, it is there. What the program itself stores meanwhile comes before or after. The
//! kernel's loads of a program's memory, which take time too, are judged as references are
//! ([`Shadow::refer`]).

use crate::shadow::holds::{Coming, Target, Write};
use crate::shadow::model::Shadow;
use crate::shadow::window::Ticket;
use machine::VirtAddr;

impl Shadow {
    /// A call begins that stores these words from `addr` on (rounded down to a word) in a process.
    pub fn write_begin(&mut self, pid: u32, addr: VirtAddr, values: &[u64]) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let mut words = Vec::with_capacity(values.len());
        for (number, &value) in values.iter().enumerate() {
            let [target, _] = self.targets(pid, VirtAddr((addr.0 & !7) + number as u64 * 8));
            let Some(target) = target else { continue };
            self.holds.refer(target, value);
            words.push(Coming { number, target, value, seen: false, disturbed: false, raced: None });
        }
        self.holds.writes.push(Write { ticket, words });
        ticket
    }

    /// The call is over: it stored the first `done` words.
    pub fn write_end(&mut self, ticket: Ticket, done: usize) {
        let Some(index) = self.holds.writes.iter().position(|write| write.ticket == ticket) else { return };
        let write = self.holds.writes.remove(index);
        for coming in write.words.into_iter().filter(|coming| coming.number < done && !coming.seen) {
            self.stores += 1;
            match coming.target {
                Target::Private(pid, addr) if coming.disturbed => self.open(pid, addr, coming.value),
                target => self.land(target, coming.value),
            }
            if let (Target::Private(pid, addr), Some(value)) = (coming.target, coming.raced) {
                self.open(pid, addr, value);
            }
        }
    }

    /// A word may hold this too.
    fn open(&mut self, pid: u32, addr: VirtAddr, value: u64) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.unsettle(addr, value);
        }
    }

    /// The kernel's store is made.
    fn land(&mut self, target: Target, value: u64) {
        match target {
            Target::Private(pid, addr) => {
                self.follow_store(pid, addr, value);
                self.record(pid, addr, value);
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.store(&mut self.files, addr, value);
                }
            }
            Target::File(file, page, word) => self.file_write(file, page, word, value),
        }
    }

    /// Whether the kernel is just storing this value there. If so, it is there now.
    pub(super) fn see_coming(&mut self, targets: [Option<Target>; 2], value: u64) -> bool {
        let fits = |coming: &&mut Coming| {
            !coming.seen && coming.value == value && targets.contains(&Some(coming.target))
        };
        let Some(coming) = self.holds.coming().find(fits) else { return false };
        coming.seen = true;
        let target = coming.target;
        self.land(target, value);
        true
    }

    /// What a child that is just made may hold because of stores under way in its parent.
    pub(super) fn coming_to(&mut self, parent: u32) -> Vec<(VirtAddr, u64)> {
        let of_parent = |coming: &mut Coming| match coming.target {
            Target::Private(pid, addr) if pid == parent => Some((addr, coming.value)),
            Target::Private(..) | Target::File(..) => None,
        };
        self.holds.coming().filter_map(of_parent).collect()
    }
}
