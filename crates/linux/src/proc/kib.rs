//! The one way Linux writes sizes.

use core::fmt::{Result, Write};
use machine::PAGE_SHIFT;

/// `label`, the pages as KiB in at least eight places, ` kB`.
pub(super) fn pages_line(out: &mut dyn Write, label: &str, pages: u64) -> Result {
    writeln!(out, "{label}{:>8} kB", pages << (PAGE_SHIFT - 10))
}
