//! Memory for structures whose number is known at start: taken off the front of the first boot range, never
//! given back.

use crate::cells::cast_words;
use crate::{Cells, CpuId, Frames, KernelFrame, Machine, NodeId, NodeSet, Order, PAGE_SIZE, Pfn, Shortage};
use core::cell::Cell;

/// The boot allocator. What it handed out is reserved when the zones are built.
pub struct Boot<'m, M: Machine> {
    machine: &'m M,
    next: Cell<Pfn>,
    /// Bytes of the frame before `next` that are still free.
    spare: Cell<u64>,
    start: Pfn,
    end: Pfn,
}

impl<'m, M: Machine> Boot<'m, M> {
    /// Starts handing out the machine's first memory range.
    pub fn new(machine: &'m M) -> Result<Self, Shortage> {
        let range =
            machine.memory(0).ok_or(Shortage { order: Order::ZERO, node: NodeId(0), nodes: NodeSet::ALL })?;
        let end = range.start.plus(range.frames);
        Ok(Boot { machine, next: Cell::new(range.start), spare: Cell::new(0), start: range.start, end })
    }

    /// The machine.
    pub fn machine(&self) -> &'m M {
        self.machine
    }

    /// The frames handed out so far: `(first, how many)`.
    pub fn taken(&self) -> (Pfn, Frames) {
        (self.start, u64::from(self.next.get().0 - self.start.0))
    }

    /// `n` zeroed cells. Small arrays share a frame.
    pub fn array<T: Cells>(&self, n: usize) -> Result<&'m [T], Shortage> {
        let bytes = (n as u64).checked_mul(size_of::<T>() as u64).ok_or_else(|| self.shortage())?;
        let bytes = bytes.next_multiple_of(64);
        if bytes > self.spare.get() {
            self.take_frames(bytes.div_ceil(PAGE_SIZE))?;
        }
        let last = KernelFrame(Pfn(self.next.get().0 - (self.spare.get().div_ceil(PAGE_SIZE) as u32)));
        let offset = (PAGE_SIZE - self.spare.get() % PAGE_SIZE) % PAGE_SIZE;
        let frames = u64::from(self.next.get().0 - last.0.0);
        let words = &self.machine.kernel_area(last, frames)[offset as usize / 8..];
        self.spare.set(self.spare.get() - bytes);
        Ok(&cast_words::<T>(words)[..n])
    }

    fn take_frames(&self, frames: Frames) -> Result<(), Shortage> {
        let first = self.next.get();
        let free = u64::from(self.end.0 - first.0);
        if frames > free {
            return Err(self.shortage());
        }
        self.machine.zero_kernel(CpuId(0), KernelFrame(first), frames);
        self.next.set(first.plus(frames));
        self.spare.set(frames * PAGE_SIZE);
        Ok(())
    }

    fn shortage(&self) -> Shortage {
        Shortage { order: Order::ZERO, node: NodeId(0), nodes: NodeSet::ALL }
    }
}
