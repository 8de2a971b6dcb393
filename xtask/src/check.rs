//! `cargo xtask check`: format, lints and documentation, without running anything.

use crate::run::{Steps, cargo_with, run};
use crate::setup;
use anyhow::Result;

/// Runs the quick checks.
pub fn command() -> Result<()> {
    setup::set_up()?;
    let mut steps = Steps::default();
    steps_of(&mut steps);
    steps.finish()
}

/// The quick checks as steps.
pub fn steps_of(steps: &mut Steps) {
    steps.cargo("format", &["fmt", "--all", "--check"]);
    steps.cargo(
        "clippy",
        &["clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
    );
    steps.step("documentation", || {
        let arguments = ["doc", "--locked", "--workspace", "--no-deps", "--quiet"];
        run(cargo_with(&arguments)?.env("RUSTDOCFLAGS", "-D warnings"))
    });
}
