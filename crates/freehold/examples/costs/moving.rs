//! Pages that leave memory and come back, and that move to another node.

use freehold::linux::{MovePages, SwapDevice};
use freehold::machine::FileKey;

use crate::bench::{A, Bench, P, Room, run};
use crate::rows::{Row, Sizes, Table, Trouble};

const PAGEOUT: u64 = 21;
const SWAP: FileKey = FileKey(7);

/// The table.
pub(crate) fn table(sizes: &Sizes) -> Result<Table, Trouble> {
    let n = sizes.pages;
    let file = SwapDevice::File { key: SWAP, pages: 4 * n };
    let memory = SwapDevice::Compressed { disk: 0, pages: 4 * n };
    let file_names = [
        "out to a file (MADV_PAGEOUT)",
        "back from a file, by a store",
        "out again, unchanged since it came back",
    ];
    let memory_names = [
        "out to compressed memory (lz4)",
        "back from compressed memory, by a store",
        "out again, unchanged since it came back (lz4)",
    ];
    let mut rows = run(Room::small(64), |bench| swapped(bench, n, (file, file_names)))?;
    rows.extend(run(Room::small(64), |bench| swapped(bench, n, (memory, memory_names)))?);
    rows.extend(run(Room { nodes: 2, ..Room::small(128) }, |bench| moved(bench, n))?);
    Ok(Table { name: "a page moves", rows })
}

fn swapped(
    bench: &mut Bench<'_>,
    n: u64,
    (device, names): (SwapDevice, [&'static str; 3]),
) -> Result<Vec<Row>, Trouble> {
    bench.manager.machine().sim_files().create_zeroed(SWAP, 4 * n * P);
    bench.call(|cx| bench.manager.linux().swapon(cx, device, None))?;
    bench.anonymous(n * P)?;
    bench.fill(n)?;
    let out = bench.measure(names[0], n, |bench| bench.advise(A, n * P, PAGEOUT))?;
    let back = bench.measure(names[1], n, |bench| bench.fill(n))?;
    bench.advise(A, n * P, PAGEOUT)?;
    bench.read(n)?;
    let again = bench.measure(names[2], n, |bench| bench.advise(A, n * P, PAGEOUT))?;
    bench.read(n)?;
    Ok(vec![out, back, again])
}

fn moved(bench: &mut Bench<'_>, n: u64) -> Result<Vec<Row>, Trouble> {
    bench.anonymous(n * P)?;
    bench.fill(n)?;
    let pages: Vec<u64> = (0..n).map(|page| A + page * P).collect();
    let row = |bench: &mut Bench<'_>, what, flags, node| {
        let (nodes, mut status) = (vec![node; n as usize], vec![0; n as usize]);
        let row = bench.measure(what, n, |bench| {
            let args = MovePages { pages: &pages, nodes: Some(&nodes), status: &mut status, flags };
            bench.call(|cx| bench.manager.linux().move_pages(cx, bench.process, args)).map(drop)
        })?;
        match status.iter().find(|&&at| at != node) {
            None => Ok(row),
            Some(status) => Err(Trouble(format!("{what}: {status}"))),
        }
    };
    let one = row(bench, "to another node (move_pages)", 2, 1)?;
    let child = bench.fork()?;
    let two = row(bench, "to another node, mapped by a child too", 4, 0)?;
    bench.end(child)?;
    Ok(vec![one, two])
}
