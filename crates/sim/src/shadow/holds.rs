//! What is known of pages that are used beside their mappings: pins, references, and stores under way.

use crate::shadow::page::Page;
use crate::shadow::window::{Change, Ticket};
use machine::{FileKey, VirtAddr, Vpn, VpnRange};
use std::collections::BTreeMap;

/// Names a pin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pin(pub(super) u64);

/// Names a reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reference(pub(super) u64);

/// For what pages are pinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// To store to them (Linux: `FOLL_PIN | FOLL_WRITE`).
    Write,
    /// To load from them, for a short time (`FOLL_PIN`): a page that the program never stored to need not
    /// become its own, so that what it stores later may be missed (kernel-facts CR12, row 4).
    Read,
    /// To load from them, for long (`FOLL_PIN | FOLL_LONGTERM`): what the program stores later is seen.
    LongRead,
}

/// Values of words, beside the one that is known.
pub(super) type Others = BTreeMap<usize, Vec<u64>>;

/// Where a page is that is used beside its mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// It is the program's page with this number.
    Mapped(u64),
    /// It is a page of a file.
    Shared(FileKey, u64),
    /// The program gave it up: it is the page of this number in [`Holds::given_up`].
    GivenUp(u64),
    /// Nobody can tell, so nothing of it is judged.
    Unclear,
}

/// A page of a pin.
pub(super) struct Pinned {
    pub(super) place: Place,
    /// What words may hold beside what the program finds, because stores race with the page's loss.
    pub(super) loose: Others,
    /// The program had not stored to it: it may be the zero page, or the file's.
    pub(super) fresh: bool,
    /// The file's page, if it may be that.
    pub(super) file: Option<(FileKey, u64)>,
}

/// A page that a program gave up while it was pinned: all its pins see the same bytes.
#[derive(Default)]
pub(super) struct GivenUp {
    pub(super) bytes: Page,
    /// What words may hold beside that because stores raced with the loss.
    pub(super) loose: Others,
}

pub(super) struct Pins {
    pub(super) pid: u32,
    pub(super) range: VpnRange,
    pub(super) hold: Hold,
    /// The call that pins is under way.
    pub(super) taking: bool,
    pub(super) pages: Vec<Pinned>,
}

/// A page of a reference.
pub(super) struct Referred {
    pub(super) place: Place,
    /// Nothing was mapped when the call began.
    pub(super) missing: bool,
    /// What it held then.
    pub(super) base: Page,
    /// What else was stored since, or may have been before.
    pub(super) others: Others,
    /// The file's page, if it may be that.
    pub(super) file: Option<(FileKey, u64)>,
}

impl Referred {
    /// A word may hold this too.
    pub(super) fn add(&mut self, word: usize, value: u64) {
        let values = self.others.entry(word).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

pub(super) struct References {
    pub(super) pid: u32,
    pub(super) range: VpnRange,
    /// The call that takes it is under way.
    pub(super) taking: bool,
    pub(super) pages: Vec<Referred>,
}

/// A word in memory, whoever names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Private(u32, VirtAddr),
    File(FileKey, u64, usize),
}

/// A word that the kernel is about to store.
pub(super) struct Coming {
    /// Its number among those of the call.
    pub(super) number: usize,
    pub(super) target: Target,
    pub(super) value: u64,
    /// Somebody loaded it: it is there.
    pub(super) seen: bool,
    /// The page changed hands meanwhile.
    pub(super) disturbed: bool,
    /// What the program stored there meanwhile.
    pub(super) raced: Option<u64>,
}

/// A store by the kernel that is under way.
pub(super) struct Write {
    pub(super) ticket: Ticket,
    pub(super) words: Vec<Coming>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Holds {
    pub(super) pins: BTreeMap<u64, Pins>,
    pub(super) references: BTreeMap<u64, References>,
    pub(super) writes: Vec<Write>,
    pub(super) given_up: BTreeMap<u64, GivenUp>,
    pub(super) taken: u64,
}

impl Holds {
    /// Whether there is nothing of this kind.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.pins.is_empty() && self.references.is_empty() && self.writes.is_empty()
    }

    /// A number for a new one.
    pub(super) fn next(&mut self) -> u64 {
        self.taken += 1;
        self.taken
    }
}

/// What a change makes of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Stays,
    Moves(u64),
    Leaves,
}

/// What a change makes of a page of its process.
pub(super) fn fate(change: &Change, page: u64) -> Fate {
    let inside = |range: &VpnRange| range.contains(Vpn(page));
    match change {
        Change::Map { range, .. } | Change::Unmap { range } | Change::Wipe { range } if inside(range) => {
            Fate::Leaves
        }
        Change::Move { from, to, .. } if inside(from) => {
            let place = page - from.start.0 + to.start.0;
            if to.contains(Vpn(place)) { Fate::Moves(place) } else { Fate::Leaves }
        }
        Change::Move { to, .. } if inside(to) => Fate::Leaves,
        _ => Fate::Stays,
    }
}
