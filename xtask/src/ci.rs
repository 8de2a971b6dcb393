//! `cargo xtask ci`: what CI does. A fresh clone has only what was committed, and nothing built.

use crate::run::{root, run};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// Clones the last commit into a temporary directory and runs `.ci/run` there.
pub fn command() -> Result<()> {
    let clone = std::env::temp_dir().join(format!("freehold-ci-{}", std::process::id()));
    let result = clone_and_run(&root()?, &clone);
    if clone.exists() {
        std::fs::remove_dir_all(&clone)?;
    }
    result
}

fn clone_and_run(root: &Path, clone: &Path) -> Result<()> {
    run(Command::new("git").args(["clone", "--quiet", "--depth=1", "--no-local"]).args([root, clone]))?;
    run(Command::new("bash")
        .arg(".ci/run")
        .current_dir(clone)
        .env("CI", "true")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_MANIFEST_DIR"))
}
