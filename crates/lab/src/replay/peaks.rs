//! How much there was at most of what comes and goes: swapped out, merged, in large pages.

use freehold::Manager;
use freehold::object::ksm::Totals;
use sim::SimMachine;

/// Something of which there is more or less from event to event.
pub(crate) struct Gauge {
    /// Its key; its section knows it.
    pub(crate) key: &'static str,
    /// Whether pages are shown as KiB.
    pub(crate) kib: bool,
    read: fn(&Now) -> u64,
}

/// How things are.
struct Now {
    anon_huge: u64,
    swap_used: u64,
    swap_cached: u64,
    merged: Totals,
}

const fn kib(key: &'static str, read: fn(&Now) -> u64) -> Gauge {
    Gauge { key, kib: true, read }
}

const fn pages(key: &'static str, read: fn(&Now) -> u64) -> Gauge {
    Gauge { key, kib: false, read }
}

/// All of them, named as Linux does where it has them: in `/proc/meminfo` and `/sys/kernel/mm/ksm`.
pub(crate) const GAUGES: &[Gauge] = &[
    kib("AnonHugePages", |now| now.anon_huge),
    kib("SwapUsed", |now| now.swap_used),
    kib("SwapCached", |now| now.swap_cached),
    pages("pages_shared", |now| now.merged.shared),
    pages("pages_sharing", |now| now.merged.sharing),
    pages("ksm_zero_pages", |now| now.merged.zero_pages),
    kib("ksm_saved", |now| now.merged.sharing + now.merged.zero_pages),
];

/// The most of each, in pages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peaks([u64; GAUGES.len()]);

impl Peaks {
    /// Looks once more; `anon_huge` pages are mapped by entries of 2 MiB.
    pub(crate) fn look(&mut self, manager: &Manager<'_, SimMachine>, anon_huge: u64) {
        let objects = manager.linux().objects();
        let swap = objects.swap_counts();
        let now = Now {
            anon_huge,
            swap_used: swap.total - swap.free,
            swap_cached: objects.swap_cached(),
            merged: objects.merge_totals(),
        };
        for (peak, gauge) in self.0.iter_mut().zip(GAUGES) {
            *peak = (*peak).max((gauge.read)(&now));
        }
    }

    /// Each gauge with the most that it showed, in its unit.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static Gauge, u64)> + '_ {
        GAUGES.iter().zip(self.0).map(|(gauge, pages)| (gauge, if gauge.kib { pages * 4 } else { pages }))
    }
}
