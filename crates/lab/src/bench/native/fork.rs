//! Fork.

use freehold::linux::{Exit, Waiting};
use freehold::machine::PAGE_SIZE;
use native::peer::{Area, PagesOf};

use super::attempt::Attempt;
use super::beside::{self, Work};
use super::ours::{Ours, Room, on_machine};
use super::{Goal, Options, Row, Trouble, row, stats};

const LEAVES_OUT: &str = "Linux also makes a task: its kernel stack, its files, its signal handlers; \
    both copy the tree of mappings, page tables, references and reverse maps, and share the pages \
    copy-on-write. The child's end is not in it.";

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let bytes = options.sized(1 << 30, 64 * PAGE_SIZE);
    // The child has tables of its own.
    on_machine(&Room::small(bytes), |ours| {
        ours.map_populated(bytes)?;
        let area = Area::map(bytes as usize, PagesOf::FourKib).at("mmap")?;
        area.populate().at("MADV_POPULATE_WRITE")?;
        let mut freehold = || forked(options, ours);
        let mut linux = || {
            let started = options.clock.now();
            let child = native::peer::fork().at("fork")?;
            let took = (options.clock.now() - started) as f64;
            child.wait().at("wait4")?;
            Ok(took / 1e6)
        };
        let samples = stats::in_turn(options, &mut [&mut freehold, &mut linux])?;
        let work = Work {
            name: "fork of 1 GiB",
            unit: "ms",
            peer: "fork",
            goal: Some(Goal::ratio_at_most(0.5, 0.4)),
            leaves_out: LEAVES_OUT,
        };
        let whole = beside::of_samples(&work, &samples[0], &samples[1]).counted(ours.counts());
        let each = 1e6 * PAGE_SIZE as f64 / bytes as f64;
        let peer = whole.peer.clone().map(|peer| row::Peer {
            value: peer.value * each,
            min: peer.min.map(|min| min * each),
            ..peer
        });
        let entry = Row {
            name: "fork, each entry".into(),
            value: whole.value * each,
            min: whole.min.map(|min| min * each),
            unit: "ns/entry",
            peer,
            goal: None,
            leaves_out: String::new(),
            ..whole.clone()
        };
        Ok(vec![whole, entry])
    })
}

/// Milliseconds of a fork.
fn forked(options: &Options, ours: &mut Ours<'_, '_>) -> Result<f64, Trouble> {
    let (linux, parent) = (ours.linux(), ours.program.process());
    let mut child = None;
    let took = ours.timed(options.clock, |ours| {
        child = Some(linux.fork(ours.program.cx(), parent).at("fork")?);
        Ok(())
    })?;
    if let Some(child) = child {
        linux.exit(ours.program.cx(), child, Exit::Code(0));
        linux.wait(ours.program.cx(), parent, Some(child), Waiting::Poll).at("wait")?;
    }
    Ok(took / 1e6)
}
