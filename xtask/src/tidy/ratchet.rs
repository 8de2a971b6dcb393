//! Counts that may only fall: ways to panic outside tests, for each package.

use crate::source::{Package, Problem, Role, Workspace};
use crate::tokens::Token;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Where the counts are recorded.
const FILE: &str = "xtask/ratchet.toml";

const HEADER: &str = "\
# How often each package's code outside tests may call `unwrap`, `expect`, and `panic!` or `unreachable!`.
# A test holds the counts; they may only fall. `cargo xtask tidy --bless` records lower ones and new packages.
";

/// The counted calls of one package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    unwrap: u64,
    expect: u64,
    panic: u64,
}

impl Counts {
    fn named(&self) -> [(&'static str, u64); 3] {
        [("unwrap", self.unwrap), ("expect", self.expect), ("panic", self.panic)]
    }

    fn at_most(&self, other: &Counts) -> bool {
        self.named().iter().zip(other.named()).all(|(own, other)| own.1 <= other.1)
    }
}

/// The recorded counts, by package.
pub(super) type Recorded = BTreeMap<String, Counts>;

/// Reads the recorded counts.
pub(super) fn read(root: &Path) -> Result<Recorded> {
    let text = std::fs::read_to_string(root.join(FILE)).context(FILE)?;
    parse(&text)
}

fn parse(text: &str) -> Result<Recorded> {
    let table: toml::Table = text.parse().context(FILE)?;
    let number = |counts: &toml::Value, name: &str| {
        let value = counts.get(name).and_then(|value| value.as_integer());
        u64::try_from(value.unwrap_or(0)).unwrap_or(0)
    };
    let counts = |value: &toml::Value| Counts {
        unwrap: number(value, "unwrap"),
        expect: number(value, "expect"),
        panic: number(value, "panic"),
    };
    Ok(table.iter().map(|(name, value)| (name.clone(), counts(value))).collect())
}

/// Objects to counts that differ from the recorded ones, in either direction.
pub(super) fn check(workspace: &Workspace, recorded: &Recorded) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in &workspace.packages {
        let Some(before) = recorded.get(&package.name) else {
            let message = format!("`{}` is not recorded: run `cargo xtask tidy --bless`", package.name);
            problems.push(Problem::new(FILE, 0, message));
            continue;
        };
        let now = count(package);
        for ((name, now), (_, before)) in now.named().into_iter().zip(before.named()) {
            problems.extend(compare(&package.dir, name, now, before));
        }
    }
    problems
}

fn compare(dir: &str, name: &str, now: u64, before: u64) -> Option<Problem> {
    let message = match now.cmp(&before) {
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Greater => {
            format!("{now} calls of `{name}` outside tests, {before} are recorded: return an error instead")
        }
        std::cmp::Ordering::Less => {
            format!(
                "{now} calls of `{name}` outside tests, {before} are recorded: `cargo xtask tidy --bless`"
            )
        }
    };
    Some(Problem::new(dir, 0, message))
}

/// Records what fell and what is new. Answers what rose, which is not recorded.
pub(super) fn bless(workspace: &Workspace, root: &Path) -> Result<Vec<Problem>> {
    let recorded = blessed(workspace, &read(root)?);
    std::fs::write(root.join(FILE), render(&recorded)).context(FILE)?;
    Ok(check(workspace, &recorded))
}

fn blessed(workspace: &Workspace, recorded: &Recorded) -> Recorded {
    let mut new = Recorded::new();
    for package in &workspace.packages {
        let now = count(package);
        let counts = recorded.get(&package.name).copied().filter(|before| !now.at_most(before));
        new.insert(package.name.clone(), counts.unwrap_or(now));
    }
    new
}

fn render(recorded: &Recorded) -> String {
    let mut text = HEADER.to_owned();
    for (name, counts) in recorded {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n[{name}]\n");
        for (name, value) in counts.named() {
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    text
}

/// Counts the calls in a package's own code.
fn count(package: &Package) -> Counts {
    let mut counts = Counts::default();
    for file in package.files.iter().filter(|file| file.role == Role::Code) {
        for three in file.tokens().windows(3) {
            add(&mut counts, three);
        }
    }
    counts
}

fn add(counts: &mut Counts, three: &[Token]) {
    match [three[0].text.as_str(), three[1].text.as_str(), three[2].text.as_str()] {
        [".", "unwrap", "("] | ["::", "unwrap", _] => counts.unwrap += 1,
        [".", "expect", "("] | ["::", "expect", _] => counts.expect += 1,
        [_, "panic" | "unreachable", "!"] => counts.panic += 1,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn f() { a.unwrap(); a.unwrap += 1; b.expect(\"b\"); c.map(Option::unwrap); }\n\
                        fn h() { unreachable!() }\n\
                        #[cfg(test)] mod tests { fn g() { a.unwrap(); panic!() } }";

    fn workspace() -> Workspace {
        Workspace::planted(&[("crates/x/src/lib.rs", TEXT), ("crates/x/tests/t.rs", "fn f() { a.unwrap() }")])
    }

    fn recorded(unwrap: u64, expect: u64, panic: u64) -> Recorded {
        Recorded::from([("x".to_owned(), Counts { unwrap, expect, panic })])
    }

    #[test]
    fn calls_outside_tests_are_counted() {
        assert!(check(&workspace(), &recorded(2, 1, 1)).is_empty());
    }

    #[test]
    fn a_planted_rise_is_found_and_not_blessed() {
        let before = recorded(1, 1, 1);
        assert!(check(&workspace(), &before)[0].message.contains("return an error instead"));
        assert_eq!(blessed(&workspace(), &before), before);
    }

    #[test]
    fn a_fall_must_be_recorded() {
        let before = recorded(3, 1, 1);
        assert!(check(&workspace(), &before)[0].message.contains("--bless"));
        assert_eq!(blessed(&workspace(), &before), recorded(2, 1, 1));
    }

    #[test]
    fn a_new_package_must_be_recorded() {
        assert!(check(&workspace(), &Recorded::new())[0].message.contains("not recorded"));
        assert_eq!(blessed(&workspace(), &Recorded::new()), recorded(2, 1, 1));
    }

    #[test]
    fn the_file_can_be_read_back() {
        let counts = recorded(2, 0, 5);
        assert_eq!(parse(&render(&counts)).unwrap(), counts);
    }
}
