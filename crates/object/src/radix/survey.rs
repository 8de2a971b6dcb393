//! Looking at a whole tree of a quiet machine.

use super::{Mark, Nodes, SHIFT, SLOTS, Slot, Tree};
use core::sync::atomic::Ordering::Relaxed;
use frame::Id;
use machine::{Machine, Pfn};

/// A cached page as a survey meets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visit {
    /// Its page of the file.
    pub index: u64,
    /// Its frame.
    pub pfn: Pfn,
    /// Whether it is marked dirty.
    pub dirty: bool,
    /// Whether it is marked as being written.
    pub writeback: bool,
}

impl Tree {
    /// Visits every page, ascending. Nobody changes the tree meanwhile.
    pub fn survey<'m, M: Machine>(&self, nodes: &Nodes<'m, M>, visit: &mut impl FnMut(Visit)) {
        // RELAXED: nobody writes, here and below.
        let bits = self.root.raw().load(Relaxed);
        if bits != 0 {
            survey_node(nodes, Id::from_raw((bits >> 8) as u32), bits as u32 & 0xff, 0, visit);
        }
    }
}

fn survey_node<'m, M: Machine>(
    nodes: &Nodes<'m, M>,
    id: Id<super::Node>,
    height: u32,
    first: u64,
    visit: &mut impl FnMut(Visit),
) {
    let node = nodes.get(id);
    for digit in 0..SLOTS {
        let index = first + ((digit as u64) << (SHIFT * (height - 1)));
        let has = |mark| node.marks(mark) & 1 << digit != 0;
        // RELAXED: as above.
        match Slot::decode(node.slots[digit].raw().load(Relaxed)) {
            Slot::Empty => debug_assert!(!has(Mark::Present), "the marks tell which slots are in use"),
            Slot::Node(below) => survey_node(nodes, below, height - 1, index, visit),
            Slot::Page(pfn) => {
                visit(Visit { index, pfn, dirty: has(Mark::Dirty), writeback: has(Mark::Writeback) });
            }
        }
    }
}
