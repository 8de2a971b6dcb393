//! Which benches there are.

use super::{Options, Row, Side, Trouble};
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

/// Of these benches those of these names, in the order of the list; all without a name.
pub(super) fn chosen<'b>(all: &[&'b Bench], names: &[String]) -> Result<Vec<&'b Bench>, Error> {
    let matches = |bench: &Bench, name: &String| name == bench.name || name == bench.side.name();
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|bench| matches(bench, name))) {
        return Err(Error::new(&format!(
            "no bench is called {unknown:?}; `freehold bench --list` names them"
        )));
    }
    let wanted = |bench: &&Bench| names.is_empty() || names.iter().any(|name| matches(bench, name));
    Ok(all.iter().copied().filter(wanted).collect())
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

    const A: Bench = Bench { name: "a", side: Side::Native, about: "one", rows: |_| Ok(Vec::new()) };
    const B: Bench = Bench { name: "bb", side: Side::Simulated, about: "two", ..A };

    fn names(of: &[&str]) -> Vec<&'static str> {
        let of: Vec<String> = of.iter().map(|name| (*name).into()).collect();
        chosen(&[&A, &B], &of).expect("known names").iter().map(|bench| bench.name).collect()
    }

    #[test]
    fn benches_are_chosen_by_name_and_by_side() {
        assert_eq!(names(&[]), ["a", "bb"]);
        assert_eq!(names(&["bb"]), ["bb"]);
        assert_eq!(names(&["bb", "a", "bb"]), ["a", "bb"]);
        assert_eq!(names(&["native"]), ["a"]);
        assert!(chosen(&[&A, &B], &["c".into()]).is_err());
    }

    #[test]
    fn a_list_names_all() {
        assert_eq!(listed(&[&A, &B]), "a   native     one\nbb  simulated  two\n");
    }
}
