//! What an entry allows its holder, before the page's counts are asked.

use crate::pin::{How, Rights};
use frame::{State, ZoneKind};
use machine::entry::Kind;
use machine::{Access, Entry, EntryFormat, Level, Machine, Pfn, Vpn};
use object::Hold;
use space::{Snapshot, VmaFlags};

/// What is known of the mapping beside the entry.
#[derive(Clone, Copy)]
pub(super) enum Mapping<'v> {
    /// Nothing: there is no lock.
    Unknown,
    /// The VMA.
    Known(&'v Snapshot),
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judged {
    /// It is the zero page: nothing is counted.
    Zero(Pfn),
    /// The page is to be counted.
    Count(Pfn),
    /// The same, if it is an exclusive anonymous page; else the access must fault.
    CountOwned(Pfn),
    /// The access must fault first.
    Fault,
}

/// What the entry of a page, at a level, allows.
pub(super) fn judge<M: Machine>(
    (page, entry, level): (Vpn, Entry, Level),
    how: How,
    mapping: Mapping<'_>,
) -> Judged {
    let Kind::Leaf(first) = M::Entry::kind(entry, level) else { return Judged::Fault };
    let pfn = first.plus(page.0 & ((1 << level.span_shift()) - 1));
    let special = M::Entry::attrs(entry).special;
    if how.is_write() {
        return match M::Entry::permits(entry, level, Access::Write) {
            true => Judged::Count(pfn),
            // CR13: what a store would find writable if the program had the right to store.
            false if !special && may_force(how, mapping) => Judged::CountOwned(pfn),
            false => Judged::Fault,
        };
    }
    // An entry without rights is a hint to fault (C-19), unless the VMA gives none either.
    if !M::Entry::permits(entry, level, Access::Read) && !has_no_rights(how, mapping) {
        return Judged::Fault;
    }
    if special { Judged::Zero(pfn) } else { Judged::Count(pfn) }
}

/// Whether a read-only pin must have a page of the program's own, where the entry maps something else than an
/// anonymous page: only for long, and only where a store would copy (CR12).
// LINUX: include/linux/mm.h gup_must_unshare().
pub(super) fn must_own(how: How, vma: &Snapshot) -> bool {
    !how.is_write() && how.is_long_pin() && is_cow(vma)
}

/// Whether the page must leave its zone before it is pinned.
pub(super) fn must_move(how: How, zone: ZoneKind) -> bool {
    how.is_long_pin() && zone == ZoneKind::Movable
}

/// Whether a pin may be taken without knowing the VMA.
pub(super) fn is_plain(how: How, state: State) -> bool {
    how.hold == Hold::Get || !how.is_long_pin() || state == State::Anon
}

/// Whether stores copy what is shared, or would if they were allowed.
// LINUX: include/linux/mm.h is_cow_mapping().
pub(super) fn is_cow(vma: &Snapshot) -> bool {
    vma.flags.is_private() && vma.flags.contains(VmaFlags::MAY_WRITE)
}

fn may_force(how: How, mapping: Mapping<'_>) -> bool {
    match mapping {
        Mapping::Unknown => false,
        Mapping::Known(vma) => {
            how.rights == Rights::Forced && is_cow(vma) && !vma.flags.contains(VmaFlags::WRITE)
        }
    }
}

fn has_no_rights(how: How, mapping: Mapping<'_>) -> bool {
    match mapping {
        Mapping::Unknown => false,
        Mapping::Known(vma) => how.rights == Rights::Forced && !vma.flags.intersects(VmaFlags::ACCESS),
    }
}
