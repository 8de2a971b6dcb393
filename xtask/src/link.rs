//! `cargo xtask link`: the facade and the minimal machine become a program without std, and the program is
//! looked at.

use crate::run::cargo_with;
use anyhow::{Context, Result, bail};
use object::{Object, ObjectKind, ObjectSection, ObjectSymbol};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Builds the freestanding program and checks that it stands on nothing.
pub fn command() -> Result<()> {
    let program = build()?;
    let bytes = std::fs::read(&program).with_context(|| program.display().to_string())?;
    let problems = check_image(&bytes)?;
    if !problems.is_empty() {
        bail!("{} is not freestanding:\n  {}", program.display(), problems.join("\n  "));
    }
    println!("{}: static, nothing undefined, no std ({} KiB)", name(&program), bytes.len() / 1024);
    Ok(())
}

fn name(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Builds the program and answers where it is.
fn build() -> Result<PathBuf> {
    let arguments = ["build", "--locked", "--package=freehold-freestanding", "--profile=freestanding"];
    let output = cargo_with(&arguments)?
        .args(["--quiet", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("it does not link");
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let executable = |line: &[u8]| {
        let message: serde_json::Value = serde_json::from_slice(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    };
    lines.filter_map(executable).next_back().context("cargo built no program")
}

/// What about a program needs something from outside.
fn check_image(bytes: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(bytes).context("not an object file")?;
    let mut problems = Vec::new();
    if file.kind() != ObjectKind::Executable {
        problems.push(format!("it is {:?}, not an executable at a fixed address", file.kind()));
    }
    for section in file.sections() {
        if let Ok(name @ (".dynamic" | ".interp" | ".rela.dyn" | ".rela.plt")) = section.name() {
            problems.push(format!("section {name} asks for a dynamic linker"));
        }
    }
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or("");
        if symbol.is_undefined() && !name.is_empty() {
            problems.push(format!("symbol {name} is undefined"));
        }
        if is_of_std(name) {
            problems.push(format!("symbol {name} comes from std or alloc"));
        }
    }
    Ok(problems)
}

/// Whether a mangled name (of either scheme) starts in std or alloc.
fn is_of_std(name: &str) -> bool {
    let legacy = ["_ZN3std", "_ZN5alloc"].iter().any(|start| name.starts_with(start));
    let current = name.starts_with("_R") && ["_3std", "_5alloc"].iter().any(|part| name.contains(part));
    legacy || current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_program_is_found_out() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let problems = check_image(&own).unwrap();
        for part in
            ["is undefined", "comes from std", "section .dynamic", "not an executable at a fixed address"]
        {
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part}");
        }
    }

    #[test]
    fn the_crate_a_name_starts_in_counts() {
        assert!(is_of_std("_ZN3std2rt10lang_start17h0123456789abcdefE"));
        assert!(is_of_std("_RNvNtCsabc_5alloc3fmt6format"));
        assert!(!is_of_std("_ZN4core5alloc6layout6Layout17h0123456789abcdefE"));
        assert!(!is_of_std("_RNvNtNtCsabc_4core5alloc6layout"));
    }

    #[test]
    fn other_bytes_are_an_error() {
        assert!(check_image(b"#!/bin/sh\n").is_err());
    }
}
