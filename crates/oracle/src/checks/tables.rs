//! Page tables themselves.

use crate::context::{Run, holds};
use frame::State;
use machine::{KernelFrame, Level, Machine, Vpn};
use table::survey::Lock;
use table::{Header, Life, PageTable};

/// A table as a survey met it.
pub(crate) struct Table {
    pub(crate) frame: KernelFrame,
    pub(crate) level: Level,
    pub(crate) first: Vpn,
    pub(crate) header: Header,
    pub(crate) used: u64,
    pub(crate) lock: Lock,
}

/// One table: claims its frame.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>, tree: &PageTable, table: &Table) {
    run.report.tables += 1;
    tr1(run, tree, table);
    let (number, level, first) = (tree.number(), table.level.0, table.first);
    let free = table.lock == Lock::Free;
    holds!(run, LK1, free, "tables {number}: the one of level {level} at {first:?} is locked");
}

fn tr1<M: Machine>(run: &mut Run<'_, '_, M>, tree: &PageTable, table: &Table) {
    let (number, level, first) = (tree.number(), table.level.0, table.first);
    let Header { owner, level: named, used: counted, life } = table.header;
    let state = run.descriptor(table.frame.0).map(|page| page.quiet_meta().state());
    holds!(run, TR1, state == Some(State::Table), "tables {number}: level {level} at {first:?} is {state:?}");
    let placed = owner == number && named == table.level && life == Life::Linked;
    holds!(run, TR1, placed, "tables {number}: level {level} at {first:?} is {:?}", table.header);
    let used = table.used;
    let exact = u64::from(counted) == used;
    holds!(run, TR1, exact, "tables {number}: level {level} at {first:?} has {used} entries, not {counted}");
    run.claim(table.frame.0);
    let links = run.tally(table.frame.0).owners;
    holds!(run, TR1, links == 1, "tables {number}: level {level} at {first:?} is linked {links} times");
}

/// The count of all tables of a space.
pub(crate) fn tr1_count<M: Machine>(run: &mut Run<'_, '_, M>, tree: &PageTable, found: u64) {
    let (number, counted) = (tree.number(), tree.tables());
    holds!(run, TR1, found == counted, "tables {number}: {found} are linked, {counted} were counted");
}
