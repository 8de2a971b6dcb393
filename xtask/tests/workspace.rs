//! This workspace keeps its own rules: each test is one check of `cargo xtask tidy`.

use xtask::run::root;
use xtask::source::{Problem, Workspace};
use xtask::tidy::{self, CHECKS};

fn workspace() -> Workspace {
    Workspace::read(&root().unwrap()).unwrap()
}

fn assert_none(problems: &[Problem]) {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

/// Runs the check of that name on this workspace.
fn holds(name: &str) {
    let (_, check) = CHECKS.iter().find(|(own, _)| *own == name).unwrap();
    assert_none(&check(&workspace()));
}

#[test]
fn every_file_parses() {
    holds("every file parses");
}

#[test]
fn crates_depend_downwards_only() {
    holds("crates depend downwards only");
}

#[test]
fn modules_of_a_crate_form_no_cycle() {
    holds("modules of a crate form no cycle");
}

#[test]
fn every_file_belongs_to_a_target() {
    holds("every file belongs to a target");
}

#[test]
fn floors_are_no_std_without_alloc_and_statics() {
    holds("floors are no_std without alloc and statics");
}

#[test]
fn unsafe_code_is_rare_and_explained() {
    holds("unsafe code is rare and explained");
}

#[test]
fn lines_functions_and_files_are_short() {
    holds("lines, functions and files are short");
}

#[test]
fn nothing_is_left_unfinished() {
    holds("nothing is left unfinished");
}

#[test]
fn all_checks_are_among_these_tests() {
    assert_eq!(CHECKS.len(), 8);
}

#[test]
fn ways_to_panic_do_not_become_more() {
    assert_none(&tidy::check_ratchet(&workspace()).unwrap());
}

#[test]
fn licences_ask_for_no_more_than_ours() {
    assert_none(&tidy::check_licences().unwrap());
}
