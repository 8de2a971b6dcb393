//! Benches on this machine, beside this Linux.
//!
//! Our side is the manager on [`host::HostMachine`]: real memory, really zeroed and copied, driven by library
//! calls. Linux's side is its own calls ([`native::peer`]), in this process, on the same CPU, in turn with
//! ours. No cost of a trap is added to ours and none is taken from Linux's; `floors` says what an empty call
//! costs.

mod attempt;
mod beside;
mod content;
mod entries;
mod features;
mod floors;
mod fork;
mod hold;
mod marks;
mod merge;
mod ours;
mod pages;
mod rounds;
mod scanner;
mod swap_out;
mod threads;
mod worker;

use super::{Bench, Goal, Options, Peer, Row, Side, Trouble, row, stats};

pub(super) use features::text as features;
pub(crate) use worker::{WORKER, WorkerArgs, run_worker};

/// A bench of this side.
const fn native(
    name: &'static str,
    about: &'static str,
    rows: fn(&Options) -> Result<Vec<Row>, Trouble>,
) -> Bench {
    Bench { name, side: Side::Native, about, rows }
}

/// All of them.
pub(super) const BENCHES: &[Bench] = &[
    native(
        "floors",
        "what nobody can be faster than: zeroing, copying, a cache miss, an empty call",
        floors::rows,
    ),
    native("populate", "MADV_POPULATE_WRITE of fresh memory", pages::populate),
    native("munmap", "munmap of pages of 4 KiB", pages::unmap),
    native("munmap-huge", "munmap of pages of 2 MiB", pages::unmap_huge),
    native("dontneed", "MADV_DONTNEED of pages of 4 KiB", pages::give_up),
    native("mprotect", "mprotect to read-only and back", pages::protect),
    native("fork", "fork of a process that touched 1 GiB of pages of 4 KiB", fork::rows),
    native("gup", "taking hold of 256 pages, and letting go", hold::rows),
    native("ksm", "the scanner that merges equal pages", merge::rows),
    native("swap-out", "MADV_PAGEOUT to compressed memory", swap_out::rows),
    native("threads", "two threads in one address space, and in two", threads::rows),
    native("guard", "the mark of a lockless walk, and what waits for it", marks::rows),
    native("munmap-entries", "munmap of 253,952 pages of 2 MiB that have no bytes", entries::rows),
];
