//! Which scenario catches which planted bug, and as what.

use freehold::machine::Plant;
use freehold_lab::explore::run::Kind;
use sim::explore::Ordered;

/// What must catch a planted bug.
pub(crate) struct Row {
    pub(crate) plant: Plant,
    /// Under `scenarios/`, without its suffix.
    pub(crate) scenario: &'static str,
    /// What fails.
    pub(crate) kind: Kind,
    /// A part of what is said then: the rule, where there is one.
    pub(crate) says: &'static str,
    /// How the machine orders stores.
    pub(crate) ordered: Ordered,
    /// How deep random schedules look, where all schedules take too long.
    pub(crate) random_depth: Option<u32>,
}

impl Row {
    /// The scenario's file.
    pub(crate) fn file(&self) -> String {
        format!("scenarios/{}.fhs", self.scenario)
    }
}

const fn row(plant: Plant, scenario: &'static str, kind: Kind, says: &'static str) -> Row {
    Row { plant, scenario, kind, says, ordered: Ordered::Sequential, random_depth: None }
}

/// One for each of `Plant::ALL`, in its order.
pub(crate) const ROWS: &[Row] = &[
    row(Plant::FlushForgotten, "walk/protect-against-stale-writers", Kind::Rule, "(TR3)"),
    row(Plant::FreedBeforeFlush, "walk/l-09-frame-freed-before-flush", Kind::StaleTranslation, "a store to"),
    row(
        Plant::TableWithoutGrace,
        "walk/l-02-truncation-through-a-table-that-goes",
        Kind::Deadlock,
        "spins for descriptor",
    ),
    row(Plant::UpperLevelsKept, "walk/l-13-table-that-serves-elsewhere", Kind::WrongByte, "where 2 is due"),
    row(Plant::NestedIgnored, "walk/l-10-dontneed-against-truncate", Kind::Expectation, "it came to 5"),
    row(
        Plant::GenerationRaisedLate,
        "walk/l-16-cpu-comes-back-while-a-page-goes",
        Kind::WrongByte,
        "where nothing is mapped",
    ),
    row(Plant::GenerationIgnored, "walk/l-15-lazy-cpu", Kind::WrongByte, "where 2 is due"),
    Row {
        random_depth: Some(3),
        ..row(
            Plant::HugeFlushedLate,
            "walk/l-08-dontneed-against-small-fault",
            Kind::StaleTranslation,
            "MixedSizes",
        )
    },
    row(Plant::MappingLeftEarly, "walk/l-14-unmap-against-truncation", Kind::WrongByte, "beyond the end"),
    row(Plant::MaskReadEarly, "walk/l-16-cpu-comes-back-while-a-page-goes", Kind::WrongByte, "is mapped"),
    row(Plant::WalkerKeepsPlace, "walk/l-01-entry-becomes-a-table", Kind::Expectation, "large ="),
    row(Plant::EntryReadTwice, "walk/l-01-link-goes-between-two-looks", Kind::Panic, "leads nowhere"),
    row(Plant::GuardEndsEarly, "walk/l-21-table-serves-elsewhere", Kind::Expectation, "before ="),
    row(Plant::GuardLeaked, "walk/l-23-walks-that-end-early", Kind::Deadlock, "spins"),
    row(Plant::FallbackUnwaited, "walk/l-03-no-room-for-tables", Kind::Expectation, "before ="),
    Row {
        ordered: Ordered::Buffered,
        ..row(Plant::EnterUnfenced, "walk/l-04-mark-that-waits-in-a-buffer", Kind::Expectation, "before =")
    },
    row(Plant::WaitForNobody, "walk/l-05-walks-back-to-back", Kind::Expectation, "does not hold"),
    row(Plant::SwapCountLeaked, "swap/row-15-pinned-page-keeps-no-slot", Kind::Rule, "SW"),
    row(Plant::SwapSoleKeptByFork, "swap/c-15-fork-of-a-swapped-page", Kind::Expectation, "swapped"),
    row(
        Plant::SwapSoleForgotten,
        "swap/c-04-swapped-out-under-a-reference",
        Kind::WrongByte,
        "where 5 is due",
    ),
    row(Plant::SwapOffForgetsSole, "swap/c-04-swapoff-under-a-reference", Kind::WrongByte, "where 5 is due"),
    row(Plant::SwapReadsRoundCache, "swap/c-17-slot-used-again", Kind::WrongByte, "2"),
    row(Plant::StableWritesIgnored, "swap/c-16-stable-writes", Kind::Machine, "TornWrite"),
    row(Plant::MlockMarksNothing, "swap/lock-of-present-pages", Kind::Expectation, "EBUSY"),
    row(Plant::EvictsLocked, "swap/lock-against-evict", Kind::Expectation, "this does not hold"),
    row(Plant::LazyFreeDropsWritten, "swap/free-lazily-against-reclaim", Kind::WrongByte, "where 4 is due"),
    row(Plant::LazyFreeDropsReferred, "swap/free-under-a-reference", Kind::WrongByte, "where 5 is due"),
    row(Plant::LazyFreeFlushedLate, "swap/free-against-stale-reader", Kind::WrongByte, "where 5 is due"),
    row(Plant::StampUnchecked, "walk/protect-against-first-fault", Kind::Rule, "(TR2)"),
    row(Plant::EntryUnchecked, "space/two-faults-on-one-page", Kind::Panic, "the entry is in use"),
    row(
        Plant::EmptyLeafSkipped,
        "walk/unmap-against-fault-in-an-empty-table",
        Kind::WrongByte,
        "where nothing is mapped",
    ),
    row(Plant::HoleBelieved, "space/splits-and-merges-under-faults", Kind::Expectation, "it came to SEGV"),
    row(Plant::ForkLeavesWritable, "cow/fork-against-write", Kind::Rule, "(CR1)"),
    row(Plant::ForkLeavesExclusive, "cow/fork-of-fork", Kind::Panic, "mapped once (CR2)"),
    row(Plant::ForkIgnoresPins, "cow/c-24-first-pin-against-fork", Kind::WrongByte, "through a pin"),
    row(Plant::ForkUnmarked, "cow/fork-against-first-touch", Kind::Expectation, "x = 1, y = 0"),
    Row {
        random_depth: Some(3),
        ..row(Plant::KsmIgnoresPendingFlush, "ksm/c-12-pending-flush", Kind::WrongByte, "loaded 7")
    },
    row(Plant::KsmComparesEarly, "ksm/w-03-store-before-protect", Kind::WrongByte, "loaded"),
    row(Plant::KsmNodeForgotten, "ksm/merged-page-moves-while-scanned", Kind::Expectation, "not r ksm"),
    row(Plant::KsmMergesPinned, "ksm/c-11-pin-against-merge", Kind::WrongByte, ""),
    row(Plant::ReuseByMapcount, "cow/c-01-vmsplice-then-parent-writes", Kind::WrongByte, "C loaded 2"),
    row(Plant::CopyBeforeFlush, "cow/copy-against-writer-and-reader", Kind::WrongByte, "where 3 is due"),
    row(
        Plant::SplitForgetsPrivate,
        "space/first-private-page-against-split",
        Kind::WrongByte,
        "C loaded 0 at a[3]",
    ),
    row(Plant::MigrateWithUsers, "move/pinned-file-page-stays", Kind::WrongByte, "due"),
    row(Plant::SplitDropsExclusive, "cow/c-09-pinned-page-is-not-split", Kind::Expectation, "is rw shared"),
    row(Plant::HugeUnclaimed, "huge/unmap-against-first-touch", Kind::Rule, "(TR2)"),
    row(Plant::SplitIgnoresRefusal, "cow/c-09-split-against-pin", Kind::Panic, "in use"),
    row(Plant::CollapseUnwaited, "cow/c-25-collapse-against-pin", Kind::WrongByte, "P loaded"),
    row(Plant::CollapseUnchecked, "cow/c-25-pinned-page-is-not-collapsed", Kind::Expectation, "EAGAIN"),
    row(Plant::MigrationKeptByFork, "move/c-14-fork-against-migration", Kind::Expectation, "shared"),
    row(Plant::MigrationForgets, "move/c-13-read-only-exclusive-page-moves", Kind::Expectation, "r shared"),
    row(
        Plant::LiftedToNothing,
        "move/large-against-unmap-of-a-part",
        Kind::Expectation,
        "is huge rw exclusive",
    ),
    row(Plant::MovedPartsForget, "move/large-by-pages-keeps-its-bits", Kind::Expectation, "rw shared"),
    row(
        Plant::PinWithoutRecheck,
        "cow/c-05-pin-against-dontneed-and-reuse",
        Kind::WrongByte,
        "P loaded 5 at b[0]",
    ),
    row(
        Plant::PinWhateverTheBit,
        "cow/c-08-read-only-entry-stays-the-same",
        Kind::WrongByte,
        "through a pin",
    ),
    row(Plant::ShareInTwoSteps, "cow/c-07-pin-against-share", Kind::WrongByte, "through a pin"),
    row(Plant::PartSharedInTwoSteps, "cow/c-21-half-of-a-large-page-moves", Kind::WrongByte, "through a pin"),
    row(
        Plant::UpgradeWithoutExclusive,
        "cow/protect-does-not-make-shared-pages-writable",
        Kind::WrongByte,
        "C loaded 2",
    ),
    row(Plant::ForceWithoutExclusive, "cow/c-20-forced-store-to-shared-page", Kind::WrongByte, "C loaded 5"),
    row(Plant::UnshareForgotten, "cow/c-22-zero-page-pinned-for-long", Kind::Expectation, "is zero, not r"),
    row(
        Plant::DirtyClearedLate,
        "walk/l-19-store-through-a-stale-translation",
        Kind::Expectation,
        "this does not hold",
    ),
    row(Plant::DisownedLate, "file/truncate-against-store", Kind::WrongByte, "beyond the end of the file"),
    row(Plant::UptodateEarly, "file/two-faults-read-one-page", Kind::Machine, "PoisonRead"),
    row(Plant::GetFromZero, "file/reclaim-against-fault", Kind::Panic, "a reference to a free folio"),
    row(Plant::WaiterFlagLate, "wait/w-18-truncation-waits-for-a-reader", Kind::Deadlock, "sleeps until"),
    row(Plant::UnlockWithoutWake, "wait/w-18-lost-wake-up", Kind::Deadlock, "sleeps until"),
    row(Plant::PromiseKept, "walk/unmap-against-first-fault", Kind::Rule, "(VR3)"),
    row(Plant::PromiseLeaked, "space/map-when-memory-is-short", Kind::Rule, "(VR3)"),
    row(Plant::DrainForgotten, "frame/drain-against-allocation", Kind::Rule, "(FR2)"),
    row(Plant::GuardGapForgotten, "space/stack-keeps-its-distance", Kind::Expectation, "it came to OK"),
];

/// Other scenarios that catch one of them, too: each is about another use of the same step.
pub(crate) const ALSO: &[Row] = &[
    row(Plant::NestedIgnored, "cow/fork-against-unflushed-migration", Kind::WrongByte, "due"),
    row(Plant::NestedIgnored, "move/remap-against-unflushed-migration", Kind::WrongByte, "due"),
    row(Plant::NestedIgnored, "walk/l-14b-dontneed-against-migration", Kind::WrongByte, "where 0 is due"),
    row(Plant::TableWithoutGrace, "walk/l-21-table-serves-elsewhere", Kind::Expectation, "before ="),
    row(Plant::TableWithoutGrace, "walk/l-18-interrupt-of-a-walk", Kind::Expectation, "before ="),
    row(Plant::ShareInTwoSteps, "cow/c-06-pin-against-fork", Kind::WrongByte, "due"),
    row(Plant::ShareInTwoSteps, "cow/c-10-pin-of-a-huge-page-against-fork", Kind::WrongByte, "due"),
    row(Plant::ShareInTwoSteps, "cow/c-08-read-only-entry-stays-the-same", Kind::WrongByte, "through a pin"),
    row(Plant::ForkIgnoresPins, "cow/c-10-fork-with-a-pinned-huge-page", Kind::WrongByte, "due"),
];
