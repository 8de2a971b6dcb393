//! Holding pages for others than the program.

use freehold::fault::How;
use freehold::machine::{Access, Vpn};
use freehold::object::Held;

use crate::bench::{A, Bench, P, Room, run};
use crate::rows::{Row, Sizes, Table, Trouble};

/// The table.
pub(crate) fn table(sizes: &Sizes) -> Result<Table, Trouble> {
    let rows = run(Room::small(64), |bench| rows(bench, sizes.pages))?;
    Ok(Table { name: "holding a page, one by one", rows })
}

/// What a row is called, and how the page is held.
type Way = (&'static str, How);

fn rows(bench: &mut Bench<'_>, n: u64) -> Result<Vec<Row>, Trouble> {
    let (read, write) = (How::pin(Access::Read), How::pin(Access::Write));
    bench.anonymous(n * P)?;
    bench.fill(n)?;
    let fast: [Way; 4] = [
        ("pin to read, exclusive page, without a lock", read),
        ("pin to write, exclusive page, without a lock", write),
        ("pin to write for long, without a lock", write.long()),
        ("reference to read, without a lock", How::get(Access::Read)),
    ];
    let slow: [Way; 2] = [
        ("pin to read, exclusive page, under its table's lock", read.remote()),
        ("pin to write, exclusive page, under its table's lock", write.remote()),
    ];
    let mut rows = Vec::new();
    for way in fast.into_iter().chain(slow) {
        rows.push(hold(bench, n, way)?);
    }
    let mut held = take(bench, n, write)?;
    rows.push(bench.measure("give a pin back", n, |bench| give_back(bench, &mut held))?);
    let mut held = take(bench, n, write)?;
    rows.push(bench.measure("give a pin back after a store through it", n, |bench| {
        held.drain(..).for_each(|held| bench.manager.linux().release_dirty(&mut bench.cx(), held));
        Ok(())
    })?);
    let child = bench.fork()?;
    rows.push(hold(bench, n, ("pin to read, page shared with a child: copied first", read))?);
    bench.end(child)?;
    bench.anonymous(n * P)?;
    bench.fill(1)?;
    rows.push(hold(bench, n, ("pin to write, nothing there: a new page first", write))?);
    Ok(rows)
}

fn take(bench: &Bench<'_>, n: u64, how: How) -> Result<Vec<Held>, Trouble> {
    let mut held = vec![Held::Nothing; n as usize];
    for (page, place) in held.iter_mut().enumerate() {
        let first = Vpn(A / P + page as u64);
        let places = std::slice::from_mut(place);
        bench.manager.linux().hold_pages(&mut bench.cx(), bench.process, (first, how), places)?;
    }
    Ok(held)
}

fn give_back(bench: &Bench<'_>, held: &mut Vec<Held>) -> Result<(), Trouble> {
    held.drain(..).for_each(|held| bench.manager.linux().release_page(&mut bench.cx(), held));
    Ok(())
}

fn hold(bench: &mut Bench<'_>, n: u64, (what, how): Way) -> Result<Row, Trouble> {
    let mut held = Vec::new();
    let row = bench.measure(what, n, |bench| {
        held = take(bench, n, how)?;
        Ok(())
    })?;
    give_back(bench, &mut held)?;
    Ok(row)
}
