//! What the tests need of the computer beside a Rust toolchain.

use crate::run::{cargo, run, succeeds};
use anyhow::{Result, bail};
use std::process::Command;

/// A program, and the Debian packages that bring it.
struct Tool {
    program: &'static str,
    packages: &'static [&'static str],
}

/// Rust itself links through `cc`; the compressor of recordings is C.
const NEEDED: &[Tool] = &[Tool { program: "cc", packages: &["gcc", "libc6-dev"] }];

/// Installs what is missing, or says what to install.
pub fn set_up() -> Result<()> {
    let missing: Vec<&Tool> =
        NEEDED.iter().filter(|tool| !succeeds(Command::new(tool.program).arg("--version"))).collect();
    let packages: Vec<&str> = missing.iter().flat_map(|tool| tool.packages.iter().copied()).collect();
    if !packages.is_empty() {
        install(&packages)?;
    }
    for component in ["fmt", "clippy"] {
        if !succeeds(cargo().args([component, "--version"])) {
            bail!("`cargo {component}` is missing; install it with: rustup component add rustfmt clippy");
        }
    }
    Ok(())
}

/// Whether the faster test runner is there.
pub fn has_nextest() -> bool {
    succeeds(cargo().args(["nextest", "--version"]))
}

fn install(packages: &[&str]) -> Result<()> {
    let command = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !is_root() || !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("programs are missing; install them (on Debian: {command})");
    }
    println!("==> {command}");
    run(Command::new("apt-get").arg("update"))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
