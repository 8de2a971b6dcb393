//! The command `freehold`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    freehold_lab::main()
}
