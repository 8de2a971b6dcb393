//! `mmap` with `MAP_32BIT`: below 2 GiB, from the bottom (Linux: `find_start_end`, `arch_get_unmapped_area`).

use crate::errno::Errno;
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, PAGE_SHIFT, Vpn, VpnRange};
use space::{Place, VmaFlags};

/// Where such mappings go.
const WINDOW: VpnRange = VpnRange::new(Vpn(0x4000_0000 >> PAGE_SHIFT), Vpn(0x8000_0000 >> PAGE_SHIFT));
/// Pages kept free below a stack (Linux: `stack_guard_gap`).
const GUARD: u64 = 256;

impl<'m, M: Machine> Linux<'m, M> {
    /// A place for `pages` pages: the hint if it is free and low, otherwise the lowest gap. Somebody else
    /// may take it before it is mapped, so it is asked for without replacing anything.
    pub(crate) fn low_place(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        hint: Option<Vpn>,
        pages: u64,
    ) -> Result<Place, Errno> {
        let space = self.space_of(process)?;
        if pages > WINDOW.pages() {
            return Err(Errno::ENOMEM);
        }
        let hinted = hint.filter(|hint| hint.0 <= WINDOW.end.0 - pages);
        let mut hint_is_free = hinted.is_some();
        let mut lowest = WINDOW.start;
        let mut found = None;
        self.spaces().for_each_vma(cx.at(), space, |vma| {
            let guard = if vma.flags.contains(VmaFlags::GROWS_DOWN) { GUARD } else { 0 };
            let taken = VpnRange::new(Vpn(vma.range.start.0.saturating_sub(guard)), vma.range.end);
            if hinted.is_some_and(|hint| taken.overlaps(&VpnRange::sized(hint, pages))) {
                hint_is_free = false;
            }
            if found.is_none() && taken.end > lowest {
                if taken.start.0 >= lowest.0 + pages {
                    found = Some(lowest);
                }
                lowest = lowest.max(taken.end);
            }
        });
        let gap = found.unwrap_or(lowest);
        match hinted.filter(|_| hint_is_free) {
            Some(hint) => Ok(Place::FixedNoReplace(hint)),
            None if gap.0 + pages <= WINDOW.end.0 => Ok(Place::FixedNoReplace(gap)),
            None => Err(Errno::ENOMEM),
        }
    }
}
