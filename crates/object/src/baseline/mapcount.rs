//! `cow=mapcount`: only other mappings mean a copy (Linux until 5.8, `reuse_swap_page()`).

use crate::cow::{Claims, Cow, Facts, Losing, Reuse};

/// A page is written in place if it is mapped once and no swap entry names it. So whoever took a reference
/// and unmapped the page reads what its other owner stores later (C-1, CVE-2020-29374).
pub struct Mapcount;

impl Cow for Mapcount {
    fn name(&self) -> &'static str {
        "mapcount"
    }

    // LINUX 5.8: mm/swapfile.c reuse_swap_page().
    fn reuse(&self, facts: &Facts) -> Reuse {
        if facts.counts.maps() + facts.swap_entries == 1 { Reuse::Alone } else { Reuse::Copy }
    }

    /// Pins were not known; fork shared every page.
    fn pinned_stays(&self, _: Losing) -> bool {
        false
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
