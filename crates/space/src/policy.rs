//! Which nodes new pages come from (Linux: mm/mempolicy.c).
//!
//! A VMA may have a policy of its own (`mbind`); the space has one for the rest (`set_mempolicy`). It speaks
//! when a private page is made, not when one is found: pages that are there stay where they are unless they
//! are moved.

use frame::{NodeSet, Request};
use machine::{FieldValue, NodeId};

/// How nodes are chosen. Numbers are Linux's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PolicyMode {
    /// By the policy around: the space's, and in the end the node of the CPU (`MPOL_DEFAULT`).
    #[default]
    Default = 0,
    /// One node first, then others (`MPOL_PREFERRED`).
    Preferred = 1,
    /// These nodes and no others (`MPOL_BIND`).
    Bind = 2,
    /// These nodes in turn, by the page's index (`MPOL_INTERLEAVE`).
    Interleave = 3,
    /// The node of the CPU first (`MPOL_LOCAL`).
    Local = 4,
}

/// A policy: how, and which nodes. `Default` and `Local` have none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemPolicy {
    mode: PolicyMode,
    nodes: u64,
}

impl Default for MemPolicy {
    fn default() -> Self {
        MemPolicy { mode: PolicyMode::Default, nodes: 0 }
    }
}

impl FieldValue for MemPolicy {
    fn to_bits(self) -> u64 {
        (self.mode as u64) << MemPolicy::NODES | self.nodes
    }
    fn from_bits(bits: u64) -> Self {
        let modes = [PolicyMode::Default, PolicyMode::Preferred, PolicyMode::Bind, PolicyMode::Interleave];
        let mode = modes.get((bits >> MemPolicy::NODES) as usize).copied().unwrap_or(PolicyMode::Local);
        MemPolicy { mode, nodes: bits & ((1 << MemPolicy::NODES) - 1) }
    }
}

impl MemPolicy {
    /// How many nodes a policy can name.
    pub const NODES: u32 = 60;

    /// A policy; `None` if mode and nodes do not fit together: some modes want nodes, others have none.
    pub const fn new(mode: PolicyMode, nodes: u64) -> Option<MemPolicy> {
        let fits = match mode {
            PolicyMode::Default | PolicyMode::Local => nodes == 0,
            PolicyMode::Preferred | PolicyMode::Bind | PolicyMode::Interleave => nodes != 0,
        };
        if fits && nodes >> MemPolicy::NODES == 0 { Some(MemPolicy { mode, nodes }) } else { None }
    }

    /// Its mode.
    pub const fn mode(self) -> PolicyMode {
        self.mode
    }

    /// Its nodes, a bit each.
    pub const fn nodes(self) -> u64 {
        self.nodes
    }

    /// This policy, or the one around if it leaves the choice to that.
    pub const fn or(self, around: MemPolicy) -> MemPolicy {
        match self.mode {
            PolicyMode::Default => around,
            _ => self,
        }
    }

    /// A request for the page of this index, as the policy has it.
    pub fn request(self, request: Request, index: u64) -> Request {
        let set = NodeSet(self.nodes);
        match self.mode {
            PolicyMode::Default | PolicyMode::Local => request,
            PolicyMode::Preferred => set.iter().next().map_or(request, |node| request.on(node)),
            PolicyMode::Bind => request.within(set),
            PolicyMode::Interleave => {
                let turn = index % u64::from(self.nodes.count_ones().max(1));
                set.iter().nth(turn as usize).map_or(request, |node| request.on(node))
            }
        }
    }

    /// Whether the page of this index is where the policy would put it (Linux: `mpol_misplaced`).
    pub fn is_met(self, node: NodeId, index: u64) -> bool {
        let wanted = self.request(Request::user(), index);
        match self.mode {
            PolicyMode::Default | PolicyMode::Local => true,
            PolicyMode::Bind => wanted.nodes.contains(node),
            PolicyMode::Preferred | PolicyMode::Interleave => wanted.node == Some(node),
        }
    }
}
