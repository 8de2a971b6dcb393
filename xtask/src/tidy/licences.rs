//! Every dependency may be used under a licence that asks for no more than ours do.

use crate::run::cargo;
use crate::source::Problem;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;

/// Licences that may occur.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Objects to packages of the lock file, as far as this platform builds them, whose licence is not allowed.
pub(super) fn check(root: &Path) -> Result<Vec<Problem>> {
    let platform = "x86_64-unknown-linux-gnu";
    let output = cargo()
        .args(["metadata", "--locked", "--format-version=1", "--filter-platform", platform])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    check_metadata(&serde_json::from_slice(&output.stdout)?)
}

fn check_metadata(metadata: &Value) -> Result<Vec<Problem>> {
    let built: Vec<&Value> = list(&metadata["resolve"]["nodes"])?.iter().map(|node| &node["id"]).collect();
    let mut problems = Vec::new();
    for package in list(&metadata["packages"])?.iter().filter(|package| built.contains(&&package["id"])) {
        let licence = package["license"].as_str().unwrap_or("");
        if !is_allowed(licence) {
            let (name, version) = (&package["name"], &package["version"]);
            let message = format!(
                "{} {} has licence `{licence}`, which is not on the list",
                name.as_str().unwrap_or("?"),
                version.as_str().unwrap_or("?")
            );
            problems.push(Problem::new("Cargo.lock", 0, message));
        }
    }
    Ok(problems)
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("cargo metadata: a list is missing")
}

/// Whether an SPDX expression leaves a choice of allowed licences only. The old `/` means OR; AND binds
/// closer.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) && rest.is_empty()
}

fn any_of(words: &mut &[&str]) -> bool {
    let mut allowed = all_of(words);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        allowed |= all_of(words);
    }
    allowed
}

fn all_of(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        allowed &= one(words);
    }
    allowed
}

/// One licence, with its exception (which makes it another licence), or an expression in parentheses.
fn one(words: &mut &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let allowed = any_of(words);
            match *words {
                [")", rest @ ..] => *words = rest,
                _ => return false,
            }
            allowed
        }
        [_, "WITH", _, rest @ ..] => {
            *words = rest;
            false
        }
        [licence, rest @ ..] => {
            *words = rest;
            ALLOWED.contains(licence)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for allowed in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        ] {
            assert!(is_allowed(allowed), "{allowed}");
        }
        for refused in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT)", "Apache-2.0 WITH LLVM-exception", "OR"]
        {
            assert!(!is_allowed(refused), "{refused}");
        }
    }

    #[test]
    fn a_planted_licence_is_found() {
        let metadata = serde_json::json!({
            "packages": [
                { "id": "a", "name": "good", "version": "1.0.0", "license": "MIT" },
                { "id": "b", "name": "bad", "version": "2.0.0", "license": "AGPL-3.0" },
                { "id": "c", "name": "elsewhere", "version": "3.0.0", "license": "AGPL-3.0" },
            ],
            "resolve": { "nodes": [{ "id": "a" }, { "id": "b" }] },
        });
        let found: Vec<String> =
            check_metadata(&metadata).unwrap().into_iter().map(|problem| problem.message).collect();
        assert_eq!(found, ["bad 2.0.0 has licence `AGPL-3.0`, which is not on the list"]);
    }
}
