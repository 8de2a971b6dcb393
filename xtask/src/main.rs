//! `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

use anyhow::{Result, bail};
use std::process::ExitCode;

const HELP: &str = "\
Chores of Freehold: cargo xtask COMMAND

  test            set up what is missing, then run every check and every test
  check           the quick part: format, clippy, documentation
  tidy [--bless]  layers, cycles, style and licences; --bless lowers the numbers of xtask/ratchet.toml
  link            link the facade and the minimal machine without std, and look at the result
  soak --minutes N
                  explore, diff and the fuzzers with fresh seeds; what they find goes to regressions/
  ci              what CI does: `.ci/run` on a fresh clone of the last commit
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Result<()> {
    match words {
        ["test"] => xtask::test::command(),
        ["check"] => xtask::check::command(),
        ["tidy"] => xtask::tidy::command(xtask::tidy::Ratchet::Hold),
        ["tidy", "--bless"] => xtask::tidy::command(xtask::tidy::Ratchet::Bless),
        ["link"] => xtask::link::command(),
        ["soak", "--minutes", minutes] => xtask::soak::command(minutes),
        ["ci"] => xtask::ci::command(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("no such command: {}\n{HELP}", other.join(" ")),
    }
}
