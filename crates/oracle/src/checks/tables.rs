//! Page tables themselves.

use crate::context::{Run, holds};
use frame::State;
use machine::{KernelFrame, Level, Machine, Vpn};
use table::survey::Lock;
use table::{Counted, Header, Life, Walker};

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
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>, tree: Counted<'_>, table: &Table) {
    run.report.tables += 1;
    tr1(run, tree, table);
    let (number, level, first) = (tree.number(), table.level.0, table.first);
    let free = table.lock == Lock::Free;
    holds!(run, LK1, free, "tables {number}: the one of level {level} at {first:?} is locked");
}

fn tr1<M: Machine>(run: &mut Run<'_, '_, M>, tree: Counted<'_>, table: &Table) {
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

/// The tables in reserve: one for each entry of 2 MiB, empty, each in one chain once.
pub(crate) fn tr1_spares<'m, M: Machine>(
    run: &mut Run<'_, 'm, M>,
    (walker, tree): (&Walker<'_, 'm, M>, Counted<'_>),
    wholes: u64,
) {
    let (number, counted) = (tree.number(), tree.spare_tables());
    let mut found = 0;
    for table in walker.quiet_spares(run.machine).take(counted as usize + 1) {
        found += 1;
        let header = walker.quiet_header(table);
        let sound = header.owner == number && header.life == Life::Spare && header.used == 0;
        holds!(run, TR1, sound, "tables {number}: {:?} in reserve is {header:?}", table.0);
        run.claim(table.0);
        let owners = run.tally(table.0).owners;
        holds!(run, TR1, owners == 1, "tables {number}: {:?} in reserve has {owners} owners", table.0);
    }
    let exact = found == wholes && counted == wholes;
    holds!(run, TR1, exact, "tables {number}: {found} in reserve for {wholes} entries, {counted} counted");
}

/// The count of all tables of a space.
pub(crate) fn tr1_count<M: Machine>(run: &mut Run<'_, '_, M>, tree: Counted<'_>, linked: u64) {
    let (number, counted) = (tree.number(), tree.tables());
    let found = linked + tree.spare_tables();
    holds!(run, TR1, found == counted, "tables {number}: {found} there are, {counted} were counted");
}
