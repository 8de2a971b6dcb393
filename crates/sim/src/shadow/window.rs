//! Changes that take time, from their begin to their end.

use crate::shadow::process::Process;
use crate::shadow::source::{Keep, Source};
use machine::{VirtAddr, VpnRange};

/// A change of a process's layout or bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Pages are mapped, in place of what was there.
    Map {
        /// Which.
        range: VpnRange,
        /// Where their bytes come from.
        source: Source,
    },
    /// Pages are unmapped.
    Unmap {
        /// Which.
        range: VpnRange,
    },
    /// Private pages lose what was stored to them.
    Wipe {
        /// Which.
        range: VpnRange,
    },
    /// Anonymous pages may lose what was stored to them, until they are stored to again.
    Free {
        /// Which.
        range: VpnRange,
    },
    /// Pages move.
    Move {
        /// From here.
        from: VpnRange,
        /// To here: at most as many.
        to: VpnRange,
        /// What becomes of the old range.
        keep: Keep,
    },
    /// The process is copied.
    Fork,
}

/// Names a change that has begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a change that has begun must end"]
pub struct Ticket(pub(super) u64);

/// A change under way.
pub(super) struct Window {
    pub(super) ticket: Ticket,
    pub(super) pid: u32,
    pub(super) change: Change,
    /// The process as it was, for a fork.
    pub(super) before: Option<Process>,
    /// What was stored where the change matters, in order.
    pub(super) stores: Vec<Stored>,
}

/// A store during a change.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) addr: VirtAddr,
    pub(super) value: u64,
    /// What the word was before, if it was a word.
    pub(super) before: Option<u64>,
}

impl Window {
    pub(super) fn concerns(&self, addr: VirtAddr) -> bool {
        let page = addr.page();
        match &self.change {
            Change::Map { range, .. }
            | Change::Unmap { range }
            | Change::Wipe { range }
            | Change::Free { range } => range.contains(page),
            Change::Move { from, to, .. } => from.contains(page) || to.contains(page),
            Change::Fork => true,
        }
    }
}
