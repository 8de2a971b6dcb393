//! Address spaces: what each is made of.

use super::sums::SpaceSums;
use super::{entries, vmas};
use crate::context::{Run, holds};
use frame::Id;
use machine::{Machine, Vpn};
use object::{Mapping, Owner};
use space::Space;

/// Checks all spaces.
pub(crate) fn check<M: Machine>(run: &mut Run<'_, '_, M>, listed: u64) -> SpaceSums {
    let spaces = run.spaces;
    let mut sums = SpaceSums::default();
    for id in spaces.ids() {
        run.report.spaces += 1;
        let space = spaces.space(id);
        sums.spaces += u64::from(space.holds() > 0);
        sums.granules += u64::from(spaces.is_divided(id));
        let (users, holds) = (space.users(), space.holds());
        holds!(run, FR6, holds > 0, "space {} is neither used nor loaded", id.raw());
        let empty = spaces.stats(id).vmas == 0;
        holds!(run, FR6, users > 0 || empty, "space {} has VMAs and no users", id.raw());
        holds!(run, LK1, spaces.layout_is_idle(id), "space {}: its layout is locked or waited for", id.raw());
        let is_sound = vmas::check(run, id, &mut sums);
        if let Some(table) = space.table() {
            sums.tables += 1;
            sums.merged_zeros += entries::check(run, (id, table), is_sound);
        }
        sums.attachments += pr3_member(run, id);
        sums.committed += spaces.stats(id).committed;
    }
    let named = sums.attachments;
    holds!(run, PR3, named == listed, "{named} attachments belong to VMAs and spaces, {listed} are listed");
    vr4(run, sums.committed);
    sums
}

/// The space's membership covers all of it. Answers how many attachments it names.
fn pr3_member<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<Space>) -> u64 {
    let (spaces, space) = (run.spaces, run.spaces.space(id));
    let Some(member) = space.member() else { return 0 };
    let attachment = run.objects().attachment(member);
    let in_lineage = matches!(attachment.owner(), Owner::Lineage(_));
    let covers = attachment.mapping().is_some_and(|Mapping { table, range, first, .. }| {
        Some(table) == space.table() && range.start == Vpn(0) && first == 0 && range.end >= vmas::end::<M>()
    });
    let raw = id.raw();
    holds!(run, PR3, in_lineage && covers, "space {raw}: its membership is {:?}", attachment.mapping());
    debug_assert!(spaces.lineage_of(id).is_some() == in_lineage);
    1
}

fn vr4<M: Machine>(run: &mut Run<'_, '_, M>, sum: u64) {
    let all = run.spaces.committed();
    holds!(run, VR4, all == sum, "{all} pages are promised, {sum} to spaces");
}
