//! The rule of copy-on-write, behind a trait: who may write a private page where it is.
//!
//! The mechanism (counts, entries, flushes, pins) is the same under every rule; a rule only decides. Ours is
//! [`Exclusive`]. What Linux did before is in `baseline` (feature `baselines`), to be measured and to be seen
//! fail. Who wants another rule implements [`Cow`] in one file and names it in `rules.rs`.

use frame::counts::Counts;
use machine::trace::Verdict;

/// What is known of an anonymous page when a store meets a read-only mapping of it. The leaf that maps it is
/// locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// References, mappings and pins of the folio.
    pub counts: Counts,
    /// Whether the bit of this (sub)page says exclusive.
    pub exclusive: bool,
    /// Whether every mapping of the folio is in the leaf that is locked: so all are the asker's own.
    pub all_mine: bool,
    /// References of the swap cache: none or one.
    pub cache_refs: u64,
    /// Swap entries that name the page's slot.
    pub swap_entries: u64,
}

/// What a write fault does with a page that is mapped without write permission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Reuse {
    /// Write it in place: it is exclusive.
    Exclusive,
    /// Write it in place: nobody else has it, and it is exclusive from here on.
    Alone,
    /// Somebody else may see it: copy it.
    Copy,
}

impl Reuse {
    /// Whether the page is written in place.
    pub const fn is_in_place(self) -> bool {
        matches!(self, Reuse::Exclusive | Reuse::Alone)
    }

    /// As events tell it.
    pub const fn told(self) -> Verdict {
        match self {
            Reuse::Exclusive => Verdict::Exclusive,
            Reuse::Alone => Verdict::Alone,
            Reuse::Copy => Verdict::Shared,
        }
    }
}

/// What takes exclusivity away from a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Losing {
    /// A child gets a mapping of it.
    Fork,
    /// Its mapping goes away for swap, migration or merging.
    Detach,
}

/// What a rule is for pages that it does not decide about: see [`Cow::claims`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claims {
    /// CR1 to CR4: writable means exclusive, exclusive means mapped once, pinned means exclusive.
    Exclusivity,
    /// Nothing about pins.
    Nothing,
}

/// A rule of copy-on-write.
pub trait Cow: Sync {
    /// Its name on command lines: `cow=NAME`.
    fn name(&self) -> &'static str;

    /// A store meets a read-only anonymous page (rows 7 to 9 of the COW table).
    fn reuse(&self, facts: &Facts) -> Reuse;

    /// Whether a pinned page stays exclusive to its mapping when somebody wants to take that away (rows 6 and
    /// 15): fork then copies it, and other detachers put the entry back.
    fn pinned_stays(&self, losing: Losing) -> bool;

    /// Whether a read-only pin first makes the page exclusive (rows 4, 10 and 22).
    fn unshares(&self) -> bool;

    /// Whether an exclusive page becomes writable without a fault when its VMA does (row 12).
    fn upgrades(&self) -> bool;

    /// Whether swap and migration entries remember that the page was exclusive (rows 14 and 19).
    fn remembers(&self) -> bool;

    /// What the oracle may hold it to.
    fn claims(&self) -> Claims;
}

impl core::fmt::Debug for dyn Cow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Freehold's rule: one bit says who is exclusive; it is set only where that is provable, and never taken
/// from a pinned page. Linux since 5.19 (`PG_anon_exclusive`), with exact pins and reuse of large folios.
pub struct Exclusive;

impl Cow for Exclusive {
    fn name(&self) -> &'static str {
        "exclusive"
    }

    fn reuse(&self, facts: &Facts) -> Reuse {
        if facts.exclusive {
            return Reuse::Exclusive;
        }
        let Facts { counts, cache_refs, swap_entries, all_mine, .. } = *facts;
        let nobody_else = counts.refs() == counts.maps() + cache_refs && counts.pins() == 0;
        if nobody_else && all_mine && swap_entries == 0 { Reuse::Alone } else { Reuse::Copy }
    }

    fn pinned_stays(&self, _: Losing) -> bool {
        true
    }

    fn unshares(&self) -> bool {
        true
    }

    fn upgrades(&self) -> bool {
        true
    }

    fn remembers(&self) -> bool {
        true
    }

    fn claims(&self) -> Claims {
        Claims::Exclusivity
    }
}
