//! Running other programs, and telling how it went.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The workspace's root.
pub fn root() -> Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").context("start this through `cargo xtask`")?;
    let own = PathBuf::from(own);
    Ok(own.parent().context("xtask has no parent directory")?.to_owned())
}

/// The Cargo that started this program.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The Cargo that started this program, in the workspace's root, with arguments.
pub fn cargo_with(arguments: &[&str]) -> Result<Command> {
    let mut command = cargo();
    command.args(arguments).current_dir(root()?);
    Ok(command)
}

/// Whether a command can be started and succeeds, silently.
pub fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Runs a command that shows its own output.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("starting {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Steps that all run, whatever became of the ones before, so that one run tells everything.
#[derive(Default)]
pub struct Steps {
    done: Vec<(&'static str, Duration, Option<String>)>,
}

impl Steps {
    /// Runs a step and notes how it went.
    pub fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) {
        println!("\n==> {name}");
        let start = Instant::now();
        let failure = work().err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            eprintln!("{name}: {failure}");
        }
        self.done.push((name, start.elapsed(), failure));
    }

    /// Runs one of Cargo's commands as a step.
    pub fn cargo(&mut self, name: &'static str, arguments: &[&str]) {
        self.step(name, || run(&mut cargo_with(arguments)?));
    }

    /// Prints how each step went; an error if one failed.
    pub fn finish(self) -> Result<()> {
        println!();
        for (name, time, failure) in &self.done {
            let verdict = if failure.is_some() { "FAILED" } else { "ok" };
            println!("{verdict:>6} {:>7.1} s  {name}", time.as_secs_f64());
        }
        let failed: Vec<&str> = self.done.iter().filter(|step| step.2.is_some()).map(|step| step.0).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_stops_nothing_and_is_named() {
        let mut steps = Steps::default();
        let mut ran = false;
        steps.step("first", || bail!("no"));
        steps.step("second", || {
            ran = true;
            Ok(())
        });
        assert_eq!(steps.finish().unwrap_err().to_string(), "failed: first");
        assert!(ran);
    }
}
