//! How long ago a folio was used, in three bits of its descriptor: what reclaim goes by.

use crate::descriptor::{AGE, Descriptor, Meta};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use machine::{Cx, Machine, Memory};

impl Meta {
    /// The age of what is not needed soon.
    pub const COLD: u8 = 7;

    /// In which of the last rounds of aging the folio was used: see `balance`. 0: it was not looked at yet.
    pub const fn age(self) -> u8 {
        self.part(AGE) as u8
    }
}

impl Descriptor {
    /// Notes in which round of aging the folio was used ([`Meta::age`]).
    pub fn set_age<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, age: u8) {
        // RELAXED: the compare-exchange decides.
        let mut seen = cx.load(&self.meta, Relaxed);
        let aged = |seen: u64| Meta(seen).with(AGE, u64::from(age)).0;
        // ORDERING: AcqRel, as in `set`: flags share the word.
        while let Err(now) = cx.compare_exchange(&self.meta, seen, aged(seen), AcqRel) {
            seen = now;
        }
    }

    /// Notes that the folio is not needed soon.
    pub fn make_oldest<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        self.set_age(cx, Meta::COLD);
    }
}
