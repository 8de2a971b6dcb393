//! `docs/planted.md`: how each planted bug shows.

use crate::Caught;
use crate::stories::story;

const HEAD: &str = "\
# How planted bugs show

What `freehold explore` tells when a bug is planted ([judges.md](judges.md#planted-bugs)): the scenario that
catches it, what fails, and the shortest schedule that was found, a column for each CPU. A step with `...`
goes on where its CPU has the next `...`, or not at all. Left out is what changes with every change of the
manager: the numbers of `explore`'s first column, and what it tells of frames and translations between the
steps.

`FREEHOLD_BLESS=1 cargo test -p freehold-lab --test mutants` writes this file; without it the test compares.
";

/// The file's text.
pub(crate) fn of(caught: &[Caught]) -> String {
    caught.iter().fold(HEAD.to_owned(), |text, caught| text + &section(caught))
}

fn section(caught: &Caught) -> String {
    let Caught { row, scenario, failing } = caught;
    format!("\n## `{}`\n\n{}", row.plant, story((&row.file(), scenario), failing, |_| None))
}
