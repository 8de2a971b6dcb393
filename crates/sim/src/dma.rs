//! A device that loads and stores the bytes of frames on its own: DMA.
//!
//! A task gives it a transfer; the device makes it later, at one moment, whatever the CPUs do then. In runs
//! that follow the clocks that is at a chosen time; in explored runs it is a step of its own, at any moment.
//! The device knows frames, not addresses (there is no IOMMU): it is right only as long as somebody keeps the
//! frame for it.

use crate::SimMachine;
use crate::cpu::TaskState;
use crate::device::{Moved, Pending, Toward, Transfer};
use crate::explore::{Thing, Touch};
use crate::report::Counts;
use crate::task::TaskCtx;
use crate::violation::Rule;
use machine::{CpuId, Event, PAGE_SIZE, Pfn};

/// Transfers of more words than this touch their frame as a whole.
const WORDS_TOUCHED: u64 = 16;

impl SimMachine {
    /// The oldest transfer that was made since this was asked last. Who judges what a device loads and stores
    /// asks before every judgement of its own: then everything is told in the order in which it happened.
    /// Transfers nobody asks about are kept.
    pub fn next_moved(&self) -> Option<Moved> {
        self.device.moved.borrow_mut().pop_front()
    }

    /// Forgets the transfers that were not made, at the end of a scope.
    pub(crate) fn forget_transfers(&self) {
        self.device.pending.borrow_mut().clear();
        self.refresh_device();
    }

    /// Computes anew when the device has something to do.
    pub(crate) fn refresh_device(&self) {
        let next = self.device.next().map_or(u64::MAX, |(at, _)| at);
        self.next[self.cpus.len()].set(next);
        if next != u64::MAX {
            self.lower_limit(next);
        }
    }

    /// The device makes the transfer that is due first.
    pub(crate) fn make_due(&self) {
        let Some((at, place)) = self.device.next() else { return };
        self.now.set(at);
        let pending = self.device.pending.borrow_mut().remove(place);
        self.current.set(pending.from.0);
        self.make(pending);
        self.refresh_device();
    }

    /// The device makes the oldest transfer of a channel.
    pub(crate) fn make_oldest(&self, channel: u32) {
        let mut all = self.device.pending.borrow_mut();
        let Some(place) = all.iter().position(|pending| pending.channel == channel) else { return };
        let pending = all.remove(place);
        drop(all);
        self.order_here(pending.from.1);
        self.make(pending);
    }

    fn make(&self, pending: Pending) {
        let Pending { transfer, frame, given, offset, toward, mut bytes, waiters, .. } = pending;
        self.touch(Thing::transfer(transfer.0), Touch::Write);
        self.touch_part(frame, (offset, bytes.len() as u64), toward);
        self.check_life(frame, given, "a device accessed");
        match toward {
            Toward::Device => {
                Counts::add(&self.counts.dma_loads, 1);
                self.read_bytes("a device", frame, offset, &mut bytes);
            }
            Toward::Memory => {
                Counts::add(&self.counts.dma_stores, 1);
                self.change_frame("a device", frame, |content| content.write(offset as usize, &bytes));
            }
        }
        // Nobody asked just now: who did so may be doing anything.
        let ended = || Event::TransferEnded { transfer: transfer.0, frame, toward };
        self.tell_of(CpuId(self.current.get()), None, ended);
        let moved = Moved { transfer, at_ns: self.now.get(), frame, offset, toward, bytes };
        self.device.moved.borrow_mut().push_back(moved);
        for task in waiters {
            self.wake(task);
            let home = self.tasks.borrow()[task.0 as usize].cpu as usize;
            if !self.exploring.get() {
                self.next[home].set(self.cpus[home].next());
            }
        }
    }

    /// The running step touches these bytes of a frame.
    fn touch_part(&self, frame: Pfn, (offset, len): (u64, u64), toward: Toward) {
        if !self.exploring.get() {
            return;
        }
        let words = offset / 8..(offset + len).div_ceil(8);
        if words.end - words.start > WORDS_TOUCHED {
            return self.touch(Thing::frame(frame.0), Touch::Write);
        }
        let touch = if toward == Toward::Memory { Touch::Write } else { Touch::Read };
        words.for_each(|word| self.touch_bytes(frame, word, touch));
    }
}

impl TaskCtx<'_> {
    /// Lets the device load bytes of a frame, `after_ns` from now. `offset + len` is at most a page.
    pub fn dma_load(&self, frame: Pfn, offset: u64, len: u64, after_ns: u64) -> Transfer {
        let room = vec![0; len.min(PAGE_SIZE) as usize];
        self.submit((frame, offset), Toward::Device, room, after_ns)
    }

    /// Lets the device store bytes to a frame, `after_ns` from now. `offset + bytes.len()` is at most a page.
    pub fn dma_store(&self, frame: Pfn, offset: u64, bytes: &[u8], after_ns: u64) -> Transfer {
        self.submit((frame, offset), Toward::Memory, bytes.to_vec(), after_ns)
    }

    /// Whether a transfer was made (or never will be, since no device could).
    pub fn dma_done(&self, transfer: Transfer) -> bool {
        self.sim.point(self.cpu());
        self.sim.touch(Thing::transfer(transfer.0), Touch::Read);
        !self.sim.device.is_pending(transfer)
    }

    /// Sleeps until a transfer was made.
    pub fn dma_wait(&self, transfer: Transfer) {
        while !self.dma_done(transfer) && !self.sim.cannot_block() {
            let mut pending = self.sim.device.pending.borrow_mut();
            let awaited = pending.iter_mut().find(|pending| pending.transfer == transfer);
            let Some(awaited) = awaited else { return };
            awaited.waiters.push(self.task);
            drop(pending);
            self.sim.block_in(self.task, TaskState::Transferring, "waits for a device");
        }
    }

    fn submit(&self, (frame, offset): (Pfn, u64), toward: Toward, bytes: Vec<u8>, after_ns: u64) -> Transfer {
        let sim = self.sim;
        sim.point(self.cpu());
        sim.settle(self.cpu().0);
        let number = sim.device.submitted.get() + 1;
        sim.device.submitted.set(number);
        let transfer = Transfer(number);
        sim.touch(Thing::transfers(), Touch::Write);
        let fits = offset.saturating_add(bytes.len() as u64) <= PAGE_SIZE;
        let channel = number.checked_rem(u64::from(sim.device.channels));
        let possible = fits && sim.contents.borrow().exists(frame.0);
        let Some(channel) = channel.filter(|_| possible) else {
            sim.violate(Rule::WildEntry, format!("no device can access {offset:#x} of {frame:?}"));
            return transfer;
        };
        let channel = channel as u32;
        let at = sim.now.get().saturating_add(after_ns);
        let given = sim.generation(frame);
        let len = bytes.len() as u64;
        sim.tell_of(self.cpu(), Some(self.task), || Event::TransferBegun {
            transfer: number,
            frame,
            offset,
            len,
            toward,
        });
        let from = (self.cpu().0, sim.event());
        let pending =
            Pending { transfer, at, channel, frame, given, offset, toward, bytes, from, waiters: Vec::new() };
        sim.device.pending.borrow_mut().push(pending);
        sim.refresh_device();
        transfer
    }
}
