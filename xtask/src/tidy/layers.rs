//! Crates depend downwards only.

use crate::source::{Package, Problem, Workspace};

/// The floors of the house, from the ground.
pub(super) const FLOORS: [&str; 10] =
    ["machine", "revoke", "frame", "table", "object", "space", "fault", "balance", "linux", "freehold"];

/// Packages beside the house, and what each may use of it.
const BESIDE: &[(&str, &[&str])] = &[
    ("oracle", &["machine", "revoke", "frame", "table", "object", "space", "fault", "balance", "linux"]),
    ("sim", &["machine"]),
    ("loomed", &["machine"]),
    ("host", &["machine", "freehold"]),
    ("record", &[]),
    ("native", &[]),
    ("freestanding", &["machine", "freehold"]),
    ("xtask", &[]),
];

/// What only looks at the house from outside: sees everything.
const ABOVE: &[&str] = &["lab"];

/// What tests of any crate may use beside the floors below it.
const FOR_TESTS: &[&str] = &["sim", "oracle", "loomed"];

/// The floor of a crate, from 0.
pub(super) fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| *floor == name)
}

/// Objects to dependencies on a crate of the same floor or above, and to crates that have no place yet.
pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    workspace.packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Problem> {
    let path = package.manifest_path();
    let name = package.name.as_str();
    if !is_ours(name) {
        let message = format!("`{name}` has no place in the house: give it one in xtask/src/tidy/layers.rs");
        return vec![Problem::new(&path, 0, message)];
    }
    let used = dependencies(&package.manifest, &["dependencies", "build-dependencies"]);
    let mut wrong: Vec<String> = used.into_iter().filter(|used| !may_use(name, used)).collect();
    let tests = dependencies(&package.manifest, &["dev-dependencies"]);
    wrong
        .extend(tests.into_iter().filter(|used| !may_use(name, used) && !FOR_TESTS.contains(&used.as_str())));
    let message = |used: &String| match (floor(name), floor(used)) {
        (Some(own), Some(other)) => {
            format!(
                "`{name}` (floor {own}) depends on `{used}` (floor {other}): only lower floors are allowed"
            )
        }
        _ => format!("`{name}` depends on `{used}`, which it must not see"),
    };
    wrong.iter().map(|used| Problem::new(&path, 0, message(used))).collect()
}

fn may_use(user: &str, used: &str) -> bool {
    if let (Some(own), Some(other)) = (floor(user), floor(used)) {
        return other < own;
    }
    let beside = BESIDE.iter().find(|(name, _)| *name == user);
    ABOVE.contains(&user) || beside.is_some_and(|(_, allowed)| allowed.contains(&used))
}

fn is_ours(name: &str) -> bool {
    floor(name).is_some() || ABOVE.contains(&name) || BESIDE.iter().any(|(beside, _)| *beside == name)
}

/// Our own packages among the dependencies of some kinds, by short name; those of one platform only too.
fn dependencies(manifest: &toml::Table, kinds: &[&str]) -> Vec<String> {
    let platforms = manifest.get("target").and_then(|target| target.as_table());
    let tables = std::iter::once(manifest)
        .chain(platforms.into_iter().flat_map(|table| table.values().filter_map(|value| value.as_table())));
    let mut found = Vec::new();
    for table in tables {
        for kind in kinds {
            let entries = table.get(*kind).and_then(|entries| entries.as_table());
            found.extend(entries.into_iter().flatten().map(|(key, value)| our_name(key, value)));
        }
    }
    found.into_iter().flatten().collect()
}

/// `frame` for `frame.workspace = true`, for `freehold-frame = ...` and for
/// `x = { package = "freehold-frame" }`; `None` for other people's crates, even of the same short name.
fn our_name(key: &str, value: &toml::Value) -> Option<String> {
    let package = value.get("package").and_then(|package| package.as_str()).unwrap_or(key);
    let inherited = value.get("workspace").is_some();
    let name =
        package.strip_prefix("freehold-").or((inherited || package == "freehold").then_some(package))?;
    is_ours(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(manifest: (&str, &str)) -> Vec<String> {
        let workspace = Workspace::planted(&[manifest]);
        check(&workspace).into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn a_planted_upward_dependency_is_found() {
        let found = problems(("crates/frame/Cargo.toml", "[dependencies]\ntable.workspace = true\n"));
        let expected = "crates/frame/Cargo.toml: `frame` (floor 2) depends on `table` (floor 3): \
                        only lower floors are allowed";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn renamed_platform_and_build_dependencies_are_seen() {
        let renamed = "[dependencies]\nx = { package = \"freehold-space\", path = \"../space\" }\n";
        assert_eq!(problems(("crates/frame/Cargo.toml", renamed)).len(), 1);
        let platform = "[target.'cfg(unix)'.dependencies]\nfreehold = \"0.1\"\n";
        assert_eq!(problems(("crates/frame/Cargo.toml", platform)).len(), 1);
        let build = "[build-dependencies]\nfreehold-linux = \"0.1\"\n";
        assert_eq!(problems(("crates/frame/Cargo.toml", build)).len(), 1);
    }

    #[test]
    fn lower_floors_and_other_peoples_crates_are_allowed() {
        let manifest =
            "[dependencies]\nmachine.workspace = true\nrevoke.workspace = true\nobject = \"0.37\"\n";
        assert!(problems(("crates/frame/Cargo.toml", manifest)).is_empty());
    }

    #[test]
    fn tests_may_use_the_simulator_but_not_upper_floors() {
        let allowed = "[dev-dependencies]\nsim.workspace = true\n";
        assert!(problems(("crates/frame/Cargo.toml", allowed)).is_empty());
        let wrong = "[dev-dependencies]\nspace.workspace = true\n";
        assert_eq!(problems(("crates/frame/Cargo.toml", wrong)).len(), 1);
    }

    #[test]
    fn the_simulator_sees_only_the_machine_and_recordings_nothing() {
        let sim = "[dependencies]\nmachine.workspace = true\nframe.workspace = true\n";
        assert_eq!(
            problems(("crates/sim/Cargo.toml", sim)),
            ["crates/sim/Cargo.toml: `sim` depends on `frame`, which it must not see"]
        );
        assert_eq!(
            problems(("crates/record/Cargo.toml", "[dependencies]\nmachine.workspace = true\n")).len(),
            1
        );
        let lab = "[dependencies]\nfreehold.workspace = true\nsim.workspace = true\n";
        assert!(problems(("crates/lab/Cargo.toml", lab)).is_empty());
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert!(problems(("crates/attic/Cargo.toml", ""))[0].contains("no place in the house"));
    }
}
