//! How much a replay takes on.
//!
//! A recording is not trusted: some bytes of it may ask for more work than anybody waits for.

use freehold::machine::PAGE_SIZE;
use record::{EventKind, PageRun, Recording};

use crate::exit::Error;

/// The most pages that the touches of a recording may name, together: 1 TiB.
const TOUCHED_MAX: u64 = 1 << 28;
/// The most tasks.
const TASKS_MAX: usize = (1 << 20) - 1;
/// Simulated time any replay may take.
const RUN_NS: u64 = 200_000_000;
/// Simulated time more for each step: a thousand times what most need.
const STEP_NS: u64 = 1_000_000;
/// And for each frame of the machine, since one call may fill all memory.
const FRAME_NS: u64 = 2_000;

/// Refuses a recording that asks for too much; answers how many steps (events, and
/// accesses of touches) it has.
pub(crate) fn check(recording: &Recording) -> Result<u64, Error> {
    let tasks = recording.tasks.len();
    if tasks > TASKS_MAX {
        return Err(Error::new(&format!(
            "the recording has {tasks} tasks, more than the limit of {TASKS_MAX}"
        )));
    }
    let mut touched = 0u64;
    for (number, event) in recording.events.iter().enumerate() {
        touched = touched.saturating_add(pages(&event.kind));
        if touched > TOUCHED_MAX {
            let text =
                format!("{touched} pages are touched up to here, more than the limit of {TOUCHED_MAX}");
            return Err(Error::new(&text).in_event(number));
        }
    }
    Ok(recording.events.len() as u64 + touched)
}

/// The simulated time after which a replay of so many steps is given up: it lives, but gets nowhere.
pub(crate) fn run_ns_max(steps: u64, memory: u64) -> u64 {
    RUN_NS + steps * STEP_NS + memory / PAGE_SIZE * FRAME_NS
}

fn pages(kind: &EventKind) -> u64 {
    let EventKind::Touch { read, written, .. } = kind else { return 0 };
    let counts = read.iter().chain(written).map(|&PageRun { count, .. }| count);
    counts.fold(0, u64::saturating_add)
}
