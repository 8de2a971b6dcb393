//! What Linux counted for a child, and how it passes from the helper to the recorder.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::LinuxCounts;

/// How a program ended and what Linux counted for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its pid.
    pub pid: u32,
    /// Its exit status as a shell gives it: 128 and the signal's number if a signal ended it.
    pub status: i32,
    /// What Linux counted for it and for its descendants.
    pub counts: LinuxCounts,
}

/// What Linux counted for all children of this process that were waited for.
pub(super) fn of_children(wall: Duration) -> io::Result<LinuxCounts> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let count = |value: i64| u64::try_from(value).ok();
    Ok(LinuxCounts {
        minor_faults: count(usage.minor_page_faults()),
        major_faults: count(usage.major_page_faults()),
        peak_rss_kib: count(usage.max_rss()),
        wall_ns: u64::try_from(wall.as_nanos()).ok(),
        user_ns: count(usage.user_time().num_nanoseconds()),
        system_ns: count(usage.system_time().num_nanoseconds()),
    })
}

/// Writes an outcome as lines of a name and a number.
pub(super) fn store(path: &Path, outcome: &Outcome) -> io::Result<()> {
    let counts = &outcome.counts;
    let lines = [
        ("pid", Some(u64::from(outcome.pid))),
        ("status", u64::try_from(outcome.status).ok()),
        ("minor_faults", counts.minor_faults),
        ("major_faults", counts.major_faults),
        ("peak_rss_kib", counts.peak_rss_kib),
        ("wall_ns", counts.wall_ns),
        ("user_ns", counts.user_ns),
        ("system_ns", counts.system_ns),
    ];
    let known = lines.iter().filter_map(|(name, value)| Some(format!("{name} {}\n", (*value)?)));
    std::fs::write(path, known.collect::<String>())
}

/// Reads what [`store`] wrote; nothing where the program did not run.
pub(super) fn load(path: &Path) -> Option<Outcome> {
    let text = std::fs::read_to_string(path).ok()?;
    let values: HashMap<&str, u64> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect();
    let get = |name| values.get(name).copied();
    Some(Outcome {
        pid: u32::try_from(get("pid")?).ok()?,
        status: i32::try_from(get("status")?).ok()?,
        counts: LinuxCounts {
            minor_faults: get("minor_faults"),
            major_faults: get("major_faults"),
            peak_rss_kib: get("peak_rss_kib"),
            wall_ns: get("wall_ns"),
            user_ns: get("user_ns"),
            system_ns: get("system_ns"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::scratch::Scratch;

    #[test]
    fn an_outcome_survives_its_file() {
        let counts = LinuxCounts { minor_faults: Some(7), ..LinuxCounts::default() };
        let outcome = Outcome { pid: 12, status: 3, counts };
        let scratch = Scratch::new().unwrap();
        store(&scratch.join("counts"), &outcome).unwrap();
        assert_eq!(load(&scratch.join("counts")), Some(outcome));
        assert_eq!(load(&scratch.join("nothing")), None);
    }
}
