//! The list.

/// One race of the facts.
pub(crate) struct Race {
    /// Its number there.
    pub(crate) id: &'static str,
    /// What meets what.
    pub(crate) what: &'static str,
    /// Scenarios beside those that bear its number.
    pub(crate) also: &'static [&'static str],
    /// Tests.
    pub(crate) tests: &'static [Test],
    /// What of it Freehold has not.
    pub(crate) nearest: Option<Nearest>,
}

/// A test.
pub(crate) struct Test {
    /// Under `crates/`.
    pub(crate) file: &'static str,
    /// Its function.
    pub(crate) name: &'static str,
}

/// Something that is not there.
pub(crate) struct Nearest {
    pub(crate) missing: &'static str,
    pub(crate) instead: &'static str,
}

const fn race(id: &'static str, what: &'static str) -> Race {
    Race { id, what, also: &[], tests: &[], nearest: None }
}

const EPOCHS: &str = "machine/tests/loom/epochs.rs";
const HEAVY: &str = "machine/tests/loom/heavy.rs";
const CPUS: &str = "table/tests/cpus.rs";

/// All of them, in order.
pub(crate) const RACES: &[Race] = &[
    race("L-1", "an entry of 2 MiB becomes a table under a walk, or a table such an entry"),
    Race {
        tests: &[Test { file: CPUS, name: "nobody_reaches_a_page_or_a_table_that_was_freed" }],
        ..race("L-2", "a table is freed, and its frame is somebody's bytes, under a walk")
    },
    race("L-3", "the same where there is no room to note the tables"),
    Race {
        tests: &[
            Test { file: EPOCHS, name: "nobody_reads_what_was_reclaimed" },
            Test { file: EPOCHS, name: "twin_entering_without_its_fence" },
            Test { file: HEAVY, name: "nobody_reads_what_was_reclaimed" },
            Test { file: HEAVY, name: "twin_waiting_without_the_barrier" },
        ],
        ..race("L-4", "the walk's mark and the updater's look at it pass each other in store buffers")
    },
    Race {
        tests: &[Test { file: EPOCHS, name: "a_reader_that_came_later_is_not_waited_for" }],
        ..race("L-5", "walks back to back, and an unmapping that must end")
    },
    Race {
        also: &[
            "cow/c-25-collapse-against-pin",
            "cow/c-25-pinned-page-is-not-collapsed",
            "walk/l-01-table-becomes-an-entry",
        ],
        ..race("L-6", "collapse, and a walk in the table that it takes out")
    },
    Race {
        nearest: Some(Nearest {
            missing: "entries of 2 MiB of files, and so tables that a file's collapse takes out with nothing \
                      but the list of the file's mappings locked",
            instead: "a truncation, which comes by that list and locks nothing of the space on its way \
                      down, in a table that `munmap` takes out",
        }),
        ..race("L-7", "a table of a file's mapping is taken out while others are on their way to it")
    },
    Race {
        also: &["huge/dontneed-of-a-part-against-store"],
        ..race("L-8", "small pages come where a CPU still translates 2 MiB")
    },
    race("L-9", "a frame is freed, and used again, before the flush"),
    Race {
        also: &["cow/fork-against-unflushed-migration", "move/remap-against-unflushed-migration"],
        ..race("L-10", "who finds entries empty takes them for flushed")
    },
    Race {
        also: &["swap/free-against-stale-reader"],
        ..race("L-11", "reclaim's flush is owed when rights are taken away")
    },
    race("L-12", "a page is freed at its new place while the old translation lives"),
    race("L-13", "a CPU keeps the way to a table that serves another place"),
    Race {
        nearest: Some(Nearest {
            missing: "mappings of frames that nobody counts, given away by a driver as soon as it finds \
                      no mapping. The one frame that is mapped uncounted, the page of zeros, is never given \
                      away (CR29)",
            instead: "a file's mapping: a truncation that finds none must not return while a flush of it is \
                      owed. What guards both is one order, flush first and then off the list \
                      (`Layout::zap` before `remove_vmas`)",
        }),
        ..race("L-14", "a mapping leaves its file's list before its flush")
    },
    Race {
        also: &["move/move-against-unmap", "move/clear-refs-against-migration"],
        ..race("L-14b", "migration has taken the entry, and another call finds nothing to flush")
    },
    race("L-15", "a lazy CPU comes back with old translations"),
    Race {
        tests: &[Test {
            file: "revoke/tests/loom/generations.rs",
            name: "a_cpu_that_joins_is_asked_or_sees_the_generation",
        }],
        ..race("L-16", "a CPU joins the space between the change and the look at who is there")
    },
    Race {
        also: &[
            "process/exec-of-a-borrower-against-faults",
            "process/exit-of-a-borrower-against-faults",
            "process/last-exit-against-lazy-cpu",
        ],
        ..race("L-17", "a space is taken apart while others are in it")
    },
    race("L-18", "an interrupt walks the tables that its CPU is freeing, or walking"),
    Race {
        tests: &[Test { file: CPUS, name: "no_store_is_missed_by_who_cleans_a_page" }],
        ..race("L-19", "a store through an old translation, after the dirty mark was read")
    },
    Race {
        nearest: Some(Nearest {
            missing: "tables that two spaces share, so none that one of them parts from",
            instead: "every table has one owner and one link (TR1, checked in every audit); a leaf table \
                      that serves another space next is the same race, and is L-13's",
        }),
        also: &["walk/l-13-table-that-serves-elsewhere"],
        ..race("L-20", "a shared table is parted from, and used again")
    },
    race("L-21", "the guard ends before the last use of what it guards"),
    race("L-22", "a walk of a tree that never changes"),
    race("L-23", "a walk ends early, and its guard does not"),
];
