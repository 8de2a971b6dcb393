//! What fork touches.

use crate::bench::{A, Bench, HUGE, P, Room, run};
use crate::rows::{Row, Sizes, Table, Trouble};

const DONTFORK: u64 = 10;

/// What is mapped, and the names of its rows.
struct Case {
    names: [&'static str; 3],
    room: fn(u64) -> Room,
    prepare: fn(&Bench<'_>, u64) -> Result<(), Trouble>,
}

const CASES: [Case; 6] = [
    Case {
        names: ["4 KiB pages: fork", "fork again: all is shared already", "exit of a child"],
        room: Room::small,
        prepare: |bench, len| {
            bench.anonymous(len)?;
            bench.fill(len / P)
        },
    },
    Case {
        names: ["2 MiB pages: fork", "fork again", "exit of a child"],
        room: Room::large,
        prepare: |bench, len| {
            bench.anonymous(len)?;
            (0..len / HUGE).try_for_each(|page| bench.store(A + page * HUGE, 1))
        },
    },
    Case {
        names: ["2 MiB folios, mapped by 4 KiB entries: fork", "fork again", "exit of a child"],
        room: Room::large,
        prepare: |bench, len| {
            bench.anonymous(len)?;
            (0..len / HUGE).try_for_each(|page| bench.store(A + page * HUGE, 1))?;
            // One page with other rights splits the entry, and not the folio.
            (0..len / HUGE).try_for_each(|page| bench.protect(A + page * HUGE, P, 1))?;
            bench.protect(A, len, 3)
        },
    },
    Case {
        names: ["text of a file, all of it mapped: fork", "fork again", "exit of a child"],
        room: Room::small,
        prepare: |bench, len| {
            bench.text(len)?;
            bench.read(len / P)
        },
    },
    Case {
        names: ["shared memory, all of it mapped: fork", "fork again", "exit of a child"],
        room: Room::small,
        prepare: |bench, len| {
            bench.shared(len)?;
            bench.fill(len / P)
        },
    },
    Case {
        names: ["private memory, MADV_DONTFORK: fork", "fork again", "exit of a child"],
        room: Room::small,
        prepare: |bench, len| {
            bench.anonymous(len)?;
            bench.fill(len / P)?;
            bench.advise(A, len, DONTFORK)
        },
    },
];

/// The table.
pub(crate) fn table(sizes: &Sizes) -> Result<Table, Trouble> {
    let mut rows = Vec::new();
    for case in &CASES {
        let len = sizes.fork_mib << 20;
        rows.extend(run((case.room)(sizes.fork_mib * 9 / 8 + 64), |bench| measured(bench, case, len))?);
    }
    let name = if sizes.fork_mib == 1024 { "1 GiB of memory" } else { "memory" };
    Ok(Table { name, rows })
}

fn measured(bench: &mut Bench<'_>, case: &Case, len: u64) -> Result<Vec<Row>, Trouble> {
    (case.prepare)(bench, len)?;
    let mut children = Vec::new();
    let mut rows = Vec::new();
    for what in &case.names[..2] {
        rows.push(bench.measure(what, 1, |bench| {
            children.push(bench.fork()?);
            Ok(())
        })?);
    }
    // The last one finds every page mapped by two others.
    let first = children.remove(0);
    rows.push(bench.measure(case.names[2], 1, |bench| {
        bench.exit(first);
        Ok(())
    })?);
    Ok(rows)
}
