//! The documented machine stays small.

#[test]
fn the_minimal_machine_has_under_250_lines() {
    let lines = include_str!("../examples/minimal/minimal.rs").lines().count();
    assert!(lines < 250, "{lines} lines");
}
