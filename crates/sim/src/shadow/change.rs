//! Calls that take time: what other threads may see and store while one is under way.

use crate::shadow::model::Shadow;
use crate::shadow::process::{Cell, fresh_cell, source_at};
use crate::shadow::source::Keep;
use crate::shadow::window::{Change, Stored, Ticket, Window};
use machine::VirtAddr;

impl Shadow {
    /// A call begins that will change the process like this.
    pub fn begin(&mut self, pid: u32, change: Change) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let before = match change {
            Change::Fork => self.processes.get(&pid).cloned(),
            _ => None,
        };
        self.windows.push(Window { ticket, pid, change, before, stores: Vec::new() });
        ticket
    }

    /// The call succeeded: the change is made.
    pub fn end(&mut self, ticket: Ticket) {
        let Some(window) = self.take_window(ticket) else { return };
        self.apply(window.pid, &window.change);
        self.tighten(window.pid);
        let Some(process) = self.processes.get_mut(&window.pid) else { return };
        for Stored { addr, value, before } in window.stores {
            if let Change::Free { .. } = window.change {
                process.store_after_drop(addr, value);
                continue;
            }
            // The store came before the change took effect, and is lost, or after it, and stays.
            process.unsettle(addr, value);
            if let Change::Move { from, to, keep } = &window.change
                && from.contains(addr.page())
            {
                let moved = VirtAddr(addr.0 - from.start.addr().0 + to.start.addr().0);
                process.unsettle(moved, value);
                // Where memory stays behind it may have come after the old word had moved.
                if let (Keep::Mapping, Some(before)) = (keep, before) {
                    process.unsettle(moved, before);
                }
            }
        }
    }

    /// The call failed: nothing changed.
    pub fn cancel(&mut self, ticket: Ticket) {
        if let Some(window) = self.take_window(ticket) {
            self.tighten(window.pid);
        }
    }

    fn take_window(&mut self, ticket: Ticket) -> Option<Window> {
        let index = self.windows.iter().position(|window| window.ticket == ticket)?;
        Some(self.windows.remove(index))
    }

    pub(super) fn apply(&mut self, pid: u32, change: &Change) {
        self.follow(pid, change);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        match change {
            Change::Map { range, source } => process.map(*range, *source),
            Change::Unmap { range } => process.unmap(range),
            Change::Wipe { range } => process.wipe(range),
            Change::Free { range } => process.free_lazily(range),
            Change::Move { from, to, keep } => process.relocate(from, to, *keep),
            Change::Fork => {}
        }
    }

    pub(super) fn finish_fork(&mut self, ticket: Ticket, child: u32) {
        let Some(window) = self.take_window(ticket) else { return };
        let Some(mut process) = window.before else { return };
        for Stored { addr, value, .. } in window.stores {
            process.unsettle(addr, value);
        }
        for (addr, value) in self.coming_to(window.pid) {
            process.unsettle(addr, value);
        }
        self.give_up_all(child);
        self.processes.insert(child, process);
    }

    /// Remembers a store for the changes under way; answers whether one of them makes the store possible.
    pub(super) fn record(&mut self, pid: u32, addr: VirtAddr, value: u64) -> bool {
        let mut possible = false;
        let before = match self.processes.get_mut(&pid).map(|process| process.cell(&self.files, addr)) {
            Some(Cell::Word(value)) => Some(value),
            _ => None,
        };
        for window in self.windows.iter_mut().filter(|w| w.pid == pid && w.concerns(addr)) {
            window.stores.push(Stored { addr, value, before });
            possible |= match &window.change {
                Change::Map { .. } => true,
                Change::Move { to, .. } => to.contains(addr.page()),
                Change::Unmap { .. } | Change::Wipe { .. } | Change::Free { .. } | Change::Fork => false,
            };
        }
        possible
    }

    /// The values a load may find because of changes under way.
    pub(super) fn during(&mut self, pid: u32, addr: VirtAddr) -> Vec<u64> {
        let mut values = Vec::new();
        let word = (addr.offset() / 8) as usize;
        let Some(process) = self.processes.get_mut(&pid) else { return values };
        for window in self.windows.iter().filter(|w| w.pid == pid && w.concerns(addr)) {
            if window.change == Change::Fork {
                continue;
            }
            values.extend(window.stores.iter().filter(|store| store.addr == addr).map(|store| store.value));
            let after = match &window.change {
                Change::Map { range, source } => {
                    match fresh_cell(&self.files, source_at(*source, addr.page() - range.start), word) {
                        Cell::Word(value) => Some(value),
                        _ => None,
                    }
                }
                Change::Wipe { .. } | Change::Free { .. } => process.without_page(&self.files, addr),
                Change::Move { from, to, .. } if to.contains(addr.page()) => {
                    let old = VirtAddr(addr.0 - to.start.addr().0 + from.start.addr().0);
                    values.extend(
                        window.stores.iter().filter(|store| store.addr == old).map(|store| store.value),
                    );
                    match process.cell(&self.files, old) {
                        Cell::Word(value) => Some(value),
                        _ => None,
                    }
                }
                Change::Move { .. } => process.without_page(&self.files, addr),
                Change::Unmap { .. } | Change::Fork => None,
            };
            values.extend(after);
        }
        values
    }
}
