//! `docs/rules.md` says what the code says.

use oracle::Rule;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The cells of every row of the audit's tables.
fn rows(text: &str) -> Vec<Vec<String>> {
    let section =
        text.split("\n## ").find(|part| part.starts_with("Checked by the audit")).expect("a section");
    let lines = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule "));
    lines.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().into()).collect()).collect()
}

#[test]
fn the_documented_rules_are_those_of_the_oracle() {
    let text = fs::read_to_string(root().join("docs/rules.md")).expect("docs/rules.md");
    let documented: Vec<(String, String)> =
        rows(&text).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let known: Vec<(String, String)> =
        Rule::ALL.iter().map(|rule| (rule.id().to_string(), rule.statement().to_string())).collect();
    assert_eq!(documented, known);
}

#[test]
fn the_documented_checkers_exist() {
    let text = fs::read_to_string(root().join("docs/rules.md")).expect("docs/rules.md");
    for row in rows(&text) {
        let mut file = String::new();
        for word in row[2].split([' ', ',']).filter(|word| !word.is_empty()) {
            if word.ends_with(".rs") {
                let path = root().join("crates/oracle/src/checks").join(word);
                file =
                    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                continue;
            }
            let name = word.trim_matches('`');
            assert!(file.contains(&format!("fn {name}<")), "{}: no function {name} in {}", row[0], row[2]);
        }
    }
}

/// Every test that a row names is there.
#[test]
fn the_documented_tests_exist() {
    let text = fs::read_to_string(root().join("docs/rules.md")).expect("docs/rules.md");
    let mut sources = String::new();
    read_all(&root().join("crates"), &mut sources);
    for row in rows(&text) {
        for name in row[3].split([' ', ',', ';']).filter(|word| word.matches('_').count() > 1) {
            assert!(sources.contains(&format!("fn {name}")), "{}: no test {name}", row[0]);
        }
    }
}

fn read_all(directory: &Path, into: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            read_all(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
}
