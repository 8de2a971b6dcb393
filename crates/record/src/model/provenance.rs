//! Where a recording comes from, what Linux counted, and what the recording cannot tell.

use std::collections::BTreeSet;
use std::fmt;

/// Where a recording comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The program and its arguments.
    pub program: Vec<String>,
    /// What recorded it, with its version, such as `perf 6.1.187`.
    pub recorder: String,
    /// The kernel's release.
    pub kernel: String,
    /// The CPUs that were online.
    pub cpus: u32,
    /// The page size in bytes.
    pub page_size: u32,
    /// The setting of transparent huge pages for the program, such as `off (prctl)`.
    pub thp: String,
    /// When it was made, as an ISO 8601 date and time in UTC.
    pub date: String,
    /// The version of Freehold that wrote it.
    pub freehold: String,
    /// What it cannot tell.
    pub lacks: BTreeSet<Lack>,
    /// How many events the recorder says it lost.
    pub lost_events: u64,
    /// Whatever else a reader should know, one sentence each.
    pub notes: Vec<String>,
}

/// Something that a recording cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// Which pages were touched between faults and calls.
    Touches,
    /// What pages contained.
    Contents,
    /// Where the program faulted.
    Faults,
    /// Which accesses the kernel made for the program, except simple reads and writes.
    KernelAccesses,
    /// When calls ended.
    CallEnds,
    /// The address spaces that `execve` built, beyond what a later call gives away.
    ExecMappings,
    /// Limits that the program set for itself.
    Limits,
    /// `ftruncate` and `fsync` of mapped files.
    FileCalls,
    /// What the program's children did after their `execve`.
    ExecedChildren,
    /// Which thread of a process touched a page.
    TouchingThread,
    /// Times: the clock is the count of instructions.
    Times,
}

impl Lack {
    /// All of them, in the order of the format's numbers.
    pub const ALL: [Self; 11] = [
        Self::Touches,
        Self::Contents,
        Self::Faults,
        Self::KernelAccesses,
        Self::CallEnds,
        Self::ExecMappings,
        Self::Limits,
        Self::FileCalls,
        Self::ExecedChildren,
        Self::TouchingThread,
        Self::Times,
    ];

    /// A short stable name, for machines.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Touches => "touches",
            Self::Contents => "contents",
            Self::Faults => "faults",
            Self::KernelAccesses => "kernel_accesses",
            Self::CallEnds => "call_ends",
            Self::ExecMappings => "exec_mappings",
            Self::Limits => "limits",
            Self::FileCalls => "file_calls",
            Self::ExecedChildren => "execed_children",
            Self::TouchingThread => "touching_thread",
            Self::Times => "times",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Touches => "which pages were touched between faults and calls",
            Self::Contents => "what the pages contained",
            Self::Faults => "where the program faulted",
            Self::KernelAccesses => "the kernel's own accesses to the program's memory",
            Self::CallEnds => "when calls ended",
            Self::ExecMappings => "the address spaces that exec built",
            Self::Limits => "the limits the program set for itself",
            Self::FileCalls => "ftruncate and fsync of mapped files",
            Self::ExecedChildren => "what children did after their exec",
            Self::TouchingThread => "which thread of a process touched a page",
            Self::Times => "real times (the clock counts instructions)",
        })
    }
}

/// What Linux itself counted for the program and all its descendants that were waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinuxCounts {
    /// Faults that needed no input (`ru_minflt`).
    pub minor_faults: Option<u64>,
    /// Faults that needed input (`ru_majflt`).
    pub major_faults: Option<u64>,
    /// The largest resident set of any one of the processes, in KiB (`ru_maxrss`).
    pub peak_rss_kib: Option<u64>,
    /// Wall time.
    pub wall_ns: Option<u64>,
    /// CPU time in user mode (`ru_utime`).
    pub user_ns: Option<u64>,
    /// CPU time in the kernel (`ru_stime`).
    pub system_ns: Option<u64>,
}
