//! What CPUs hold of page tables.

use crate::context::{Run, holds};
use crate::outside::{Link, Translation};
use frame::Id;
use machine::entry::Kind;
use machine::{Access, Asid, CpuId, EntryFormat, Level, Machine};
use table::PageTable;

/// Checks all CPUs.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>) {
    for id in run.spaces.tables().ids() {
        lr10(run, id);
    }
    for cpu in (0..run.machine.cpus()).map(CpuId) {
        tr5(run, cpu);
    }
    let tlbs = run.outside.tlbs;
    tlbs.for_each_translation(&mut |held| {
        run.report.translations += 1;
        if let Some(table) = usable(run, held.cpu, held.asid) {
            tr3(run, table, held);
        }
    });
    tlbs.for_each_link(&mut |link| {
        if let Some(table) = usable(run, link.cpu, link.asid) {
            tr6(run, table, link);
        }
    });
}

/// The space's tables if the CPU may use what it holds of the space: it is in the active set, or would not
/// drop it when it comes back. What is held of dead spaces, or is behind by generation, is dropped before it
/// can be used.
fn usable<M: Machine>(run: &Run<'_, '_, M>, cpu: CpuId, asid: Asid) -> Option<Id<PageTable>> {
    let tables = run.spaces.tables();
    let id = tables.by_asid(asid)?;
    let domain = tables.get(id).domain().quiet();
    let current = || tables.quiet_claim(cpu, id) == Some(domain.begun);
    (domain.active.contains(cpu) || current()).then_some(id)
}

fn lr10<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<PageTable>) {
    let domain = run.spaces.tables().get(id).domain().quiet();
    let settled = domain.owing == 0 && domain.begun == domain.done;
    let (raw, owing, begun, done) = (id.raw(), domain.owing, domain.begun, domain.done);
    holds!(run, LR10, settled, "tables {raw}: {owing} batches owe a flush, {done} of {begun} are over");
}

fn tr3<M: Machine>(run: &mut Run<'_, '_, M>, table: Id<PageTable>, held: &Translation) {
    let Translation { cpu, page, frame, perms, dirty, .. } = *held;
    let seen = run.spaces.walker(table).quiet_peek(run.machine, page);
    let attrs = M::Entry::attrs(seen.entry);
    let within = if seen.level == Level::HUGE { page - page.huge_base() } else { 0 };
    let same = match M::Entry::kind(seen.entry, seen.level) {
        Kind::Leaf(first) => first.plus(within) == frame,
        _ => false,
    };
    let mut agrees = same && (!dirty || attrs.dirty);
    for access in [Access::Read, Access::Write, Access::Execute] {
        agrees &= !perms.allow(access) || attrs.perms.allow(access);
    }
    let (raw, cpu) = (table.raw(), cpu.0);
    let message = format_args!(
        "CPU {cpu} holds {frame:?} {perms:?} dirty {dirty} for {page:?} of tables {raw}: {:#x}",
        seen.entry.0
    );
    run.check(crate::rule::Rule::TR3, agrees, message);
}

fn tr5<M: Machine>(run: &mut Run<'_, '_, M>, cpu: CpuId) {
    let Some((root, asid)) = run.outside.tlbs.loaded(cpu) else { return };
    let tables = run.spaces.tables();
    let live = tables.by_asid(asid).map(|id| tables.get(id)).filter(|table| table.root() == root);
    holds!(run, TR5, live.is_some(), "CPU {} translates through {root:?} of {asid:?}, which is gone", cpu.0);
    let Some(table) = live else { return };
    let active = table.domain().quiet().active.contains(cpu);
    holds!(run, TR5, active, "CPU {} is not in the active set of {asid:?}", cpu.0);
}

fn tr6<M: Machine>(run: &mut Run<'_, '_, M>, table: Id<PageTable>, link: &Link) {
    let linked = run.spaces.walker(table).quiet_leaf_table(run.machine, link.page);
    let (cpu, page, held) = (link.cpu.0, link.page, link.table);
    holds!(run, TR6, linked == Some(held), "CPU {cpu} holds {held:?} for {page:?}, linked is {linked:?}");
}
