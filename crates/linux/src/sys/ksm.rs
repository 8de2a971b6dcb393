//! `/sys/kernel/mm/ksm`: settings and figures of same-page merging, a file each; and the scanner itself.

use crate::errno::{Call, Errno, errno, of_fault};
use crate::system::Linux;
use balance::{KsmReport, KsmSettings, Policy, Run};
use core::fmt::Write;
use machine::{Cx, Machine, PAGE_SIZE, VirtAddr, Vpn, VpnRange};

/// The files, in alphabetical order, as Linux 6.12 names them.
pub const FILES: [&str; 16] = [
    "full_scans",
    "general_profit",
    "ksm_zero_pages",
    "max_page_sharing",
    "merge_across_nodes",
    "pages_scanned",
    "pages_shared",
    "pages_sharing",
    "pages_to_scan",
    "pages_unshared",
    "pages_volatile",
    "run",
    "sleep_millisecs",
    "stable_node_chains",
    "stable_node_dups",
    "use_zero_pages",
];

/// Bytes that a page costs that is merged, or may be: one node or item.
const BYTES_EACH: i64 = 64;

impl<'m, M: Machine> Linux<'m, M> {
    /// One round of the scanner: `pages_to_scan` pages if it is to run. Whoever calls sleeps
    /// `sleep_millisecs` in between (Linux: `ksmd`). Answers how many pages were looked at.
    pub fn ksm_step(&self, cx: &mut Cx<'m, M>) -> u64 {
        let settings = self.ksm_settings();
        if settings.run != Run::Merge {
            return 0;
        }
        self.ksm_scan(cx, settings.pages_to_scan)
    }

    /// Looks at up to `pages` pages, and not beyond the end of a pass, whether the scanner is to run or not.
    pub fn ksm_scan(&self, cx: &mut Cx<'m, M>, pages: u64) -> u64 {
        self.balance.ksm().scan(cx, self.spaces(), pages)
    }

    /// How merging stands.
    pub fn ksm_report(&self, cx: &mut Cx<'m, M>) -> KsmReport {
        self.balance.ksm().report(cx, self.spaces())
    }

    /// The settings.
    pub fn ksm_settings(&self) -> KsmSettings {
        self.balance.ksm().settings()
    }

    /// Other settings. [`Run::Unmerge`] gives every merged page of every process a copy of its own; if there
    /// is no memory for that the answer is `ENOMEM`, the scanner is stopped, and what was not reached stays
    /// merged.
    // LINUX: mm/ksm.c run_store(), unmerge_and_remove_all_rmap_items().
    pub fn ksm_set(&self, cx: &mut Cx<'m, M>, settings: &KsmSettings) -> Result<(), Errno> {
        let before = self.ksm_settings();
        self.balance.ksm().set(settings);
        if settings.run != Run::Unmerge || before.run == Run::Unmerge {
            return Ok(());
        }
        let undone = self.unmerge_all(cx);
        if undone.is_err() {
            self.balance.ksm().set(&KsmSettings { run: Run::Stop, ..*settings });
        }
        undone
    }

    fn unmerge_all(&self, cx: &mut Cx<'m, M>) -> Result<(), Errno> {
        let everything = VpnRange::new(Vpn(0), VirtAddr(crate::args::user_end::<M>()).page());
        let mut done = Ok(());
        for space in self.spaces().ids() {
            if done.is_err() || !self.spaces().try_retain(cx.at(), space) {
                continue;
            }
            done = self.balance.with_memory(cx, self.spaces(), None, Policy::Reclaim, |cx| {
                self.faults.unmerge(cx, space, everything).map_err(of_fault)
            });
            self.spaces().release(cx.at(), space);
        }
        self.ksm_forget(cx);
        done.map_err(|error| errno(Call::AdviseNow, error))
    }

    /// Forgets the pass under way, and all that is remembered of pages that are merged no more: what a scan
    /// of a whole pass does at its end.
    pub fn ksm_forget(&self, cx: &mut Cx<'m, M>) {
        self.balance.ksm().forget(cx, self.spaces());
    }

    /// Writes what a file of `/sys/kernel/mm/ksm` shows. `EINVAL`: there is no such file.
    pub fn ksm_show(&self, cx: &mut Cx<'m, M>, file: &str, out: &mut dyn Write) -> Result<(), Errno> {
        let settings = self.ksm_settings();
        let KsmReport { totals, full_scans, scanned, volatile } = self.ksm_report(cx);
        let census = self.objects().census();
        let saved = (totals.sharing + totals.zero_pages) * PAGE_SIZE;
        let number = match file {
            "full_scans" => full_scans,
            "general_profit" => {
                let paid = (census.merge_nodes + census.merge_items) as i64 * BYTES_EACH;
                return writeln!(out, "{}", saved as i64 - paid).map_err(|_| Errno::EIO);
            }
            "ksm_zero_pages" => totals.zero_pages,
            "max_page_sharing" => settings.max_page_sharing,
            "merge_across_nodes" => u64::from(settings.merge_across_nodes),
            "pages_scanned" => scanned,
            "pages_shared" => totals.shared,
            "pages_sharing" => totals.sharing,
            "pages_to_scan" => settings.pages_to_scan,
            "pages_unshared" => totals.unshared,
            "pages_volatile" => volatile,
            "run" => settings.run as u64,
            "sleep_millisecs" => settings.sleep_millisecs,
            "stable_node_chains" => totals.chains,
            "stable_node_dups" => totals.dups,
            "use_zero_pages" => u64::from(settings.use_zero_pages),
            _ => return Err(Errno::EINVAL),
        };
        writeln!(out, "{number}").map_err(|_| Errno::EIO)
    }

    /// Takes what is written to a file of `/sys/kernel/mm/ksm`. `EINVAL`: the file takes nothing, or not
    /// this; `EBUSY`: not while pages are merged; `ENOMEM`: see [`Linux::ksm_set`].
    pub fn ksm_store(&self, cx: &mut Cx<'m, M>, file: &str, text: &str) -> Result<(), Errno> {
        let mut settings = self.ksm_settings();
        match file {
            "run" => {
                settings.run = match number(text)? {
                    0 => Run::Stop,
                    1 => Run::Merge,
                    2 => Run::Unmerge,
                    _ => return Err(Errno::EINVAL),
                };
            }
            "pages_to_scan" => settings.pages_to_scan = number(text)?,
            "sleep_millisecs" => settings.sleep_millisecs = number(text)?,
            "use_zero_pages" => settings.use_zero_pages = truth(text)?,
            "merge_across_nodes" => {
                let across = number(text)?;
                if across > 1 {
                    return Err(Errno::EINVAL);
                }
                // LINUX: merge_across_nodes_store(): what is in a tree would be in the wrong one.
                if (across == 1) != settings.merge_across_nodes && self.ksm_report(cx).totals.shared > 0 {
                    return Err(Errno::EBUSY);
                }
                settings.merge_across_nodes = across == 1;
            }
            "max_page_sharing" => {
                let most = number(text)?;
                if most < 2 {
                    return Err(Errno::EINVAL);
                }
                // LINUX: max_page_sharing_store(): a chain is made for all nodes of a content or for none.
                if most != settings.max_page_sharing && self.ksm_report(cx).totals.shared > 0 {
                    return Err(Errno::EBUSY);
                }
                settings.max_page_sharing = most;
            }
            _ => return Err(Errno::EINVAL),
        }
        self.ksm_set(cx, &settings)
    }
}

/// LINUX: kstrtouint(), with a base of 10 and one newline at the end.
fn number(text: &str) -> Result<u64, Errno> {
    let digits = text.strip_suffix('\n').unwrap_or(text);
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.parse::<u32>().ok().filter(|_| is_number);
    value.map(u64::from).ok_or(Errno::EINVAL)
}

/// LINUX: kstrtobool() looks at the first letter, or the second of `on` and `off`.
fn truth(text: &str) -> Result<bool, Errno> {
    let mut letters = text.bytes().map(|byte| byte.to_ascii_lowercase());
    match (letters.next(), letters.next()) {
        (Some(b'y' | b't' | b'1'), _) | (Some(b'o'), Some(b'n')) => Ok(true),
        (Some(b'n' | b'f' | b'0'), _) | (Some(b'o'), Some(b'f')) => Ok(false),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_linux_reads_them() {
        assert_eq!(number("100\n"), Ok(100));
        assert_eq!(number("+7"), Ok(7));
        for wrong in ["", "\n", "-1", "1 ", "0x10", "4294967296", "++1", "1\n\n"] {
            assert_eq!(number(wrong), Err(Errno::EINVAL), "{wrong:?}");
        }
        assert_eq!(["1", "Yes", "on\n"].map(truth), [Ok(true); 3]);
        assert_eq!(["0\n", "no", "OFF"].map(truth), [Ok(false); 3]);
        assert_eq!(["", "o", "2"].map(truth), [Err(Errno::EINVAL); 3]);
    }
}
