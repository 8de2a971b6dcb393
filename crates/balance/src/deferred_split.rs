//! Folios of which parts are not mapped any more become small ones (Linux: `deferred_split_scan`).

use frame::{SUBSECTION_ORDER, SubsectionState};
use machine::{Cx, HUGE_ORDER, Machine, Pfn, level};
use object::Split;
use space::Spaces;

const PAGES: u64 = HUGE_ORDER.frames();

/// Splits folios of 2 MiB of which parts have no mapping any more, so that those frames are free; looks at
/// all memory. Answers how many were split. Who holds or pins one keeps it whole.
pub(crate) fn split_partly_mapped<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
) -> u64 {
    let frames = spaces.frames();
    let mut split = 0;
    for (start, end) in frames.touched() {
        let first = start.0.next_multiple_of(PAGES as u32);
        for head in (first..end.0).step_by(PAGES as usize).map(Pfn) {
            split += u64::from(is_partly_mapped(cx, spaces, head) && try_split(cx, spaces, head));
        }
    }
    split
}

/// Whether there is a folio of 2 MiB at this frame, of which parts are not mapped: a hint.
fn is_partly_mapped<'m, M: Machine>(
    cx: &Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    head: Pfn,
) -> bool {
    let subsection = spaces.frames().memmap().subsection(cx, head);
    if subsection.state() != SubsectionState::Active || subsection.whole() != Some(SUBSECTION_ORDER) {
        return false;
    }
    spaces.objects().is_partly_mapped(cx, head)
}

fn try_split<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::PROCESS }>,
    spaces: &Spaces<'m, M>,
    head: Pfn,
) -> bool {
    if spaces.frames().try_get_folio(cx.at(), head) != Some(head) {
        return false;
    }
    let split = spaces.objects().split_folio(cx.at(), head) == Split::Done;
    spaces.frames().put(cx.at(), head);
    split
}
