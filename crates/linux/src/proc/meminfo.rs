//! `/proc/meminfo`.

use super::kib::pages_line;
use crate::system::Linux;
use core::fmt::{self, Write};
use machine::Machine;
use object::FileKind;

/// What the whole machine holds, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Frames there are to hand out.
    pub total: u64,
    /// Frames nobody has.
    pub free: u64,
    /// Cached pages of files and shared memory.
    pub cached: u64,
    /// Cached pages of shared memory.
    pub shmem: u64,
    /// Cached pages that must be written.
    pub dirty: u64,
    /// Anonymous pages mapped, counted in every space.
    pub anon: u64,
    /// File pages mapped, counted in every space.
    pub mapped: u64,
    /// Anonymous pages that are in the swap cache.
    pub swap_cached: u64,
    /// Pages that are locked in memory, counted in every space.
    pub locked: u64,
    /// Page tables.
    pub tables: u64,
    /// Anonymous pages that entries of 2 MiB map, counted in every space.
    pub anon_huge: u64,
}

impl<'m, M: Machine> Linux<'m, M> {
    /// What the whole machine holds. A moment's picture, as Linux's own is.
    pub fn totals(&self) -> Totals {
        let frames = self.frames();
        let mut totals = Totals {
            total: frames.total_frames(),
            free: frames.free_frames() + frames.per_cpu_frames(),
            swap_cached: self.objects().swap_cached(),
            ..Totals::default()
        };
        for file in self.objects().file_ids() {
            let file = self.objects().file(file);
            totals.cached += file.cached_pages();
            totals.dirty += file.dirty_pages();
            if file.kind() == FileKind::Memory {
                totals.shmem += file.cached_pages();
            }
        }
        for space in self.spaces().ids() {
            let stats = self.spaces().stats(space);
            totals.anon += stats.anon_rss;
            totals.mapped += stats.file_rss + stats.shmem_rss;
            totals.locked += stats.mlocked;
            totals.tables += stats.tables;
            totals.anon_huge += stats.anon_huge;
        }
        totals
    }

    /// Writes the lines of `/proc/meminfo` that mean something here, in Linux's order.
    pub fn meminfo(&self, out: &mut dyn Write) -> fmt::Result {
        let totals = self.totals();
        let swap = self.objects().swap_counts();
        let clean = totals.cached.saturating_sub(totals.shmem + totals.dirty);
        for (label, pages) in [
            ("MemTotal:       ", totals.total),
            ("MemFree:        ", totals.free),
            ("MemAvailable:   ", totals.free + clean),
            ("Buffers:        ", 0),
            ("Cached:         ", totals.cached),
            ("SwapCached:     ", totals.swap_cached),
            ("Unevictable:    ", totals.locked),
            ("Mlocked:        ", totals.locked),
            ("SwapTotal:      ", swap.total),
            ("SwapFree:       ", swap.free),
            ("Dirty:          ", totals.dirty),
            ("Writeback:      ", 0),
            ("AnonPages:      ", totals.anon),
            ("Mapped:         ", totals.mapped),
            ("Shmem:          ", totals.shmem),
            ("PageTables:     ", totals.tables),
            ("CommitLimit:    ", self.spaces().commit_limit()),
            ("Committed_AS:   ", self.spaces().committed()),
            ("AnonHugePages:  ", totals.anon_huge),
        ] {
            pages_line(out, label, pages)?;
        }
        Ok(())
    }
}
