//! Swap: areas with slots, and the swap cache.
//!
//! * [`slot`]: the word of a slot. It *is* the swap cache: an entry that names the slot leads to the word,
//!   and the word to the frame. A page is in the cache while it is written and while it is read, and stays
//!   there as long as that is of use; nobody reads round it (C-17).
//! * `area`: what there is to swap to; [`Objects::swap_on`](crate::Objects::swap_on).
//! * `store`: compressed memory. `words`: a word a slot, in kernel frames.
//! * What is done with it is in [`crate::swapping`].
//!
//! # A page in the cache
//! Its descriptor has [`frame::Flags::SWAPCACHED`], its fourth word is the slot, and the cache has one
//! reference. Flag and reference go after the word was changed, by whoever changed it: while the flag is set,
//! the reference is held. `DIRTY` says that the area has not its bytes.
//!
//! # Who meets whom
//! * **Two faults on one slot**: one puts its frame into the word, the other finds it there and waits for the
//!   page lock.
//! * **Fault and swap-out**: the page lock up to the write; after it the fault has a reference, so the frame
//!   is not dropped ([`counts::freeze`](frame::counts::freeze)), or came too late and reads it back.
//! * **Fault and unmapping, fork, mremap**: the leaf lock; an entry that is seen under it keeps its slot.
//! * **Unmapping and swap-out**: who works on a slot's frame is *busy* with it; the last entry's going then
//!   leaves the slot to who is busy.
//! * **swapoff and all others**: an area that ends hands out no slots; whoever still has one keeps the words,
//!   which stay readable for ever.

pub mod area;
pub mod slot;
pub(crate) mod store;
pub(crate) mod words;

use crate::swap::area::Area;
pub use crate::swap::area::{AreaReport, SlotReport, SwapDevice};
pub use crate::swap::store::Stored;
use machine::lock::Spin;
use machine::{Boot, Field, Machine, Shortage, level};
use table::Slot;

/// All areas. Lives in [`crate::Objects`].
pub(crate) struct Swap<'m> {
    pub(crate) areas: &'m [Area],
    pub(crate) shared: &'m Shared,
}

machine::cells! {
    /// What all areas have in common.
    pub(crate) struct Shared {
        /// Who makes an area looks for its device under it, and says that it has it.
        pub(crate) starting: Spin<{ level::CACHE }>,
        /// (atomic) Slots handed out so far: whose turn it is.
        pub(crate) turns: Field<u64>,
        /// (atomic) Pages in the cache.
        pub(crate) cached: Field<u64>,
        /// (atomic) Areas that asked for no priority so far.
        pub(crate) unasked: Field<u64>,
    }
}

impl<'m> Swap<'m> {
    pub(crate) fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(Swap { areas: boot.array(Slot::AREAS)?, shared: &boot.array(1)?[0] })
    }

    pub(crate) fn area(&self, slot: Slot) -> &'m Area {
        &self.areas[usize::from(slot.area) % Slot::AREAS]
    }
}
