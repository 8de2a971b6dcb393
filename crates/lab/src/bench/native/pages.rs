//! Bringing pages in, taking them away, changing what may be done with them.

use freehold::machine::PAGE_SIZE;
use native::peer::{Area, PagesOf, Protection};

use super::attempt::Attempt;
use super::beside::{self, Work};
use super::ours::{self, DONTNEED, POPULATE_WRITE, READ, READ_WRITE, Room, on_machine};
use super::{Goal, Options, Row, Trouble, floors};

/// Bytes of a large page.
const HUGE: u64 = 2 << 20;

/// What the sides do apart from what all native benches leave out (`features`).
const LEAVES_OUT: &str = "Linux also charges the page to its control group, keeps it on an LRU list, and \
    is entered by a trap; Freehold's TLB is software's. The table below has all of it.";

/// How many bytes are worked on: 256 MiB, as pages of 4 KiB.
fn small_bytes(options: &Options) -> u64 {
    options.sized(256 << 20, 64 * PAGE_SIZE)
}

/// Linux's memory, all pages in, on frames that were in use just before: the host takes back what lies free.
fn recycled(bytes: u64, pages: PagesOf) -> Result<Area, Trouble> {
    populated(bytes, pages)?.unmap().at("munmap")?;
    Area::map(bytes as usize, pages).at("mmap")
}

/// Linux's memory, all pages in.
fn populated(bytes: u64, pages: PagesOf) -> Result<Area, Trouble> {
    let area = Area::map(bytes as usize, pages).at("mmap")?;
    area.populate().at("MADV_POPULATE_WRITE")?;
    Ok(area)
}

/// The bench `populate`.
pub(super) fn populate(options: &Options) -> Result<Vec<Row>, Trouble> {
    let bytes = small_bytes(options);
    let per_page = (bytes / PAGE_SIZE) as f64;
    let work = Work {
        name: "populate a page",
        unit: "ns/page",
        peer: "MADV_POPULATE_WRITE",
        goal: Some(Goal::ratio_at_most(0.8, 0.7)),
        leaves_out: LEAVES_OUT,
    };
    on_machine(&Room::small(bytes), |ours| {
        let mut zeroed = floors::memory(bytes);
        let mut linux = || {
            let area = recycled(bytes, PagesOf::FourKib)?;
            let started = options.clock.now();
            area.populate().at("MADV_POPULATE_WRITE")?;
            Ok((options.clock.now() - started) as f64 / per_page)
        };
        let mut freehold = || {
            let mapped = ours.map(bytes)?;
            let took = ours.timed(options.clock, |ours| ours.advise(mapped, POPULATE_WRITE))?;
            ours.unmap(mapped)?;
            Ok(took / per_page)
        };
        let mut zero = || Ok(floors::zero(options.clock, &mut zeroed, 1));
        let row = beside::row(options, &work, &mut freehold, &mut linux, Some(&mut zero))?;
        Ok(vec![row.counted(ours.counts())])
    })
}

/// The bench `munmap`.
pub(super) fn unmap(options: &Options) -> Result<Vec<Row>, Trouble> {
    let work = Work {
        name: "munmap of a 4 KiB page",
        unit: "ns/page",
        peer: "munmap",
        goal: Some(Goal::ratio_at_most(0.6, 0.5)),
        leaves_out: LEAVES_OUT,
    };
    let bytes = small_bytes(options);
    unmapping(options, &work, &Room::small(bytes), (bytes, PAGE_SIZE))
}

/// The bench `munmap-huge`.
pub(super) fn unmap_huge(options: &Options) -> Result<Vec<Row>, Trouble> {
    let work = Work {
        name: "munmap of a 2 MiB page",
        unit: "ns/page",
        peer: "munmap",
        goal: None,
        leaves_out: LEAVES_OUT,
    };
    let bytes = options.sized(1 << 30, 2 * HUGE);
    unmapping(options, &work, &Room::large(bytes), (bytes, HUGE))
}

fn unmapping(
    options: &Options,
    work: &Work,
    room: &Room,
    (bytes, page): (u64, u64),
) -> Result<Vec<Row>, Trouble> {
    let per_page = (bytes / page) as f64;
    on_machine(room, |ours| {
        let mut freehold = || {
            let mapped = ours.map_populated(bytes)?;
            Ok(ours.timed(options.clock, |ours| ours.unmap(mapped))? / per_page)
        };
        let mut linux = || {
            let area = populated(bytes, room.pages)?;
            let started = options.clock.now();
            area.unmap().at("munmap")?;
            Ok((options.clock.now() - started) as f64 / per_page)
        };
        let row = beside::row(options, work, &mut freehold, &mut linux, None)?;
        Ok(vec![row.counted(ours.counts())])
    })
}

/// The bench `dontneed`.
pub(super) fn give_up(options: &Options) -> Result<Vec<Row>, Trouble> {
    let bytes = small_bytes(options);
    let per_page = (bytes / PAGE_SIZE) as f64;
    let work = Work {
        name: "MADV_DONTNEED of a page",
        unit: "ns/page",
        peer: "MADV_DONTNEED",
        goal: None,
        leaves_out: LEAVES_OUT,
    };
    on_machine(&Room::small(bytes), |ours| {
        let mapped = ours.map(bytes)?;
        let area = populated(bytes, PagesOf::FourKib)?;
        let mut freehold = || {
            ours.advise(mapped, POPULATE_WRITE)?;
            Ok(ours.timed(options.clock, |ours| ours.advise(mapped, DONTNEED))? / per_page)
        };
        let mut linux = || {
            area.populate().at("MADV_POPULATE_WRITE")?;
            let started = options.clock.now();
            area.give_up().at("MADV_DONTNEED")?;
            Ok((options.clock.now() - started) as f64 / per_page)
        };
        let row = beside::row(options, &work, &mut freehold, &mut linux, None)?;
        Ok(vec![row.counted(ours.counts())])
    })
}

/// The bench `mprotect`.
pub(super) fn protect(options: &Options) -> Result<Vec<Row>, Trouble> {
    let bytes = options.sized(1 << 30, 64 * PAGE_SIZE);
    on_machine(&Room::small(bytes), |ours| {
        let mapped = ours.map_populated(bytes)?;
        let area = populated(bytes, PagesOf::FourKib)?;
        let mut both = [
            Changing { name: "mprotect of a page to read-only", before: READ_WRITE, to: READ },
            Changing { name: "mprotect of a page to read-write", before: READ, to: READ_WRITE },
        ];
        both.iter_mut().map(|changing| changing.row(options, (ours, mapped), &area)).collect()
    })
}

/// A change of protection.
struct Changing {
    name: &'static str,
    before: u64,
    to: u64,
}

fn protection(prot: u64) -> Protection {
    if prot == READ { Protection::Read } else { Protection::ReadWrite }
}

impl Changing {
    fn row(
        &self,
        options: &Options,
        (ours, mapped): (&mut ours::Ours<'_, '_>, ours::Mapped),
        area: &Area,
    ) -> Result<Row, Trouble> {
        let per_page = (mapped.len / PAGE_SIZE) as f64;
        let work = Work {
            name: self.name,
            unit: "ns/page",
            peer: "mprotect",
            goal: Some(Goal::ratio_at_most(0.5, 0.4)),
            leaves_out: LEAVES_OUT,
        };
        let mut freehold = || {
            ours.protect(mapped, self.before)?;
            Ok(ours.timed(options.clock, |ours| ours.protect(mapped, self.to))? / per_page)
        };
        let mut linux = || {
            area.protect(protection(self.before)).at("mprotect")?;
            let started = options.clock.now();
            area.protect(protection(self.to)).at("mprotect")?;
            Ok((options.clock.now() - started) as f64 / per_page)
        };
        let row = beside::row(options, &work, &mut freehold, &mut linux, None)?;
        Ok(row.counted(ours.counts()))
    }
}
