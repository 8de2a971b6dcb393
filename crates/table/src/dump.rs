//! What a page table maps, in pieces, without a lock.
//!
//! A dump of a large space is long, and a walk is short: each piece is a walk of its own. So a dump is no
//! picture of one moment; each of its entries was there when it was read (as in Linux's ptdump, which holds
//! the space's lock instead, and so holds up whoever maps).

use crate::node::ENTRIES;
use crate::walker::{Seen, Walker};
use machine::entry::Attrs;
use machine::{Cx, EntryFormat, Level, Machine, Perms, Vpn, VpnRange, level};

/// Tables that one walk of a dump looks into, at most.
const TABLES_A_WALK: u32 = 4;

/// Pages one behind the other that are mapped by entries of one size, with the same rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapped {
    /// The pages.
    pub pages: VpnRange,
    /// The level of their entries.
    pub level: Level,
    /// Their rights. None: mapped, and closed to all accesses.
    pub perms: Perms,
}

/// What one walk found.
enum Piece {
    /// The walk ended before this page.
    UpTo(Vpn),
    /// There is nothing behind.
    End,
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Tells `each` what maps pages of a range, in order, runs of equal entries together. Entries that map
    /// nothing (swapped out, on their way) are left out. Between two walks, and while it is told, `each` may
    /// do as it likes: it gets the context.
    // LINUX: mm/ptdump.c; arch/x86/mm/dump_pagetables.c note_page() joins entries in the same way.
    pub fn dump(
        &self,
        cx: &mut Cx<'m, M, { level::SLEEP_MAX }>,
        range: VpnRange,
        mut each: impl FnMut(&mut Cx<'m, M, { level::SLEEP_MAX }>, Mapped),
    ) {
        let mut runs = Runs { found: [None; RUNS], count: 0 };
        let mut next = range.start;
        loop {
            let piece = self.piece(cx.at(), VpnRange::new(next, range.end), &mut runs);
            let keep = usize::from(matches!(piece, Piece::UpTo(_)));
            runs.drain_all_but(keep, |run| each(cx, run));
            match piece {
                Piece::UpTo(page) => next = page,
                Piece::End => return,
            }
        }
    }

    /// One walk.
    fn piece(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, range: VpnRange, runs: &mut Runs) -> Piece {
        let walk = self.walk(cx);
        let mut next = range.start;
        for _ in 0..TABLES_A_WALK {
            if next >= range.end {
                return Piece::End;
            }
            let mut entries = walk.entries(next);
            for (first, seen) in entries.by_ref() {
                if let Some(run) = mapped::<M>(first, seen, range)
                    && !runs.add(run)
                {
                    return Piece::UpTo(first);
                }
            }
            next = entries.next_page();
        }
        if next >= range.end { Piece::End } else { Piece::UpTo(next) }
    }
}

/// What an entry maps of a range.
fn mapped<M: Machine>(first: Vpn, seen: Seen, range: VpnRange) -> Option<Mapped> {
    seen.leaf::<M>()?;
    let Attrs { perms, .. } = M::Entry::attrs(seen.entry);
    let pages = VpnRange::sized(first, 1 << seen.level.span_shift()).intersect(&range);
    (!pages.is_empty()).then_some(Mapped { pages, level: seen.level, perms })
}

/// Runs that a walk finds before it ends to tell of them.
const RUNS: usize = ENTRIES as usize / 16;

/// Those found so far; the last may go on.
struct Runs {
    found: [Option<Mapped>; RUNS],
    count: usize,
}

impl Runs {
    /// Adds to the last run, or begins one; answers whether there was room.
    fn add(&mut self, next: Mapped) -> bool {
        if let Some(last) = self.count.checked_sub(1).and_then(|last| self.found[last].as_mut())
            && last.pages.end == next.pages.start
            && (last.level, last.perms) == (next.level, next.perms)
        {
            last.pages.end = next.pages.end;
            return true;
        }
        let Some(place) = self.found.get_mut(self.count) else { return false };
        *place = Some(next);
        self.count += 1;
        true
    }

    /// Tells of all runs but so many of the last.
    fn drain_all_but(&mut self, keep: usize, mut each: impl FnMut(Mapped)) {
        let told = self.count.saturating_sub(keep);
        self.found[..told].iter().flatten().for_each(|&run| each(run));
        self.found.copy_within(told..self.count, 0);
        self.count -= told;
    }
}
