//! What programs are about: which calls come how often, and where.

use native::arena::{HEAP, HUGE, HUGE_PAGES, MAIN, PAGE, STACKS, START};
use native::{Call, Op, SLOTS};

use super::dice::Dice;
use super::program::op;

/// What a program is mostly about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Theme {
    /// Everything.
    Mixed,
    /// Layout alone: nothing gives private mappings pages, so that merges can be compared exactly.
    Layout,
    /// Locked memory.
    Locks,
    /// Files.
    Files,
    /// Families of processes.
    Families,
    /// Moves.
    Moves,
    /// Stacks that grow.
    Stacks,
    /// Several generations of processes.
    Trees,
    /// Mappings of several MiB.
    Huge,
    /// Pages that leave memory, and equal ones.
    Paging,
    /// Bytes that do not go by loads and stores.
    Copies,
}

impl Theme {
    /// One of them; what finds most comes most often.
    pub(crate) fn choose(dice: &mut Dice) -> Theme {
        use Theme::{Copies, Families, Files, Huge, Layout, Locks, Mixed, Moves, Paging, Stacks, Trees};
        let usual = [Mixed, Mixed, Mixed, Mixed, Layout, Locks, Files, Families, Moves, Stacks];
        let larger = [Trees, Trees, Huge, Huge, Paging, Copies];
        if dice.permille(600) { dice.one(usual) } else { dice.one(larger) }
    }

    /// First page and pages of the part of the arena that a program works in.
    pub(crate) fn window(self, dice: &mut Dice) -> (u64, u64) {
        if self == Theme::Huge {
            return HUGE;
        }
        let pages = dice.one([6, 12, 24, 48]);
        (MAIN.0 + dice.below(MAIN.1 - pages), pages)
    }

    /// The longest range that is thought of, in pages.
    pub(crate) fn longest(self) -> u64 {
        if self == Theme::Huge { HUGE.1 } else { 64 }
    }

    /// Advice that fits.
    pub(crate) fn advice(self, dice: &mut Dice) -> u64 {
        match self {
            Theme::Layout => dice.one([0, 1, 2, 3, 4, 4, 4, 4, 8, 8, 10, 11, 12, 14, 15, 18, 19]),
            Theme::Trees => dice.one([4, 4, 8, 10, 10, 11, 12, 18, 18, 18, 19, 20, 22, 23]),
            Theme::Huge => dice.one([14, 14, 14, 14, 15, 4, 4, 8, 10, 18, 20, 21, 22, 23, 25, 25]),
            Theme::Paging => dice.one([21, 21, 21, 21, 20, 12, 12, 12, 13, 4, 8, 10, 18, 22, 23]),
            _ => dice.one([0, 1, 2, 3, 4, 4, 4, 4, 8, 8, 10, 11, 12, 13, 14, 15, 18, 19, 20, 22, 23]),
        }
    }
}

/// How often each call comes, in a thousand, in a mixed program.
pub(crate) const WEIGHTS: [(Call, u64); 32] = [
    (Call::Mmap, 140),
    (Call::Munmap, 45),
    (Call::Mprotect, 70),
    (Call::Mremap, 60),
    (Call::Madvise, 70),
    (Call::Msync, 10),
    (Call::Mlock, 14),
    (Call::Mlock2, 8),
    (Call::Munlock, 14),
    (Call::Mlockall, 2),
    (Call::Munlockall, 3),
    (Call::Brk, 16),
    (Call::Mincore, 20),
    (Call::Prlimit, 3),
    (Call::Ftruncate, 16),
    (Call::Fsync, 1),
    (Call::Fork, 26),
    (Call::Clone, 6),
    (Call::Exit, 22),
    (Call::Wait, 18),
    (Call::Load, 165),
    (Call::Store, 225),
    (Call::Execute, 10),
    (Call::Scan, 8),
    (Call::Layout, 12),
    (Call::VmRead, 8),
    (Call::VmWrite, 8),
    (Call::Splice, 8),
    (Call::PipeRead, 5),
    (Call::Prctl, 3),
    (Call::MemRead, 5),
    (Call::MemWrite, 8),
];

/// Pages of the part with huge pages where stores meet: around the ends of 2 MiB, and in their middle.
pub(crate) fn hot_parts() -> impl Iterator<Item = (u64, u64)> {
    let around = |at: u64| (at - HOT / 2, HOT);
    (0..=HUGE.1 / HUGE_PAGES * 2).map(move |half| around(HUGE.0 + half * HUGE_PAGES / 2))
}

/// Pages of such a part.
const HOT: u64 = 8;

/// Every process looks at everything at the end.
pub(crate) fn last_look(theme: Theme) -> Vec<Op> {
    let mut parts = vec![MAIN, HEAP, STACKS];
    if theme == Theme::Huge {
        parts.extend(hot_parts());
    }
    let each = |process: u8| {
        let scans =
            parts.iter().map(|&(first, pages)| op(process, Call::Scan, &[START + first * PAGE, pages]));
        [vec![op(process, Call::Layout, &[])], scans.collect()].concat()
    };
    (0..SLOTS as u8).flat_map(each).collect()
}

/// How much more (or less) often than in a mixed program, in quarters.
pub(crate) fn factor(theme: Theme, call: Call) -> u64 {
    match (theme, call) {
        (Theme::Layout, Call::Store | Call::Fork | Call::Execute) => 0,
        (Theme::Layout, Call::Mlock | Call::Mlock2 | Call::Mlockall) => 0,
        (Theme::Layout, Call::VmRead | Call::VmWrite | Call::MemRead | Call::MemWrite) => 0,
        (Theme::Layout, Call::Load) => 1,
        (Theme::Layout, Call::Layout) => 24,
        (Theme::Locks, Call::Mlock | Call::Mlock2 | Call::Munlock | Call::Mlockall | Call::Munlockall) => 24,
        (Theme::Locks, Call::Prlimit) => 24,
        (Theme::Files, Call::Ftruncate | Call::Msync) => 14,
        (Theme::Families, Call::Fork | Call::Clone | Call::Exit | Call::Wait) => 12,
        (Theme::Moves, Call::Mremap) => 20,
        (Theme::Trees, Call::Fork) => 24,
        (Theme::Trees, Call::Exit | Call::Wait) => 18,
        (Theme::Trees, Call::Clone | Call::VmRead | Call::VmWrite | Call::MemWrite) => 8,
        (Theme::Huge, Call::Madvise | Call::Mremap | Call::Store | Call::Fork) => 6,
        (Theme::Huge | Theme::Paging, Call::Prctl) => 8,
        (Theme::Huge, Call::Mincore | Call::Brk | Call::Ftruncate | Call::Msync) => 1,
        (Theme::Paging, Call::Madvise) => 16,
        (Theme::Paging, Call::Mincore) => 0,
        (Theme::Copies, Call::VmRead | Call::VmWrite | Call::Splice | Call::PipeRead) => 32,
        (Theme::Copies, Call::MemRead | Call::MemWrite) => 24,
        (Theme::Copies, Call::Fork) => 6,
        _ => 4,
    }
}
