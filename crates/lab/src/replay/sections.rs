//! Parts of the manager that not every run uses: what they counted, under Linux's names in `/proc/vmstat`,
//! and how much of it there was at most, under those in `/proc/meminfo` and `/sys/kernel/mm/ksm`.

/// A part, and how the names of its counters begin.
pub(crate) struct Section {
    /// What it is called.
    pub(crate) title: &'static str,
    prefixes: &'static [&'static str],
}

/// All of them, in the order in which they are shown.
pub(crate) const SECTIONS: &[Section] = &[
    Section { title: "held for others", prefixes: &["nr_foll_pin_", "gup_", "cow_unshared"] },
    Section { title: "huge pages", prefixes: &["thp_", "AnonHugePages"] },
    Section {
        title: "swap",
        prefixes: &[
            "pswp",
            "swap_",
            "swpin_",
            "swpout_",
            "pgsteal_anon",
            "pgscan_anon",
            "pgactivate",
            "pgdeactivate",
            "SwapUsed",
            "SwapCached",
        ],
    },
    Section { title: "merging", prefixes: &["ksm_", "cow_ksm", "pages_shar"] },
    Section { title: "migration", prefixes: &["pgmigrate_", "numa_", "compact_"] },
];

impl Section {
    /// Whether a counter, or what is gauged, is one of its own.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}
