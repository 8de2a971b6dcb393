//! What a replay tells: for people, and for machines (`docs/counters.md` lists the keys).

use std::fmt::Write as _;
use std::time::Duration;

use freehold::Manager;
use freehold::machine::Counter;
use freehold::space::HugePages;
use record::{LinuxCounts, Recording};
use serde_json::{Map, Value, json};
use sim::{CAUSES, RunReport, SimMachine};

use super::engine::Outcome;
use super::features::{Features, Missing};
use super::options::Options;
use super::sections::SECTIONS;
use crate::exit::{self, Error};
use crate::policy::Policy;

/// Faults by kind: the key, what it is called, its counter.
const FAULTS: [(&str, &str, Counter); 10] = [
    ("anon", "first stores to anonymous memory", Counter::FaultAnon),
    ("zero_page", "first loads of anonymous memory (zero page)", Counter::FaultZero),
    ("file_read", "loads of file pages", Counter::FaultFileRead),
    ("file_cow", "stores to private file pages (copied)", Counter::FaultFileCow),
    ("file_shared", "stores to shared file pages", Counter::FaultFileShared),
    ("write_protect", "stores to write-protected pages", Counter::FaultWriteProtect),
    ("spurious", "resolved by somebody else meanwhile", Counter::FaultSpurious),
    ("major", "that waited for a file", Counter::PgMajFault),
    ("segv", "answered with SIGSEGV", Counter::FaultSegv),
    ("bus", "answered with SIGBUS", Counter::FaultBus),
];

/// What a replay tells.
pub struct Report {
    name: String,
    cpus: u32,
    events: usize,
    processes: usize,
    tasks: usize,
    calls: usize,
    linux: LinuxCounts,
    policy: Policy,
    thp: HugePages,
    features: Features,
    missing: Vec<Missing>,
    counters: Vec<(&'static str, u64)>,
    faults: [u64; FAULTS.len()],
    faults_total: u64,
    copied: u64,
    reused: u64,
    rounds: u64,
    ipis: u64,
    memmap_bytes: u64,
    seen: Seen,
}

/// What was seen of a run by others than its manager.
pub(crate) struct Seen {
    /// By the machine.
    pub(crate) run: RunReport,
    /// By the replay and its judges.
    pub(crate) outcome: Outcome,
    /// Needless copies.
    pub(crate) needless: u64,
    /// How long it took here.
    pub(crate) wall: Duration,
}

impl Report {
    /// Reads everything off a run that is over.
    pub(crate) fn new(
        (name, recording): (&str, &Recording),
        manager: &Manager<'_, SimMachine>,
        options: &Options,
        seen: Seen,
    ) -> Report {
        let core = manager.core();
        let is_call = |event: &&record::Event| matches!(event.kind, record::EventKind::Call { .. });
        Report {
            name: name.into(),
            cpus: freehold::machine::Machine::cpus(manager.machine()),
            events: recording.events.len(),
            processes: recording.processes.len(),
            tasks: recording.tasks.len(),
            calls: recording.events.iter().filter(is_call).count(),
            linux: recording.linux,
            policy: options.policy.clone(),
            thp: options.thp,
            features: options.features.clone(),
            missing: options.features.missing(recording),
            counters: core.totals().collect(),
            faults: FAULTS.map(|(_, _, counter)| core.total(counter)),
            faults_total: core.total(Counter::PgFault),
            copied: core.total(Counter::CowCopied),
            reused: core.total(Counter::CowReused),
            rounds: core.total(Counter::TlbFlushRounds),
            ipis: core.total(Counter::TlbIpis),
            memmap_bytes: size_of::<freehold::frame::Descriptor>() as u64,
            seen,
        }
    }

    /// Whether no rule was broken and every load read what was stored.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.violations() == 0 && self.seen.outcome.tally.mismatch_count == 0
    }

    /// What was found wrong first: rules broken, then loads that did not read what was stored.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &str> {
        let tally = &self.seen.outcome.tally;
        tally.violations.iter().chain(&tally.mismatches).map(String::as_str)
    }

    /// Rules that it was not held to.
    fn unclaimed(&self) -> Vec<&'static str> {
        self.policy.unclaimed().iter().map(|rule| rule.id()).collect()
    }

    fn violations(&self) -> u64 {
        self.seen.outcome.tally.violation_count + self.seen.run.violations
    }

    /// Prints it.
    pub(crate) fn print(&self, json: bool) -> Result<(), Error> {
        let text = if json { format!("{:#}\n", self.json()) } else { self.text() };
        exit::print(&text)
    }

    /// The object that `--json` prints.
    #[must_use]
    pub fn json(&self) -> Value {
        let tally = &self.seen.outcome.tally;
        let mut faults: Map<String, Value> =
            FAULTS.iter().zip(self.faults).map(|((key, _, _), n)| ((*key).into(), n.into())).collect();
        faults.insert("total".into(), self.faults_total.into());
        let times: Map<String, Value> =
            CAUSES.iter().map(|&cause| (cause.name().into(), self.seen.run.time(cause).into())).collect();
        let vmstat: Map<String, Value> = self.counters.iter().map(|&(k, n)| (k.into(), n.into())).collect();
        let machine: Map<String, Value> =
            self.seen.run.events.iter().map(|(k, n)| (k.into(), n.into())).collect();
        let policy: Map<String, Value> =
            self.policy.values().map(|(axis, value)| (axis.into(), value.into())).collect();
        let peaks: Map<String, Value> = tally.peaks.each().map(|(g, n)| (g.key.into(), n.into())).collect();
        json!({
            "recording": self.name,
            "policy": policy,
            "thp": self.thp.name(),
            "swap": self.features.swap.map(|swap| swap.to_string()),
            "ksm": self.features.ksm.to_string(),
            "lacks": self.missing.iter().map(Missing::key).collect::<Vec<_>>(),
            "cpus": self.cpus,
            "events": self.events,
            "processes": self.processes,
            "tasks": self.tasks,
            "calls": { "total": self.calls, "different": tally.difference_count },
            "linux": {
                "minor_faults": self.linux.minor_faults,
                "major_faults": self.linux.major_faults,
                "peak_rss_kib": self.linux.peak_rss_kib,
                "wall_ns": self.linux.wall_ns,
            },
            "faults": faults,
            "cow": { "copied": self.copied, "needless": self.seen.needless, "reused": self.reused },
            "tlb": { "flush_rounds": self.rounds, "ipis": self.ipis },
            "rss": { "peak_kib": tally.peak_rss_pages * 4, "peak_one_kib": tally.peak_rss_one_pages * 4 },
            "memory": { "peak_kib": tally.peak_frames * 4 },
            "page_tables": { "peak_kib": tally.peak_tables * 4 },
            "memmap": { "bytes_per_frame": self.memmap_bytes },
            "audit": {
                "audits": tally.audits,
                "checks": tally.checked.checks(),
                "rules": tally.checked.rules(),
                "unclaimed": self.unclaimed(),
                "violations": self.violations(),
            },
            "shadow": {
                "loads": self.seen.outcome.loads,
                "stores": self.seen.outcome.stores,
                "swept": tally.swept,
                "mismatches": tally.mismatch_count,
            },
            "signals": tally.signals,
            "killed": tally.killed,
            "peaks": peaks,
            "sim_ns": self.seen.run.sim_ns,
            "sim_ns_by_cause": times,
            "machine": machine,
            "vmstat": vmstat,
            "wall_ms": self.seen.wall.as_secs_f64() * 1000.0,
        })
    }

    /// The report to read.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_summary(&mut text);
        let _ = self.write_faults(&mut text);
        let _ = self.write_sections(&mut text);
        let _ = self.write_costs(&mut text);
        let _ = self.write_checks(&mut text);
        text
    }

    fn write_summary(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{}, replayed on {} simulated CPUs{}", self.name, self.cpus, self.with())?;
        for missing in &self.missing {
            writeln!(out, "  {missing}")?;
        }
        writeln!(
            out,
            "  {} events: {} processes, {} tasks, {} memory calls",
            grouped(self.events as u64),
            self.processes,
            self.tasks,
            grouped(self.calls as u64)
        )?;
        if self.seen.outcome.tally.difference_count > 0 {
            let n = self.seen.outcome.tally.difference_count;
            writeln!(out, "  {n} calls answered something else than on Linux:")?;
            for difference in &self.seen.outcome.tally.differences {
                writeln!(out, "    {difference}")?;
            }
        }
        if self.seen.outcome.tally.killed > 0 {
            writeln!(
                out,
                "  {} processes were killed: the machine ran out of memory",
                self.seen.outcome.tally.killed
            )?;
        }
        Ok(())
    }

    /// Freehold's own ways need no words.
    fn with(&self) -> String {
        let policy = (self.policy != Policy::default()).then(|| self.policy.to_string());
        shown_with(policy, self.thp, &self.features)
    }

    fn write_faults(&self, out: &mut String) -> std::fmt::Result {
        let linux = self.linux.minor_faults.zip(self.linux.major_faults).map(|(minor, major)| minor + major);
        writeln!(out, "\nfaults {:>21}{}", grouped(self.faults_total), beside(linux))?;
        for ((_, what, _), n) in FAULTS.iter().zip(self.faults).filter(|&(_, n)| n > 0) {
            writeln!(out, "  {:>26}  {what}", grouped(n))?;
        }
        writeln!(
            out,
            "copied {:>21}  private pages, because somebody else could see them",
            grouped(self.copied)
        )?;
        if self.seen.needless > 0 {
            writeln!(out, "  {:>26}  of them that nobody else could see", grouped(self.seen.needless))?;
        }
        writeln!(
            out,
            "reused {:>21}  pages written in place, because nobody else could",
            grouped(self.reused)
        )?;
        let tally = &self.seen.outcome.tally;
        let one = tally.peak_rss_one_pages * 4;
        writeln!(
            out,
            "peak RSS {:>15} KiB  of the largest process{}",
            grouped(one),
            beside(self.linux.peak_rss_kib)
        )?;
        writeln!(out, "         {:>15} KiB  of all together", grouped(tally.peak_rss_pages * 4))?;
        writeln!(out, "memory {:>17} KiB  in use at its peak", grouped(tally.peak_frames * 4))?;
        writeln!(out, "page tables {:>12} KiB  at their peak", grouped(tally.peak_tables * 4))
    }

    /// Of parts that were used, what they counted.
    fn write_sections(&self, out: &mut String) -> std::fmt::Result {
        for section in SECTIONS {
            let counted = self.counters.iter().filter(|(name, n)| *n > 0 && section.has(name));
            let peaks = self.seen.outcome.tally.peaks.each().filter(|(g, n)| *n > 0 && section.has(g.key));
            let counted = counted.map(|(name, n)| format!("  {:>26}  {name}\n", grouped(*n)));
            let peaks = peaks.map(|(gauge, n)| match gauge.kib {
                true => format!("  {:>22} KiB  {} at its peak\n", grouped(n), gauge.key),
                false => format!("  {:>26}  {} at its peak\n", grouped(n), gauge.key),
            });
            let lines: String = counted.chain(peaks).collect();
            if !lines.is_empty() {
                write!(out, "\n{}\n{lines}", section.title)?;
            }
        }
        Ok(())
    }

    fn write_costs(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nflush rounds {:>15}  with {} interrupts", grouped(self.rounds), grouped(self.ipis))?;
        writeln!(
            out,
            "simulated time {:>13} us  of the slowest CPU; over all CPUs by cause:",
            grouped(self.seen.run.sim_ns / 1000)
        )?;
        let mut causes: Vec<_> =
            CAUSES.iter().map(|&cause| (self.seen.run.time(cause), cause.name())).collect();
        causes.sort_by(|a, b| b.cmp(a));
        let busy: u64 = causes.iter().filter(|(_, name)| *name != "idle").map(|(ns, _)| ns).sum();
        for (ns, name) in causes.into_iter().filter(|&(ns, name)| ns * 200 > busy && name != "idle") {
            let share = ns as f64 * 100.0 / busy.max(1) as f64;
            writeln!(out, "  {:>26} us  {name} ({share:.0} %)", grouped(ns / 1000))?;
        }
        let idle = self.seen.run.time(sim::Cause::Idle);
        writeln!(out, "  {:>26} us  idle: waiting for files and for each other", grouped(idle / 1000))?;
        writeln!(out, "wall time {:>18} ms{}", grouped(self.seen.wall.as_millis() as u64), self.beside_wall())
    }

    fn beside_wall(&self) -> String {
        self.linux
            .wall_ns
            .map_or(String::new(), |ns| format!("  (the recorded run took {} ms)", grouped(ns / 1_000_000)))
    }

    fn write_checks(&self, out: &mut String) -> std::fmt::Result {
        let tally = &self.seen.outcome.tally;
        writeln!(
            out,
            "\n{} rules checked in {} audits, {} checks: {} violations",
            tally.checked.rules(),
            tally.audits,
            grouped(tally.checked.checks()),
            self.violations()
        )?;
        let unclaimed = self.unclaimed();
        if !unclaimed.is_empty() {
            writeln!(
                out,
                "  not held to {}, which {} does not claim to keep",
                unclaimed.join(", "),
                self.policy
            )?;
        }
        for violation in &tally.violations {
            writeln!(out, "  {violation}")?;
        }
        writeln!(
            out,
            "{} loads and {} swept words compared with what was stored: {} mismatches",
            grouped(self.seen.outcome.loads),
            grouped(tally.swept),
            tally.mismatch_count
        )?;
        for mismatch in &tally.mismatches {
            writeln!(out, "  {mismatch}")?;
        }
        Ok(())
    }
}

/// What a replay was made with, behind the number of CPUs.
pub(crate) fn shown_with(policy: Option<String>, thp: HugePages, features: &Features) -> String {
    let thp = (thp != HugePages::Never).then(|| format!("huge pages ({})", thp.name()));
    let with: Vec<String> = policy.into_iter().chain(thp).chain(features.shown()).collect();
    if with.is_empty() { String::new() } else { format!(" with {}", with.join(", ")) }
}

fn beside(linux: Option<u64>) -> String {
    linux.map_or(String::new(), |n| format!("  (Linux counted {})", grouped(n)))
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
