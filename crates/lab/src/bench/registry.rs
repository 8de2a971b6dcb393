//! Which benches there are.

use super::{Options, Row, Side, Trouble, native, simulated};
use crate::exit::Error;

/// One bench.
pub(super) struct Bench {
    /// What the command line calls it.
    pub(super) name: &'static str,
    /// What its figures are made of.
    pub(super) side: Side,
    /// What it is, in a line.
    pub(super) about: &'static str,
    /// Runs it.
    pub(super) rows: fn(&Options) -> Result<Vec<Row>, Trouble>,
}

fn all() -> impl Iterator<Item = &'static Bench> {
    native::BENCHES.iter().chain(simulated::BENCHES)
}

/// Benches of these names, in the order of the list; all without a name.
pub(super) fn chosen(names: &[String]) -> Result<Vec<&'static Bench>, Error> {
    let matches = |bench: &Bench, name: &String| name == bench.name || name == bench.side.name();
    if let Some(unknown) = names.iter().find(|name| !all().any(|bench| matches(bench, name))) {
        return Err(Error::new(&format!(
            "no bench is called {unknown:?}; `freehold bench --list` names them"
        )));
    }
    let wanted = |bench: &&Bench| names.is_empty() || names.iter().any(|name| matches(bench, name));
    Ok(all().filter(wanted).collect())
}

/// What `--list` prints.
pub(super) fn listed(benches: &[&Bench]) -> String {
    let width = benches.iter().map(|bench| bench.name.len()).max().unwrap_or(0);
    let line =
        |bench: &&Bench| format!("{:<width$}  {:<9}  {}\n", bench.name, bench.side.name(), bench.about);
    benches.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_no_side() {
        let names: Vec<&str> = all().map(|bench| bench.name).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), unique.len());
        assert!(!unique.contains("native") && !unique.contains("simulated"));
    }

    #[test]
    fn benches_are_on_the_side_that_lists_them() {
        assert!(native::BENCHES.iter().all(|bench| bench.side == Side::Native));
        assert!(simulated::BENCHES.iter().all(|bench| bench.side == Side::Simulated));
    }

    #[test]
    fn a_side_names_all_of_it() {
        let chosen = chosen(&["native".into()]).expect("a side");
        assert_eq!(chosen.len(), native::BENCHES.len());
    }
}
