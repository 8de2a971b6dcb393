//! `cargo xtask soak --minutes N`: the judges for as long as one likes, with seeds nobody has tried.
//!
//! What a judge finds it keeps as a file in `regressions/`, which every later test run tries again.

use crate::run::{Steps, cargo_with, root, run};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a soak may be: long enough for a second of each kind of search and scenario, a week at most.
const MINUTES: std::ops::RangeInclusive<u64> = 15..=7 * 24 * 60;

/// Runs every judge, each for its share of the time.
pub fn command(minutes: &str) -> Result<()> {
    let minutes: u64 = minutes.parse().ok().filter(|n| MINUTES.contains(n)).with_context(|| {
        format!("--minutes {minutes}: expected a whole number from {} to {}", MINUTES.start(), MINUTES.end())
    })?;
    let total = Duration::from_secs(minutes * 60);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    println!("soak: {minutes} minutes, seed {seed}");
    let root = root()?;
    run(&mut cargo_with(&["build", "--locked", "--release", "--package", "freehold-lab"])?)?;
    let judges = Judges { root: &root, seed };
    let mut steps = Steps::default();
    judges.explore(&mut steps, total / 2)?;
    steps.step("diff", || judges.diff(total / 4));
    judges.fuzz(&mut steps, total / 4);
    steps.finish()
}

struct Judges<'a> {
    root: &'a Path,
    seed: u64,
}

impl Judges<'_> {
    fn freehold(&self, arguments: &[&str]) -> Result<()> {
        let program = self.root.join("target/release/freehold");
        run(Command::new(program).args(arguments).current_dir(self.root))
    }

    /// Every scenario: deeper than tests look, at random, by priorities, and with store buffers.
    fn explore(&self, steps: &mut Steps, time: Duration) -> Result<()> {
        let scenarios = count(&self.root.join("scenarios"))?;
        let kinds: [(&'static str, &[&str]); 5] = [
            ("explore, 3 preemptions", &["--preemptions", "3"]),
            ("explore, store buffers", &["--preemptions", "2", "--tso"]),
            ("explore, random", &["--random", "1000000000"]),
            ("explore, priorities", &["--pct", "1000000000", "--depth", "4"]),
            ("explore, random with store buffers", &["--random", "1000000000", "--tso"]),
        ];
        let each = (time.as_secs() / (kinds.len() as u64 * scenarios)).max(1).to_string();
        for (name, kind) in kinds {
            let seed = self.seed.to_string();
            let mut arguments =
                vec!["explore", "scenarios", "--time", &each, "--save", "regressions/explore"];
            arguments.extend(kind);
            if kind[0] != "--preemptions" {
                arguments.extend(["--seed", &seed]);
            }
            steps.step(name, || self.freehold(&arguments));
        }
        Ok(())
    }

    fn diff(&self, time: Duration) -> Result<()> {
        let (seed, seconds, ops) = (self.seed.to_string(), time.as_secs().to_string(), u64::MAX.to_string());
        let bounds = ["--ops", &ops, "--seconds", &seconds, "--seed", &seed];
        self.freehold(&[&["diff", "--save", "regressions/diff"], &bounds[..]].concat())
    }

    /// The fuzzers of recordings, replays, scenarios and concurrent programs.
    fn fuzz(&self, steps: &mut Steps, time: Duration) {
        let fuzzers: [(&'static str, &str, &str); 4] = [
            ("fuzz recordings", "freehold-record", "fuzz"),
            ("fuzz replays", "freehold-lab", "fuzz"),
            ("fuzz scenarios", "freehold-lab", "explore"),
            ("random programs on several CPUs", "freehold", "concurrent"),
        ];
        let each = (time.as_secs() / fuzzers.len() as u64).max(1).to_string();
        for (name, package, test) in fuzzers {
            steps.step(name, || {
                let mut cargo = cargo_with(&["test", "--locked", "--package", package, "--test", test])?;
                cargo.env("FREEHOLD_FUZZ_SECONDS", &each).env("FREEHOLD_FUZZ_SEED", self.seed.to_string());
                cargo.env("FREEHOLD_STRESS_SECONDS", &each);
                cargo.env("FREEHOLD_STRESS_FIRST", (self.seed % (1 << 32)).to_string());
                run(&mut cargo)
            });
        }
    }
}

/// How many scenarios there are.
fn count(folder: &Path) -> Result<u64> {
    let mut found = 0;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found += count(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "fhs") {
            found += 1;
        }
    }
    if found == 0 {
        bail!("{}: no scenarios", folder.display());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn minutes_are_a_number_within_a_week() {
        for minutes in ["", "0", "14", "-1", "ten", "10081", "99999999999999999999"] {
            let told = super::command(minutes).expect_err("refused").to_string();
            assert!(told.starts_with("--minutes"), "{told}");
        }
    }
}
