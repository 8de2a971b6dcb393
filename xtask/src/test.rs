//! `cargo xtask test`: everything.

use crate::run::Steps;
use crate::{check, link, setup};
use anyhow::Result;

/// Every schedule with up to two preemptions, as far as four seconds a scenario go.
const EXPLORE: &[&str] = &[
    "run",
    "--locked",
    "--release",
    "--quiet",
    "--package=freehold-lab",
    "--",
    "explore",
    "scenarios",
    "regressions/explore",
    "--time=4",
];

/// Sets up, then runs every check and every test. The layer and style checks are tests of this package.
///
/// The test runner comes last, so that its closing lines stand next to the summary.
pub fn command() -> Result<()> {
    setup::set_up()?;
    let mut steps = Steps::default();
    check::steps_of(&mut steps);
    steps.step("freestanding link", link::command);
    steps.cargo("documentation tests", &["test", "--locked", "--workspace", "--doc", "--quiet"]);
    steps.cargo("scenarios and what searches found before", EXPLORE);
    if setup::has_nextest() {
        steps.cargo(
            "tests",
            &["nextest", "run", "--locked", "--workspace", "--all-targets", "--no-fail-fast"],
        );
    } else {
        steps.cargo("tests", &["test", "--locked", "--workspace", "--all-targets", "--no-fail-fast"]);
    }
    steps.finish()
}
