//! What this Linux is: what it answers depends on it.

use std::fs;

use native::Hello;

/// Facts about the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Host {
    /// The kernel's release, as `uname` tells it.
    pub(crate) release: String,
    /// Its version.
    pub(crate) version: (u32, u32),
    /// `vm.overcommit_memory`.
    pub(crate) overcommit: u64,
    /// `vm.mmap_min_addr`.
    pub(crate) mmap_min_addr: u64,
    /// As much as programs may lock, in bytes.
    pub(crate) memlock_max: u64,
    /// The hard limit on the stack, in bytes.
    pub(crate) stack_max: u64,
    /// Whether the kernel knows pools of huge pages.
    pub(crate) has_huge_pools: bool,
    /// Whether the kernel may use huge pages unasked.
    pub(crate) has_huge_pages: bool,
    /// Whether the kernel can merge equal pages.
    pub(crate) has_merging: bool,
    /// Whether the processes of programs may read each other.
    pub(crate) has_looks: bool,
    /// Whether a process may write to its own read-only memory by `/proc/PID/mem`.
    pub(crate) has_force: bool,
    /// Whether memory may be executed and not read: the CPU has protection keys.
    pub(crate) has_keys: bool,
    /// Whether programs have a heap in the arena.
    pub(crate) has_break: bool,
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn number(path: &str) -> Option<u64> {
    read(path)?.parse().ok()
}

impl Host {
    /// This host, as the worker found it.
    pub(crate) fn new(hello: &Hello) -> Host {
        let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
        Host {
            version: version(&release),
            release,
            overcommit: number("/proc/sys/vm/overcommit_memory").unwrap_or(0),
            mmap_min_addr: number("/proc/sys/vm/mmap_min_addr").unwrap_or(1 << 16),
            memlock_max: hello.memlock_max,
            stack_max: hello.stack_max,
            has_huge_pools: std::path::Path::new("/sys/kernel/mm/hugepages").exists(),
            has_huge_pages: std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists(),
            has_merging: std::path::Path::new("/sys/kernel/mm/ksm").exists(),
            has_looks: hello.look_error == 0,
            has_force: hello.force_error == 0,
            has_keys: read("/proc/cpuinfo").is_some_and(|text| text.contains(" ospke")),
            has_break: hello.brk_error == 0,
        }
    }

    /// A host as most are, for tests that run nothing.
    #[cfg(test)]
    pub(crate) fn typical() -> Host {
        Host {
            release: "6.12.0".into(),
            version: (6, 12),
            overcommit: 0,
            mmap_min_addr: 1 << 16,
            memlock_max: 256 << 20,
            stack_max: u64::MAX,
            has_huge_pools: false,
            has_huge_pages: true,
            has_merging: true,
            has_looks: true,
            has_force: true,
            has_keys: false,
            has_break: true,
        }
    }

    /// Whether programs may lock everything: what the worker itself has mapped counts too.
    pub(crate) fn can_lock_all(&self) -> bool {
        self.memlock_max >= 128 << 20
    }
}

fn version(release: &str) -> (u32, u32) {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_versions() {
        assert_eq!(version("6.18.44-cloud"), (6, 18));
        assert_eq!(version("7"), (7, 0));
        assert_eq!(version("unknown"), (0, 0));
    }
}
