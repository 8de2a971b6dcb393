//! Pins without a lock against whoever takes exclusivity away, and a walk against whoever frees its table,
//! with stores that wait in buffers, as on x86: a look that comes before one's own store has reached memory
//! is what C-7 and L-4 are about. Every schedule with up to two preemptions is run.

use std::path::Path;
use std::time::Duration;

use freehold_lab::explore::run::Runner;
use freehold_lab::explore::script::{self, Scenario};
use freehold_lab::explore::{Options, hunt};
use sim::explore::{Bounds, Ordered, Strategy};

const SCENARIOS: &[&str] = &[
    "cow/c-05-fixed-buffer-against-migration",
    "cow/c-05-pin-against-dontneed-and-reuse",
    "cow/c-05-read-pin-against-migration",
    "cow/c-06-pin-against-fork",
    "cow/c-07-pin-against-share",
    "cow/c-08-read-only-entry-stays-the-same",
    "ksm/c-11-pin-against-merge",
    "walk/l-04-mark-that-waits-in-a-buffer",
];

#[test]
fn nobody_looks_too_early_whatever_is_buffered() {
    for name in SCENARIOS {
        let strategy = Strategy::Exhaustive { preemptions: 2 };
        let bounds = Bounds { time: Some(Duration::from_secs(120)), ..Bounds::default() };
        let options = Options { strategy, ordered: Ordered::Buffered, bounds };
        let found = hunt(&mut Runner::new(&read(name)), &options, &mut |_| {});
        println!("{name:45} {:6} schedules {:6.2} s", found.summary.schedules, found.elapsed.as_secs_f64());
        assert!(found.failing.is_none(), "{name}: {:?}", found.failing.map(|failing| failing.failure));
        assert_eq!(found.summary.complete, Some(2), "{name}: not every schedule was run");
    }
}

fn read(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/{name}.fhs"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    script::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
