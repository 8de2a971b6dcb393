//! The modules of a crate form no cycle, and neither do its directories.

use crate::modules::{Edges, ModulePath, Place, Tree};
use crate::source::{Problem, Role, Workspace};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Objects to one cycle in every knot of modules that use each other.
pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in &workspace.packages {
        for root in package.roots() {
            let tree = Tree::of(package, root);
            let edges = tree.edges();
            problems.extend(tree.problems);
            problems.extend(cycles(&edges));
            problems.extend(directory_levels(&edges).iter().flat_map(cycles));
        }
    }
    problems.sort();
    problems.dedup();
    problems
}

/// Objects to files under `src` that no target includes.
pub(super) fn check_dead_files(workspace: &Workspace) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in &workspace.packages {
        let live: BTreeSet<String> =
            package.roots().flat_map(|root| Tree::of(package, root).files.into_iter()).collect();
        let dead = package.files.iter().filter(|file| file.role == Role::Code && !live.contains(&file.path));
        problems.extend(dead.map(|file| Problem::new(&file.path, 0, "no target includes this file")));
    }
    problems
}

/// For each directory that has directories below it: its children, each standing for all below it. A cycle
/// that passes through plain modules only is left to the graph of modules.
fn directory_levels(edges: &Edges) -> Vec<Edges> {
    let mut levels: BTreeMap<ModulePath, Edges> = BTreeMap::new();
    for (from, targets) in edges {
        for (to, place) in targets {
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if common == from.len() || common == to.len() {
                continue;
            }
            let level = levels.entry(from[..common].to_vec()).or_default();
            let used = level.entry(from[..=common].to_vec()).or_default();
            used.entry(to[..=common].to_vec()).or_insert_with(|| place.clone());
        }
    }
    levels.into_values().collect()
}

/// One shortest cycle through the first module of each knot.
fn cycles(edges: &Edges) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut told: BTreeSet<&ModulePath> = BTreeSet::new();
    for start in edges.keys() {
        if told.contains(start) {
            continue;
        }
        let Some(cycle) = shortest_cycle(edges, start) else { continue };
        told.extend(
            edges.keys().filter(|other| reaches(edges, start, other) && reaches(edges, other, start)),
        );
        problems.push(describe(&cycle));
    }
    problems
}

/// The steps of a shortest way from a module back to itself.
fn shortest_cycle<'e>(edges: &'e Edges, start: &'e ModulePath) -> Option<Vec<(&'e ModulePath, &'e Place)>> {
    let mut came_from: BTreeMap<&ModulePath, (&ModulePath, &Place)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(here) = queue.pop_front() {
        for (next, place) in edges.get(here).into_iter().flatten() {
            if came_from.contains_key(next) {
                continue;
            }
            came_from.insert(next, (here, place));
            if next == start {
                return Some(walk_back(&came_from, start));
            }
            queue.push_back(next);
        }
    }
    None
}

fn walk_back<'e>(
    came_from: &BTreeMap<&'e ModulePath, (&'e ModulePath, &'e Place)>,
    start: &'e ModulePath,
) -> Vec<(&'e ModulePath, &'e Place)> {
    let mut steps = Vec::new();
    let mut here = start;
    loop {
        let step = came_from[here];
        steps.push(step);
        here = step.0;
        if here == start {
            steps.reverse();
            return steps;
        }
    }
}

fn reaches(edges: &Edges, from: &ModulePath, to: &ModulePath) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut pending = vec![from];
    while let Some(here) = pending.pop() {
        if here == to {
            return true;
        }
        pending.extend(edges.get(here).into_iter().flat_map(BTreeMap::keys).filter(|next| seen.insert(next)));
    }
    false
}

fn describe(cycle: &[(&ModulePath, &Place)]) -> Problem {
    let name = |path: &ModulePath| if path.is_empty() { "crate".to_owned() } else { path.join("::") };
    let steps: Vec<String> = cycle
        .iter()
        .zip(cycle.iter().cycle().skip(1))
        .map(|((from, place), (to, _))| {
            format!("{} uses {} ({}:{})", name(from), name(to), place.file, place.line)
        })
        .collect();
    let (_, place) = cycle[0];
    Problem::new(&place.file, place.line, format!("modules in a cycle: {}", steps.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        check(&Workspace::planted(files)).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn a_planted_cycle_is_printed_step_by_step() {
        let found = problems(&[
            ("crates/x/src/lib.rs", "mod a; mod b; mod c; pub use crate::c::C;"),
            ("crates/x/src/a.rs", "use crate::b::B;"),
            ("crates/x/src/b.rs", "pub struct B;\nfn f() { super::C; }"),
            ("crates/x/src/c.rs", "pub struct C;\n\nuse crate::a;"),
        ]);
        assert_eq!(
            found,
            ["crates/x/src/a.rs:1: modules in a cycle: a uses b (crates/x/src/a.rs:1), \
              b uses c (crates/x/src/b.rs:2), c uses a (crates/x/src/c.rs:3)"]
        );
    }

    #[test]
    fn a_child_that_uses_its_user_is_found() {
        let found = problems(&[
            ("crates/x/src/lib.rs", "mod a;"),
            ("crates/x/src/a.rs", "mod inner; pub struct A; fn f() { inner::g() }"),
            ("crates/x/src/a/inner.rs", "use super::A; pub fn g() {}"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn directories_that_use_each_other_are_found() {
        let found = problems(&[
            ("crates/x/src/lib.rs", "mod a; mod b;"),
            ("crates/x/src/a/mod.rs", "mod one; mod two;"),
            ("crates/x/src/a/one.rs", "use crate::b::B;"),
            ("crates/x/src/a/two.rs", "pub struct Two;"),
            ("crates/x/src/b.rs", "use crate::a::two::Two; pub struct B;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a uses b"));
    }

    #[test]
    fn a_chain_is_no_cycle() {
        let found = problems(&[
            ("crates/x/src/lib.rs", "mod a; mod b; pub use crate::a::A; pub use crate::b::B;"),
            ("crates/x/src/a.rs", "use crate::B; pub struct A;"),
            ("crates/x/src/b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::A; }"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_planted_dead_file_is_found() {
        let workspace = Workspace::planted(&[
            ("crates/x/src/lib.rs", "#[cfg(test)] mod tests;"),
            ("crates/x/src/tests.rs", "mod deep;"),
            ("crates/x/src/tests/deep.rs", ""),
            ("crates/x/src/forgotten.rs", ""),
        ]);
        let found: Vec<String> =
            check_dead_files(&workspace).into_iter().map(|problem| problem.to_string()).collect();
        assert_eq!(found, ["crates/x/src/forgotten.rs: no target includes this file"]);
    }
}
