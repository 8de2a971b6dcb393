//! VMAs: their tree, their totals, their attachments.

use super::sums::SpaceSums;
use crate::context::{Run, holds};
use frame::Id;
use machine::{EntryFormat, Machine, PAGE_SHIFT, Vpn, VpnRange};
use object::{Attachment, Mapping, Owner, Sharing};
use space::{Space, Stats, Vma, VmaFlags};

/// One past the last page user space may have.
pub(crate) fn end<M: Machine>() -> Vpn {
    Vpn(M::Entry::USER_END >> PAGE_SHIFT)
}

/// Checks a space's VMAs; answers whether the tree can be walked.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<Space>, sums: &mut SpaceSums) -> bool {
    let (spaces, raw) = (run.spaces, id.raw());
    let census = match spaces.check_tree(id) {
        Ok(census) => census,
        Err(broken) => {
            holds!(run, VR1, false, "space {raw}: {broken:?}");
            return false;
        }
    };
    sums.tree_nodes += census.nodes;
    sums.vmas += census.ranges;
    let mut totals = Stats::default();
    let mut before: Option<Id<Vma>> = None;
    for (range, vma) in spaces.quiet_vmas(id) {
        run.report.vmas += 1;
        vr1(run, id, range, vma);
        if let Some(before) = before.replace(vma) {
            vr2(run, id, before, vma);
        }
        add(&mut totals, spaces.vma(vma));
        sums.attachments += pr3(run, id, vma);
    }
    vr3(run, id, &totals);
    true
}

fn vr1<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<Space>, range: VpnRange, vma: Id<Vma>) {
    let (raw, vma) = (id.raw(), run.spaces.vma(vma));
    let own = vma.range();
    holds!(run, VR1, own == range, "space {raw}: the tree has {range:?} for {own:?}");
    holds!(run, VR1, vma.is_stable(), "space {raw}: {own:?} is being changed");
    holds!(run, VR1, range.end <= end::<M>(), "space {raw}: {own:?} is beyond user space");
}

/// Exempt are stacks (one may grow until it touches another; Linux does not merge then either), and spaces
/// whose VMAs lost their locks in a fork, which may have been the only difference between neighbours.
fn vr2<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<Space>, lower: Id<Vma>, upper: Id<Vma>) {
    let (a, b) = (run.spaces.vma(lower), run.spaces.vma(upper));
    let touch = a.range().end == b.range().start;
    let alike = touch && a.content().merges_with(&b.content());
    let by_fork = run.spaces.space(id).lost_locks();
    let exempt = a.flags().contains(VmaFlags::GROWS_DOWN) || by_fork;
    let (raw, at) = (id.raw(), b.range().start);
    holds!(run, VR2, !alike || exempt, "space {raw}: two VMAs that meet at {at:?} are alike");
}

/// Linux: `vm_stat_account`.
fn add(totals: &mut Stats, vma: &Vma) {
    let (pages, flags) = (vma.range().pages(), vma.flags());
    let (write, exec) = (flags.contains(VmaFlags::WRITE), flags.contains(VmaFlags::EXEC));
    totals.total += pages;
    if flags.contains(VmaFlags::GROWS_DOWN) {
        totals.stack += pages;
    } else if exec && !write {
        totals.exec += pages;
    } else if write && flags.is_private() {
        totals.data += pages;
    }
    if flags.contains(VmaFlags::LOCKED) {
        totals.locked += pages;
    }
    if flags.contains(VmaFlags::ACCOUNTED) {
        totals.committed += pages;
    }
}

fn vr3<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<Space>, sums: &Stats) {
    let own = run.spaces.stats(id);
    for (what, own, sum) in [
        ("total", own.total, sums.total),
        ("data", own.data, sums.data),
        ("exec", own.exec, sums.exec),
        ("stack", own.stack, sums.stack),
        ("locked", own.locked, sums.locked),
        ("committed", own.committed, sums.committed),
    ] {
        holds!(run, VR3, own == sum, "space {}: {what} is {own} pages, its VMAs have {sum}", id.raw());
    }
}

/// The VMA's attachments; answers how many it names.
fn pr3<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<Space>, vma: Id<Vma>) -> u64 {
    let vma = run.spaces.vma(vma);
    let shared = vma.flags().contains(VmaFlags::SHARED);
    let sharing = if shared { Sharing::Shared } else { Sharing::Private };
    let wanted = vma.file().map(|file| (Owner::File(file), vma.file_index(vma.range().start), sharing));
    let in_file = pr3_one(run, id, vma, vma.attachment(), wanted);
    let lineage = run.spaces.lineage_of(id).filter(|_| vma.is_moved());
    let wanted =
        lineage.map(|lineage| (Owner::Lineage(lineage), vma.anon_index(vma.range().start), Sharing::Private));
    in_file + pr3_one(run, id, vma, vma.moved_attachment(), wanted)
}

fn pr3_one<M: Machine>(
    run: &mut Run<'_, '_, M>,
    id: Id<Space>,
    vma: &Vma,
    attachment: Option<Id<Attachment>>,
    wanted: Option<(Owner, u64, Sharing)>,
) -> u64 {
    let (raw, range, table) = (id.raw(), vma.range(), run.spaces.space(id).table());
    let found = attachment.map(|attachment| {
        let attachment = run.objects().attachment(attachment);
        (attachment.owner(), attachment.mapping())
    });
    let wanted = wanted
        .zip(table)
        .map(|((owner, first, sharing), table)| (owner, Some(Mapping { table, range, first, sharing })));
    holds!(run, PR3, found == wanted, "space {raw} {range:?}: attached as {found:?}, not {wanted:?}");
    u64::from(attachment.is_some())
}
