//! What is asked of the allocator.

use crate::descriptor::{MigrateType, ZoneKind};
use machine::{NodeId, NodeSet, Order, trace};

/// What can be done with the frame later. Blocks of one mobility are kept together,
/// so that large blocks survive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mobility {
    /// Nothing: it stays where it is.
    Unmovable,
    /// It can be dropped on demand.
    Reclaimable,
    /// It can be moved.
    Movable,
}

impl Mobility {
    #[inline]
    pub(crate) const fn list(self) -> MigrateType {
        match self {
            Mobility::Unmovable => MigrateType::Unmovable,
            Mobility::Reclaimable => MigrateType::Reclaimable,
            Mobility::Movable => MigrateType::Movable,
        }
    }

    /// As events tell it.
    pub(crate) const fn told(self) -> trace::Mobility {
        match self {
            Mobility::Unmovable => trace::Mobility::Unmovable,
            Mobility::Reclaimable => trace::Mobility::Reclaimable,
            Mobility::Movable => trace::Mobility::Movable,
        }
    }
}

/// Who reaches the bytes (XR3: never inferred from the mobility).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// User space, or a file: the kernel only by machine operations.
    User,
    /// The kernel, by its own translation.
    Kernel,
}

impl Owner {
    /// As events tell it.
    pub(crate) const fn told(self) -> trace::Owner {
        match self {
            Owner::User => trace::Owner::User,
            Owner::Kernel => trace::Owner::Kernel,
        }
    }
}

/// How far below the low watermark the request may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reserve {
    /// Not below the low watermark, and not from what other CPUs keep: the caller does well without. Linux:
    /// `GFP_TRANSHUGE_LIGHT`.
    Optional,
    /// Not below the min watermark.
    None,
    /// Down to half of it. Linux: `__GFP_HIGH`.
    High,
    /// Down to a quarter of it: for a process that is being killed. Linux:
    /// `ALLOC_OOM` on top of `__GFP_HIGH`.
    Oom,
}

/// A request for one block of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Size of the block.
    pub order: Order,
    /// What can be done with it later.
    pub mobility: Mobility,
    /// Who reaches its bytes.
    pub owner: Owner,
    /// The highest zone allowed. Only what is movable goes to [`ZoneKind::Movable`].
    pub zone: ZoneKind,
    /// The node to try first; `None` means that of the CPU.
    pub node: Option<NodeId>,
    /// Nodes that may serve it. Linux: the node mask of `MPOL_BIND`, `__GFP_THISNODE`.
    pub nodes: NodeSet,
    /// How urgent it is.
    pub reserve: Reserve,
}

impl Request {
    /// A page of user space or a file. Linux: `GFP_HIGHUSER_MOVABLE`.
    pub const fn user() -> Request {
        Request {
            order: Order::ZERO,
            mobility: Mobility::Movable,
            owner: Owner::User,
            zone: ZoneKind::Movable,
            node: None,
            nodes: NodeSet::ALL,
            reserve: Reserve::None,
        }
    }

    /// A frame for the kernel. Linux: `GFP_KERNEL`.
    pub const fn kernel() -> Request {
        Request {
            order: Order::ZERO,
            mobility: Mobility::Unmovable,
            owner: Owner::Kernel,
            zone: ZoneKind::Normal,
            node: None,
            nodes: NodeSet::ALL,
            reserve: Reserve::None,
        }
    }

    /// A frame for a page table. Linux: `GFP_PGTABLE_USER`.
    pub const fn table() -> Request {
        Self::kernel()
    }

    /// The same request for a block of another size.
    pub const fn order(self, order: Order) -> Request {
        Request { order, ..self }
    }

    /// The same request, but first from another node.
    pub const fn on(self, node: NodeId) -> Request {
        Request { node: Some(node), ..self }
    }

    /// The same request, for a page that will be pinned for long: what cannot be moved is kept out of the
    /// Movable zone. Linux: `FOLL_LONGTERM`, `PF_MEMALLOC_PIN`.
    pub const fn lasting(self) -> Request {
        Request { zone: ZoneKind::Normal, ..self }
    }

    /// The same request, from one node or not at all.
    pub const fn only(self, node: NodeId) -> Request {
        Request { node: Some(node), nodes: NodeSet::one(node), ..self }
    }

    /// The same request, from these nodes or not at all.
    pub const fn within(self, nodes: NodeSet) -> Request {
        Request { nodes, ..self }
    }

    /// The same request, of other urgency.
    pub const fn reserve(self, reserve: Reserve) -> Request {
        Request { reserve, ..self }
    }

    /// The highest zone, given the mobility.
    #[inline]
    pub(crate) fn highest(&self) -> ZoneKind {
        if self.mobility == Mobility::Movable { self.zone } else { self.zone.min(ZoneKind::Normal) }
    }
}

/// Choices made at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// How much of each node's memory, in percent, makes up its Movable zone,
    /// from the top. Linux: `movablecore=N%`.
    pub movable_percent: u8,
    /// Replaces Linux's formula for `min_free_kbytes`.
    pub min_free_kib: Option<u64>,
}
