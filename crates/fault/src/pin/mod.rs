//! Holding pages of a program for others than its own accesses: devices, other processes, the kernel (Linux:
//! `mm/gup.c`).
//!
//! | file | does |
//! |---|---|
//! | `fast.rs` | holds what is mapped well already, without a lock (Linux: `gup_fast`) |
//! | `slow.rs` | faults the page in, makes it exclusive, moves it, and holds it under its leaf's lock |
//! | `judge.rs` | what an entry allows |
//!
//! What a hold promises is told in [`object::pin`].

mod fast;
mod judge;
mod slow;

use crate::error::FaultError;
use crate::faults::Faults;
use frame::Id;
use machine::{Access, Counter, Cx, HUGE_ORDER, Machine, Vpn, level};
use object::{Held, Hold};
use space::Space;

/// Pages of a leaf.
const LEAF_PAGES: u64 = HUGE_ORDER.frames();

/// For how long pages are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Term {
    /// An operation of the kernel.
    Short,
    /// As long as user space likes: the pages leave the Movable zone first. Linux: `FOLL_LONGTERM`.
    Long,
}

/// Whose rights count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rights {
    /// Those that the program has.
    Mapped,
    /// Those that the program could give itself: a debugger's. Linux: `FOLL_FORCE`.
    Forced,
}

/// Where the rights are looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// In the entry, if there is one that allows it: where hardware knows no right to store alone, such a
    /// page may be read (Linux: `gup_fast`).
    Entry,
    /// In the VMA: that of another program (Linux: `pin_user_pages_remote`).
    Vma,
}

/// How pages are to be held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct How {
    /// Whether the holder stores, or loads only.
    pub access: Access,
    /// By a reference or by a pin.
    pub hold: Hold,
    /// For how long. Only pins are long.
    pub term: Term,
    /// Whose rights count.
    pub rights: Rights,
    /// Where they are looked up.
    pub look: Look,
}

impl How {
    /// A pin of an operation of the kernel, with the program's rights.
    pub const fn pin(access: Access) -> How {
        How { access, hold: Hold::Pin, term: Term::Short, rights: Rights::Mapped, look: Look::Entry }
    }

    /// A reference, with the program's rights.
    pub const fn get(access: Access) -> How {
        How { hold: Hold::Get, ..How::pin(access) }
    }

    /// The same for long.
    pub const fn long(self) -> How {
        How { term: Term::Long, ..self }
    }

    /// The same with a debugger's rights.
    pub const fn forced(self) -> How {
        How { rights: Rights::Forced, ..self }
    }

    /// The same in the memory of another program.
    pub const fn remote(self) -> How {
        How { look: Look::Vma, ..self }
    }

    fn is_write(self) -> bool {
        self.access == Access::Write
    }

    fn is_long_pin(self) -> bool {
        self.hold == Hold::Pin && self.term == Term::Long
    }
}

/// Why a page is not held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldError {
    /// It cannot be brought in: no such memory, no right to it, no frame for it.
    Fault(FaultError),
    /// It is to be pinned for long, and does not leave its Movable zone (`ENOMEM`, as on Linux).
    Immovable,
    /// It is held as often as can be counted (`ENOMEM`).
    TooMany,
}

impl From<FaultError> for HoldError {
    fn from(error: FaultError) -> Self {
        HoldError::Fault(error)
    }
}

impl core::fmt::Display for HoldError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            HoldError::Fault(error) => error.fmt(f),
            HoldError::Immovable => f.write_str("the page does not leave its zone"),
            HoldError::TooMany => f.write_str("the page is held too often"),
        }
    }
}

impl core::error::Error for HoldError {}

impl<'m, M: Machine> Faults<'m, M> {
    /// Holds the pages from `first` on, one for each place of `into`; answers how many of them are held now.
    /// An error only if the first is not: what came before stays held.
    ///
    /// The caller uses the space. Each hold goes back once ([`Faults::let_go`]), whatever becomes of the
    /// mapping, and of the process.
    // LINUX: mm/gup.c pin_user_pages_fast(), pin_user_pages_remote().
    pub fn hold(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        (first, how): (Vpn, How),
        into: &mut [Held],
    ) -> Result<usize, HoldError> {
        let mut done = 0;
        while done < into.len() {
            let page = first + done as u64;
            if how.look == Look::Entry {
                let run = self.hold_run(cx, space, (page, how), &mut into[done..]);
                cx.count_n(Counter::HeldFast, run as u64);
                done += run;
                // At the end of a leaf: the next one. Else the page has to be asked for.
                if done == into.len() || run > 0 && (first + done as u64).0.is_multiple_of(LEAF_PAGES) {
                    continue;
                }
            }
            match self.hold_slow(cx, space, first + done as u64, how) {
                Ok(held) => into[done] = held,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            cx.count(Counter::HeldSlow);
            done += 1;
        }
        Ok(done)
    }

    /// Gives a hold back.
    pub fn let_go(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, held: Held) {
        self.spaces().objects().let_go(cx.at(), held);
    }

    /// Gives a hold back through which bytes were stored.
    pub fn let_go_dirty(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, held: Held) {
        self.spaces().objects().let_go_dirty(cx.at(), held);
    }
}
