//! The memory part of `/proc/PID/status`.

use super::kib::pages_line;
use crate::args::page_align;
use crate::process::Process;
use crate::system::Linux;
use core::fmt::{self, Write};
use frame::Id;
use machine::{Machine, PAGE_SHIFT, PAGE_SIZE};

impl<M: Machine> Linux<'_, M> {
    /// Writes the lines from `VmPeak` to `VmSwap` (Linux: `task_mem`); nothing for a process that has exited.
    pub fn status(&self, process: Id<Process>, out: &mut dyn Write) -> fmt::Result {
        let object = self.process(process);
        let Some(space) = object.space() else { return Ok(()) };
        let stats = self.spaces().stats(space);
        let rss = stats.anon_rss + stats.file_rss + stats.shmem_rss;
        let (code_start, code_end) = (object.code_start.get().0, object.code_end.get().0);
        let code = page_align(code_end).unwrap_or(0).saturating_sub(code_start & !(PAGE_SIZE - 1));
        let text = (code >> PAGE_SHIFT).min(stats.exec);
        for (label, pages) in [
            ("VmPeak:\t", stats.peak_total.max(stats.total)),
            ("VmSize:\t", stats.total),
            ("VmLck:\t", stats.locked),
            ("VmPin:\t", 0),
            ("VmHWM:\t", stats.peak_rss.max(rss)),
            ("VmRSS:\t", rss),
            ("RssAnon:\t", stats.anon_rss),
            ("RssFile:\t", stats.file_rss),
            ("RssShmem:\t", stats.shmem_rss),
            ("VmData:\t", stats.data),
            ("VmStk:\t", stats.stack),
            ("VmExe:\t", text),
            ("VmLib:\t", stats.exec - text),
            // LINUX: mm_pgtables_bytes() leaves the root out.
            ("VmPTE:\t", stats.tables.saturating_sub(1)),
            ("VmSwap:\t", stats.swapped),
        ] {
            pages_line(out, label, pages)?;
        }
        Ok(())
    }
}
