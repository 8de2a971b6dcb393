//! What the example does with its machine, on a host and without one.

use crate::minimal::Minimal;
use machine::{Access, Boot, Core, Counter, CpuId, Cx, NodeId, Order, Shortage, TaskId, VirtAddr, Word};

/// Words of memory the example is happy with: 16 MiB.
pub(crate) const ARENA_WORDS: usize = 16 << 17;

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Page faults.
    pub(crate) faults: u64,
}

/// Boots a machine and touches a page.
pub(crate) fn run(arena: &[Word]) -> Result<Seen, Shortage> {
    let machine = Minimal::new(arena).ok_or(Shortage { order: Order::ZERO, node: NodeId(0) })?;
    let boot = Boot::new(&machine)?;
    let core = Core::new(&boot)?;
    let cx: Cx<'_, _> = Cx::new(&machine, core, CpuId(0), TaskId(0));
    if machine.translate(VirtAddr(0x1000), Access::Write).is_none() {
        cx.count(Counter::PgFault);
    }
    Ok(Seen { faults: core.total(Counter::PgFault) })
}
