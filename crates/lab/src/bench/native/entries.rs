//! The munmap of 496 GiB of large pages, really executed: the manager's own code, on memory without bytes.

use freehold::machine::VirtAddr;
use host::Contents;
use native::peer::{Area, PagesOf};

use super::attempt::Attempt;
use super::beside::{self, Work};
use super::ours::{Mapped, Ours, Room, on_machine};
use super::row::{Better, Measure};
use super::{Goal, Options, Row, Trouble};

/// Bytes of a large page.
const HUGE: u64 = 2 << 20;

const LEAVES_OUT: &str = "Ours are 253,952 entries whose pages have no bytes (nothing is stored in them \
    on either side while they are unmapped); Linux's are the entries of 1 GiB of large pages, and its \
    figure is one entry's.";

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let entries: u64 = options.sized(253_952, 64);
    let bytes = entries * HUGE;
    let room =
        Room { contents: Contents::None, bytes: bytes + bytes / 64 + (64 << 20), ..Room::large(bytes) };
    let few = options.sized(512, 2);
    let goal = Goal { measure: Measure::Value, better: Better::Lower, must: 100.0, aim: None };
    let work = Work {
        name: "munmap of 496 GiB, each 2 MiB entry",
        unit: "ns/entry",
        peer: "munmap of 1 GiB",
        goal: Some(goal),
        leaves_out: LEAVES_OUT,
    };
    on_machine(&room, |ours| {
        let mut freehold = || {
            let mapped = touched(ours, bytes)?;
            Ok(ours.timed(options.clock, |ours| ours.unmap(mapped))? / entries as f64)
        };
        let mut linux = || {
            let area = Area::map((few * HUGE) as usize, PagesOf::TwoMib).at("mmap")?;
            area.populate().at("MADV_POPULATE_WRITE")?;
            let started = options.clock.now();
            area.unmap().at("munmap")?;
            Ok((options.clock.now() - started) as f64 / few as f64)
        };
        let row = beside::row(options, &work, &mut freehold, &mut linux, None)?;
        Ok(vec![row.counted(ours.counts())])
    })
}

/// A mapping, a store to each large page of it: a fault a page.
fn touched(ours: &mut Ours<'_, '_>, bytes: u64) -> Result<Mapped, Trouble> {
    let mapped = ours.map(bytes)?;
    for start in (mapped.start..mapped.start + mapped.len).step_by(HUGE as usize) {
        ours.program.store(VirtAddr(start), 1).at("a store")?;
    }
    Ok(mapped)
}
