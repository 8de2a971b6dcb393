//! The races of walks and translations that the facts number L-1 to L-23: each has a scenario or a test, or
//! says why it cannot; the documented list is made here.

#[path = "walk_races/races.rs"]
mod races;

#[path = "common/scenarios.rs"]
mod files;

use files::{repository, scenarios};
use std::fmt::Write;
use std::path::PathBuf;

use freehold_lab::explore::script;
use races::{Nearest, RACES, Race, Test};

#[test]
fn every_race_is_there_in_order() {
    let due = (1..=23)
        .flat_map(|n| if n == 14 { vec!["L-14".into(), "L-14b".into()] } else { vec![format!("L-{n}")] });
    assert!(RACES.iter().map(|race| race.id.to_string()).eq(due));
}

#[test]
fn every_race_has_a_scenario_or_a_test_or_a_reason() {
    let all = scenarios();
    for race in RACES {
        let kept = !own(race, &all).is_empty() || !race.tests.is_empty();
        assert!(kept || race.nearest.is_some(), "{} has no scenario, no test and no reason", race.id);
    }
}

#[test]
fn every_numbered_scenario_belongs_to_a_race() {
    for file in scenarios().iter().filter(|file| file.starts_with("walk/l-")) {
        assert!(RACES.iter().any(|race| bears_number(race, file)), "{file} bears the number of no race");
    }
}

#[test]
fn what_is_named_exists() {
    for race in RACES {
        for Test { file, name } in race.tests {
            let path = repository().join("crates").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{}: {file} has no test {name}", race.id);
        }
        for file in race.also {
            assert!(scenario_path(file).is_file(), "{}: there is no scenario {file}", race.id);
        }
    }
}

#[test]
fn the_documented_list_is_made_from_the_races() {
    let path = repository().join("docs/walk-races.md");
    let text = document();
    if std::env::var_os("FREEHOLD_BLESS").is_some() {
        std::fs::write(&path, &text).expect("docs/walk-races.md can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/walk-races.md is old: run this test with FREEHOLD_BLESS=1");
}

// ---- the document ----

fn document() -> String {
    let mut text = String::from(HEAD);
    let all = scenarios();
    for race in RACES {
        let _ = writeln!(text, "| {} | {} | {} |", race.id, race.what, keepers(race, &all).join("<br>"));
    }
    text += TITLES;
    for race in RACES {
        for file in own(race, &all) {
            let _ = writeln!(text, "| {} | `{file}` | {} |", race.id, title(&file));
        }
    }
    text += MISSING;
    for race in RACES {
        if let Some(Nearest { missing, instead }) = &race.nearest {
            let _ = writeln!(text, "| {} | {missing} | {instead} |", race.id);
        }
    }
    text
}

/// What keeps it, as the list says it.
fn keepers(race: &Race, all: &[String]) -> Vec<String> {
    let scenarios = own(race, all).into_iter().map(|file| format!("`{file}`"));
    let tests = race.tests.iter().map(|test| format!("test `{}` in `{}`", test.name, test.file));
    let mut keepers: Vec<String> = scenarios.chain(tests).collect();
    if keepers.is_empty() {
        keepers.push("not tried: see below".into());
    }
    keepers
}

/// Its scenarios: those that bear its number, and those it names.
fn own(race: &Race, all: &[String]) -> Vec<String> {
    let named = race.also.iter().map(|file| file.to_string());
    all.iter().filter(|file| bears_number(race, file)).cloned().chain(named).collect()
}

fn bears_number(race: &Race, file: &str) -> bool {
    let number = race.id.strip_prefix("L-").unwrap_or_default();
    let digits = number.trim_end_matches('b');
    let suffix = &number[digits.len()..];
    file.starts_with(&format!("walk/l-{digits:0>2}{suffix}-"))
}

fn title(file: &str) -> String {
    let text = std::fs::read_to_string(scenario_path(file)).expect("a scenario");
    script::parse(&text).unwrap_or_else(|error| panic!("{file}:{error}")).title
}

fn scenario_path(file: &str) -> PathBuf {
    repository().join(format!("scenarios/{file}.fhs"))
}

const HEAD: &str = "# Races of walks and of translations

Walks without a lock, tables that go under them, and translations that outlive their entries: the facts that
the project started from number these races L-1 to L-23. Each is a scenario that `freehold explore` runs in
every order, or a test, or it is said below why Freehold has no such race. The list is made by
`cargo test -p freehold-lab --test walk_races`, which fails for a race without any (with `FREEHOLD_BLESS=1` it
writes this file). What must be left out of the manager for them to fail is planted: see \"Mutants of walks\"
in [judges.md](judges.md).

| race | what it is | kept by |
|---|---|---|
";

const TITLES: &str = "
## The scenarios

| race | scenario | title |
|---|---|---|
";

const MISSING: &str = "
## What Freehold has not, and what stands for it

| race | what is not there | what stands for it |
|---|---|---|
";
