//! What threads do again and again: on both sides the same.

use freehold::machine::PAGE_SIZE;
use native::peer::{Area, PagesOf};

use super::Trouble;
use super::attempt::Attempt;
use super::ours::{DONTNEED, Ours, POPULATE_WRITE};

/// Bytes that a round works on.
pub(super) const CHUNK: u64 = 64 * PAGE_SIZE;

/// What a round is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Brings a thread's own pages in, and gives them up.
    Populate,
    /// The same, with a mapping made before and removed after.
    Map,
}

impl Kind {
    /// As the worker is asked for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Populate => "populate",
            Kind::Map => "map",
        }
    }

    /// See [`Kind::word`].
    pub(super) fn parse(word: &str) -> Option<Kind> {
        [Kind::Populate, Kind::Map].into_iter().find(|kind| kind.word() == word)
    }

    /// In words.
    pub(super) fn about(self) -> &'static str {
        match self {
            Kind::Populate => "populate and dontneed 256 KiB",
            Kind::Map => "mmap, populate, munmap 256 KiB",
        }
    }
}

/// Freehold's rounds, on the calling thread.
pub(super) fn ours_rounds(ours: &mut Ours<'_, '_>, kind: Kind, rounds: u64) -> Result<(), Trouble> {
    match kind {
        Kind::Populate => {
            let mapped = ours.map(CHUNK)?;
            for _ in 0..rounds {
                ours.advise(mapped, POPULATE_WRITE)?;
                ours.advise(mapped, DONTNEED)?;
            }
            ours.unmap(mapped)
        }
        Kind::Map => (0..rounds).try_for_each(|_| {
            let mapped = ours.map_populated(CHUNK)?;
            ours.unmap(mapped)
        }),
    }
}

/// Linux's rounds, on the calling thread.
pub(super) fn linux_rounds(kind: Kind, rounds: u64) -> Result<(), Trouble> {
    let map = || Area::map(CHUNK as usize, PagesOf::FourKib).at("mmap");
    match kind {
        Kind::Populate => {
            let area = map()?;
            for _ in 0..rounds {
                area.populate().at("MADV_POPULATE_WRITE")?;
                area.give_up().at("MADV_DONTNEED")?;
            }
            area.unmap().at("munmap")
        }
        Kind::Map => (0..rounds).try_for_each(|_| {
            let area = map()?;
            area.populate().at("MADV_POPULATE_WRITE")?;
            area.unmap().at("munmap")
        }),
    }
}
