//! `cargo xtask tidy`: what reviewers would otherwise have to repeat.

mod cycles;
mod floors;
mod layers;
mod licences;
mod ratchet;
mod style;

use crate::run::root;
use crate::source::{Problem, Workspace};
use anyhow::{Result, bail};

/// A check of the sources.
pub type Check = fn(&Workspace) -> Vec<Problem>;

/// The checks that need nothing but the sources, with what each is about.
pub const CHECKS: &[(&str, Check)] = &[
    ("every file parses", |workspace| workspace.problems.clone()),
    ("crates depend downwards only", layers::check),
    ("modules of a crate form no cycle", cycles::check),
    ("every file belongs to a target", cycles::check_dead_files),
    ("floors are no_std without alloc and statics", floors::check_freestanding),
    ("unsafe code is rare and explained", floors::check_unsafe),
    ("lines, functions and files are short", style::check_sizes),
    ("nothing is left unfinished", style::check_unfinished),
];

/// What to do about counts that differ from the recorded ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratchet {
    /// Report them.
    Hold,
    /// Record lower counts, and those of new crates.
    Bless,
}

/// Runs every check and prints what they object to.
pub fn command(ratchet: Ratchet) -> Result<()> {
    let root = root()?;
    let workspace = Workspace::read(&root)?;
    let mut problems: Vec<Problem> = CHECKS.iter().flat_map(|(_, check)| check(&workspace)).collect();
    problems.extend(licences::check(&root)?);
    problems.extend(match ratchet {
        Ratchet::Hold => ratchet::check(&workspace, &ratchet::read(&root)?),
        Ratchet::Bless => ratchet::bless(&workspace, &root)?,
    });
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => println!("tidy: {} packages, no problems", workspace.packages.len()),
        n => bail!("tidy: {n} problems"),
    }
    Ok(())
}

/// The counts of unwrap, expect and panic against `xtask/ratchet.toml`: see [`command`].
pub fn check_ratchet(workspace: &Workspace) -> Result<Vec<Problem>> {
    Ok(ratchet::check(workspace, &ratchet::read(&root()?)?))
}

/// The licences of all dependencies.
pub fn check_licences() -> Result<Vec<Problem>> {
    licences::check(&root()?)
}
