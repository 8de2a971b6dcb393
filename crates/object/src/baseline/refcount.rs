//! `cow=refcount`: any other reference means a copy (Linux 5.9 to 5.18, since "mm: do_wp_page()
//! simplification").

use crate::cow::{Claims, Cow, Facts, Losing, Reuse};

/// A page is written in place only if the mapping's is its only reference. So a page that somebody else holds
/// for I/O, or that the swap cache holds, is replaced under its owner: what a device stores there is lost
/// (C-3, C-4).
pub struct Refcount;

impl Cow for Refcount {
    fn name(&self) -> &'static str {
        "refcount"
    }

    // LINUX 5.9: mm/memory.c do_wp_page().
    fn reuse(&self, facts: &Facts) -> Reuse {
        let only_one = facts.counts.refs() == 1 && facts.counts.maps() == 1 && facts.swap_entries == 0;
        if only_one { Reuse::Alone } else { Reuse::Copy }
    }

    /// Fork has copied pinned pages since 5.10; swap-out and migration did not ask.
    fn pinned_stays(&self, losing: Losing) -> bool {
        losing == Losing::Fork
    }

    fn unshares(&self) -> bool {
        false
    }

    fn upgrades(&self) -> bool {
        false
    }

    fn remembers(&self) -> bool {
        false
    }

    fn claims(&self) -> Claims {
        Claims::Nothing
    }
}
