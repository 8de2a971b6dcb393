//! Stores to pages: which are copied, and what that costs.

use crate::bench::{A, Bench, P, Room, run};
use crate::rows::{Sizes, Table, Trouble};

/// The table.
pub(crate) fn table(sizes: &Sizes) -> Result<Table, Trouble> {
    let rows = run(Room::small(64), |bench| rows(bench, sizes.pages))?;
    Ok(Table { name: "a store to a page of 4 KiB", rows })
}

fn rows(bench: &mut Bench<'_>, n: u64) -> Result<Vec<crate::rows::Row>, Trouble> {
    let mut rows = Vec::new();
    bench.anonymous(2 * n * P)?;
    rows.push(bench.measure("the first: a page of zeros (tables included)", n, |bench| bench.fill(n))?);
    rows.push(bench.measure("mapped writable: no fault", n, |bench| bench.fill(n))?);
    // What was noticed as clean: every page is exclusive, and its entry lets no store pass.
    bench.call(|cx| bench.manager.linux().clear_refs(cx, bench.process, 4))?;
    rows.push(bench.measure("exclusive, entry read-only: written in place", n, |bench| bench.fill(n))?);
    let child = bench.fork()?;
    bench.end(child)?;
    rows.push(bench.measure("shared once, the child is gone: reused", n, |bench| bench.fill(n))?);
    let child = bench.fork()?;
    rows.push(bench.measure("shared with a child: copied", n, |bench| bench.fill(n))?);
    let parent = bench.process;
    bench.become_process(child)?;
    rows.push(bench.measure("the child's, after the parent's copy: reused", n, |bench| bench.fill(n))?);
    bench.become_process(parent)?;
    bench.end(child)?;
    (n..2 * n).try_for_each(|page| bench.load(A + page * P).map(drop))?;
    rows.push(bench.measure("the page of zeros: a new one in its place", n, |bench| {
        (n..2 * n).try_for_each(|page| bench.store(A + page * P, 1))
    })?);
    bench.text(n * P)?;
    bench.read(n)?;
    bench.protect(A, n * P, 3)?;
    rows.push(bench.measure("a file's page, privately mapped: copied", n, |bench| bench.fill(n))?);
    Ok(rows)
}
