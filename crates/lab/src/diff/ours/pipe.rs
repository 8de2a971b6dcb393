//! The pipe of a program, here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::Pipe;
use freehold::machine::{CpuId, TaskId};
use freehold::space::Space;
use native::arena::PAGE;
use sim::SimMachine;

use crate::exit::Error;

/// The program's pipe.
pub(super) struct Held {
    pub(super) pipe: Id<Pipe>,
    /// Bytes of each part it holds.
    pub(super) parts: RefCell<VecDeque<u64>>,
    /// Whose pages may be in it.
    pub(super) spaces: RefCell<Vec<Id<Space>>>,
    /// Whether one of those stored since: then what is read is what was there before or after, both are right
    /// (rule CR28).
    pub(super) is_doubtful: Cell<bool>,
}

/// How long each part of a range is when it is cut at the ends of pages.
pub(super) fn pieces(addr: u64, len: u64) -> impl Iterator<Item = u64> {
    let first = PAGE - addr % PAGE;
    let (mut left, mut next) = (len, first);
    std::iter::from_fn(move || {
        let piece = left.min(next);
        (left, next) = (left - piece, PAGE);
        (piece > 0).then_some(piece)
    })
}

impl Held {
    pub(super) fn open(manager: &Manager<'_, SimMachine>) -> Result<Held, Error> {
        let made = manager.linux().pipe(&mut manager.cx(CpuId(0), TaskId(0)));
        let pipe = made.map_err(|errno| Error::new(&format!("a pipe: {errno}")))?;
        let (parts, spaces, is_doubtful) = Default::default();
        Ok(Held { pipe, parts, spaces, is_doubtful })
    }

    pub(super) fn close(&self, manager: &Manager<'_, SimMachine>) {
        manager.linux().close_pipe(&mut manager.cx(CpuId(0), TaskId(0)), self.pipe);
    }

    /// So many bytes were read.
    pub(super) fn forget(&self, mut len: u64) {
        let parts = &mut *self.parts.borrow_mut();
        while let Some(first) = parts.front_mut().filter(|_| len > 0) {
            let taken = len.min(*first);
            (len, *first) = (len - taken, *first - taken);
            if *first == 0 {
                parts.pop_front();
            }
        }
        if parts.is_empty() {
            self.spaces.borrow_mut().clear();
            self.is_doubtful.set(false);
        }
    }
}
