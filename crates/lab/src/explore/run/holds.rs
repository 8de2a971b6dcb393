//! What is held in a run beside what programs map: by name, and what devices were told to do with it.

use std::collections::{BTreeMap, VecDeque};

use freehold::frame::Id;
use freehold::linux::{Pipe, Ring};
use freehold::machine::{Access, TaskId, VirtAddr, VpnRange};
use freehold::object::Held;
use sim::Transfer;
use sim::shadow::{Pin, Reference};

use super::super::script::{PinName, PipeName, Place};

/// What the shadow knows a hold by.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Pin(Pin),
    Reference(Reference),
}

/// Pages that are held.
pub(super) struct Holding {
    pub(super) range: VpnRange,
    pub(super) memory: u32,
    pub(super) access: Access,
    pub(super) mark: Mark,
    pub(super) pages: Vec<Held>,
    /// Whose they are, if they are a ring's.
    pub(super) ring: Option<Id<Ring>>,
}

/// A pipe, and what is in it.
pub(super) struct Filled {
    pub(super) pipe: Id<Pipe>,
    pub(super) pages: VecDeque<(Reference, VirtAddr, u32)>,
}

/// What a device was told to do.
pub(super) struct Told {
    pub(super) task: TaskId,
    pub(super) at: Place,
    pub(super) pin: PinName,
    /// From the start of the pages.
    pub(super) offset: u64,
}

/// All that is held, by name.
#[derive(Default)]
pub(super) struct Holds {
    pub(super) pins: BTreeMap<PinName, Holding>,
    pub(super) pipes: BTreeMap<PipeName, Filled>,
    pub(super) told: BTreeMap<Transfer, Told>,
    pub(super) loaded: BTreeMap<Transfer, u64>,
}

impl Holds {
    /// Calls `see` with what is held, pipes and rings aside.
    pub(super) fn for_each(&self, see: &mut dyn FnMut(Held)) {
        self.pins.values().flat_map(|holding| &holding.pages).for_each(|&held| see(held));
    }
}
