//! Pipes that hold references to pages of programs: what `vmsplice` fills.

use machine::lock::Spin;
use machine::{Cx, Field, Machine, level};
use object::Held;

/// Pages a pipe holds at most (Linux: `PIPE_DEF_BUFFERS`).
pub const PIPE_PAGES: usize = 16;

machine::cells! {
    /// A pipe, in a slab.
    pub struct Pipe {
        pub(crate) lock: Spin<{ level::REGISTRY }>,
        /// (pipe) Which of the pages is the oldest.
        first: Field<u64>,
        /// (pipe) How many there are.
        count: Field<u64>,
        /// (pipe) The pages.
        held: [Field<Held>; PIPE_PAGES],
        /// (pipe) Which bytes of each: offset in the page, and, 32 bits higher, how many.
        bytes: [Field<u64>; PIPE_PAGES],
    }
}

/// Bytes of a page in a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) held: Held,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Pipe {
    fn place(&self, nth: u64) -> usize {
        (self.first.get() + nth) as usize % PIPE_PAGES
    }

    /// Adds a part at the end; `Err` if the pipe is full. (pipe)
    pub(crate) fn push(&self, part: Part) -> Result<(), Part> {
        if self.count.get() == PIPE_PAGES as u64 {
            return Err(part);
        }
        let place = self.place(self.count.get());
        self.held[place].set(part.held);
        self.bytes[place].set(part.len << 32 | part.offset);
        self.count.add(1);
        Ok(())
    }

    /// The oldest part. (pipe)
    pub(crate) fn front(&self) -> Option<Part> {
        let place = self.place(0);
        let (held, bytes) = (self.held[place].get(), self.bytes[place].get());
        (self.count.get() > 0).then_some(Part { held, offset: bytes & 0xffff_ffff, len: bytes >> 32 })
    }

    /// Takes so many bytes of the oldest part away, which has as many; answers what is held no more. (pipe)
    pub(crate) fn consume(&self, len: u64) -> Held {
        let Some(part) = self.front() else { return Held::Nothing };
        let place = self.place(0);
        if len < part.len {
            self.bytes[place].set((part.len - len) << 32 | (part.offset + len));
            return Held::Nothing;
        }
        self.held[place].set(Held::Nothing);
        self.first.set((self.first.get() + 1) % PIPE_PAGES as u64);
        self.count.sub(1);
        part.held
    }

    /// Whether another part fits. (pipe)
    pub(crate) fn is_full(&self) -> bool {
        self.count.get() == PIPE_PAGES as u64
    }

    /// What it holds, on a quiet machine.
    pub(crate) fn quiet_held(&self) -> impl Iterator<Item = Held> + '_ {
        self.held.iter().map(Field::get)
    }
}

/// Locks a pipe.
pub(crate) fn lock<'a, 'm, M: Machine>(
    cx: &'a mut Cx<'m, M>,
    pipe: &'m Pipe,
) -> machine::lock::Held<'a, 'm, M, { level::REGISTRY }> {
    pipe.lock.lock(cx)
}
