//! How the work of many threads on disjoint ranges of one address space scales with their number.
//!
//! Each CPU runs one thread of one process, and each thread works in a GiB of its own. A figure is simulated
//! time for each operation of a thread; its ratio is what part of linear the threads reach together (the time
//! of one CPU alone, divided by it). Beside ranges (faults take no lock of their space) stands one lock a
//! space that faults hold for reading (`lock=global`), as Linux had it before 6.4; beside walks that write
//! only their CPU's line, walks that are counted in one word of the space (`walk=counter`).

mod world;

use super::super::registry::Bench;
use super::super::row::{Better, Goal, Measure, Peer, Row, Side};
use super::super::{Options, Trouble};
use crate::policy::Policy;
use sim::Profile;
use world::{Figures, Work};

/// The bench.
pub(super) const BENCH: Bench = Bench {
    name: "scaling",
    side: Side::Simulated,
    about: "threads of one space, 1 to 128 CPUs: faults, walks, map-unmap, map-touch-unmap",
    rows,
};

/// Who is measured; the first is what Freehold does.
const LOCKS: [&str; 2] = ["lock=ranges", "lock=global"];
/// The same for walks.
const WALKS: [&str; 2] = ["walk=epoch", "walk=counter"];

/// One line of the table for each policy and number of CPUs.
struct Subject {
    name: &'static str,
    work: Work,
    policies: [&'static str; 2],
    /// Interrupts cost nothing: what is left when nobody has to be flushed.
    free_interrupts: bool,
    /// What part of linear is due on the most CPUs.
    due: Option<f64>,
    leaves_out: &'static str,
}

const FLUSH: &str = "each munmap of touched pages interrupts all CPUs of the space";
/// The simulator does not let CPUs queue for a line.
const LINES: &str = "who waits for a line that others want, too: its moves cost the same each";

fn subjects(options: &Options) -> [Subject; 5] {
    let pages = options.sized(2048, 64);
    let walks = options.sized(2000, 100);
    let (untouched, touching) = (options.sized(1000, 20), options.sized(40, 5));
    let cycle = |touched, times| Work::Cycle { pages: 16, touched, times };
    let subject = |name, work, due, leaves_out| {
        let policies = if matches!(work, Work::Walk { .. }) { WALKS } else { LOCKS };
        Subject { name, work, policies, free_interrupts: false, due, leaves_out }
    };
    [
        subject("faults on disjoint ranges", Work::Fault { pages }, Some(0.9), LINES),
        subject(
            "walks without a lock",
            Work::Walk { times: walks },
            Some(0.95),
            "writers: nobody changes a table",
        ),
        subject(
            "map-unmap of disjoint ranges",
            cycle(0, untouched),
            None,
            "no page is touched: nothing is flushed",
        ),
        subject("map-touch-unmap of disjoint ranges", cycle(16, touching), None, FLUSH),
        Subject {
            name: "map-touch-unmap, interrupts for nothing",
            work: cycle(16, touching),
            policies: LOCKS,
            free_interrupts: true,
            due: None,
            leaves_out: "what interrupts cost: all but the flush itself",
        },
    ]
}

fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let cpus: &[u32] = options.sized(&[1, 2, 4, 8, 16, 32, 64, 128], &[1, 2]);
    let mut rows = Vec::new();
    for subject in subjects(options) {
        for named in subject.policies {
            let policy: Policy = named.parse().map_err(|why: String| Trouble::new(&why))?;
            let mut one = None;
            for &cpus in cpus {
                let figures = world::measure(cpus, subject.work, &policy, &profile(&subject))?;
                let alone = *one.get_or_insert(figures.ns);
                rows.push(row(&subject, named, &figures, alone));
            }
        }
    }
    Ok(rows)
}

fn profile(subject: &Subject) -> Profile {
    let mut profile = Profile::default();
    if subject.free_interrupts {
        let costs = &mut profile.costs;
        (costs.ipi_first, costs.ipi_handle) = (0, 0);
        (costs.ipi_same_socket, costs.ipi_other_socket) = (0, 0);
        (costs.flush_context, costs.flush_all, costs.invlpg) = (0, 0, 0);
    }
    profile
}

fn row(subject: &Subject, policy: &str, figures: &Figures, alone: f64) -> Row {
    let of_linear = if figures.ns > 0.0 { alone / figures.ns } else { 0.0 };
    let goal = subject.due.filter(|_| figures.cpus == 128 && policy == subject.policies[0]);
    Row {
        policy: Some(policy.into()),
        profile: Some("x86-2020s".into()),
        peer: Some(Peer { name: "linear".into(), value: alone, min: None }),
        ratio: Some(of_linear),
        counts: figures.counts.to_vec(),
        cpus: Some(figures.cpus),
        goal: goal.map(|must| Goal { measure: Measure::Ratio, better: Better::Higher, must, aim: None }),
        leaves_out: subject.leaves_out.into(),
        ..Row::new(Side::Simulated, subject.name, figures.ns, "ns")
    }
}
