//! `/proc/vmstat`.

use super::meminfo::Totals;
use crate::system::Linux;
use core::fmt::{self, Write};
use machine::{Cx, Machine};

impl<'m, M: Machine> Linux<'m, M> {
    /// Writes what there is now, then every counter of events.
    pub fn vmstat(&self, cx: &Cx<'m, M>, out: &mut dyn Write) -> fmt::Result {
        let Totals { free, cached, dirty, anon, mapped, shmem, tables, swap_cached, locked, .. } =
            self.totals();
        for (name, value) in [
            ("nr_free_pages", free),
            ("nr_anon_pages", anon),
            ("nr_mapped", mapped),
            ("nr_file_pages", cached),
            ("nr_mlock", locked),
            ("nr_dirty", dirty),
            ("nr_shmem", shmem),
            ("nr_page_table_pages", tables),
            ("nr_swapcached", swap_cached),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        for (name, value) in cx.core().totals() {
            writeln!(out, "{name} {value}")?;
        }
        Ok(())
    }
}
