//! Pages of 2 MiB: made, split, put together.

use freehold::machine::Vpn;
use freehold::object::Split;

use crate::bench::{A, Bench, HUGE, P, Room, run};
use crate::rows::{Row, Sizes, Table, Trouble};

const COLLAPSE: u64 = 25;
const NO_HUGE_PAGE: u64 = 15;
const READ: u64 = 1;
const RW: u64 = 3;

/// The table.
pub(crate) fn table(sizes: &Sizes) -> Result<Table, Trouble> {
    let n = (sizes.pages / 32).max(1);
    let rows = run(Room::large(8 * n + 64), |bench| rows(bench, n))?;
    Ok(Table { name: "2 MiB of memory", rows })
}

fn each(n: u64, mut f: impl FnMut(u64) -> Result<(), Trouble>) -> Result<(), Trouble> {
    (0..n).try_for_each(|page| f(A + page * HUGE))
}

fn rows(bench: &mut Bench<'_>, n: u64) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    bench.anonymous(n * HUGE)?;
    rows.push(bench.measure("the first store: 2 MiB of zeros", n, |bench| each(n, |at| bench.store(at, 1)))?);
    rows.push(
        bench.measure("mprotect of all of it", n, |bench| each(n, |at| bench.protect(at, HUGE, READ)))?,
    );
    bench.protect(A, n * HUGE, RW)?;
    rows.push(bench.measure("mprotect of its first page: the entry is split", n, |bench| {
        each(n, |at| bench.protect(at, P, READ))
    })?);
    bench.protect(A, n * HUGE, RW)?;
    rows.push(bench.measure("the folio is split too", n, |bench| {
        each(n, |at| {
            let (manager, mut cx) = (bench.manager, bench.cx());
            let space = manager.linux().process(bench.process).space();
            let split = space.and_then(|space| manager.spaces().split_folio_at(cx.at(), space, Vpn(at / P)));
            if split == Some(Split::Done) { Ok(()) } else { Err(Trouble(format!("not split: {split:?}"))) }
        })
    })?);
    rows.push(
        bench.measure("collapse of 512 small pages", n, |bench| {
            each(n, |at| bench.advise(at, HUGE, COLLAPSE))
        })?,
    );
    let child = bench.fork()?;
    rows.push(bench.measure(
        "a store to it while a child shares it: split, one page copied",
        n,
        |bench| each(n, |at| bench.store(at, 2)),
    )?);
    bench.end(child)?;
    rows.push(bench.measure("a store to it by its last owner: in place", n, |bench| {
        each(n, |at| bench.store(at + 5 * P, 2))
    })?);
    bench.anonymous(n * HUGE)?;
    bench.advise(A, n * HUGE, NO_HUGE_PAGE)?;
    rows.push(bench.measure("512 first stores to small pages instead", n, |bench| bench.fill(n * 512))?);
    Ok(rows)
}
