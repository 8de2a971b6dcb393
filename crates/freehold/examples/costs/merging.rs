//! What the scanner that merges equal pages costs, for each page it looks at.

use crate::bench::{A, Bench, P, Room, run};
use crate::rows::{Row, Sizes, Table, Trouble};

const MERGEABLE: u64 = 12;
const UNMERGEABLE: u64 = 13;

/// The table.
pub(crate) fn table(sizes: &Sizes) -> Result<Table, Trouble> {
    let rows = run(Room::small(64), |bench| rows(bench, sizes.pages))?;
    Ok(Table { name: "KSM looks at a page", rows })
}

/// Pages of these contents.
fn fill(bench: &Bench<'_>, (first, n): (u64, u64), content: impl Fn(u64) -> u64) -> Result<(), Trouble> {
    (first..first + n).try_for_each(|page| bench.store(A + page * P, content(page)))
}

/// The scanner looks at `n` pages, which are the rest of a pass.
fn rest_of_pass(bench: &mut Bench<'_>, what: &'static str, n: u64) -> Result<Row, Trouble> {
    bench.measure(what, n, |bench| {
        let seen = bench.manager.linux().ksm_scan(&mut bench.cx(), u64::MAX);
        if seen == n { Ok(()) } else { Err(Trouble(format!("{what}: {seen} pages of {n}"))) }
    })
}

fn shared(bench: &Bench<'_>) -> u64 {
    bench.manager.linux().ksm_report(&mut bench.cx()).totals.sharing
}

fn rows(bench: &mut Bench<'_>, n: u64) -> Result<Vec<Row>, Trouble> {
    let linux = bench.manager.linux();
    let mut rows = Vec::new();
    bench.anonymous(4 * n * P)?;
    bench.advise(A, n * P, MERGEABLE)?;
    fill(bench, (0, n), |page| 1000 + page)?;
    rows.push(rest_of_pass(bench, "never seen before: its checksum is taken", n)?);
    fill(bench, (0, n), |page| 5000 + page)?;
    rows.push(rest_of_pass(bench, "changed since: its checksum is taken again", n)?);
    rows.push(rest_of_pass(bench, "unchanged, equal to none: into the unstable tree", n)?);
    rows.push(rest_of_pass(bench, "the same, a pass later", n)?);
    // Pages equal to those: seen once, then a pass puts the first half into the tree and finds the other.
    bench.advise(A + n * P, n * P, MERGEABLE)?;
    fill(bench, (n, n), |page| 5000 + page - n)?;
    linux.ksm_scan(&mut bench.cx(), u64::MAX);
    linux.ksm_scan(&mut bench.cx(), n);
    rows.push(rest_of_pass(bench, "equal to one of the unstable tree: both are merged", n)?);
    if shared(bench) < n {
        return Err(Trouble(format!("{} pages are merged", shared(bench))));
    }
    rows.push(rest_of_pass(bench, "merged already: nothing to do", 2 * n)?);
    bench.advise(A + 2 * n * P, n * P, MERGEABLE)?;
    fill(bench, (2 * n, n), |page| 5000 + page - 2 * n)?;
    linux.ksm_scan(&mut bench.cx(), u64::MAX);
    linux.ksm_scan(&mut bench.cx(), 2 * n);
    rows.push(rest_of_pass(bench, "equal to one of the stable tree: merged", n)?);
    if shared(bench) < 2 * n {
        return Err(Trouble(format!("{} pages are merged", shared(bench))));
    }
    rows.push(
        bench.measure("a store to a merged page: copied", n, |bench| fill(bench, (0, n), |page| page))?,
    );
    rows.push(bench.measure("MADV_UNMERGEABLE of a merged page: copied", n, |bench| {
        bench.advise(A + n * P, n * P, UNMERGEABLE)
    })?);
    Ok(rows)
}
