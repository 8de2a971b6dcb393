//! The rows.

use super::kinds::Kind::{self, FileCopy, Moved, Plain};
use super::row::{Case, Row};
use super::start::Start;

/// Every kind that has base pages of its own.
const SMALL: &[Kind] = &[Plain, Moved, FileCopy];

/// The table.
pub const ROWS: &[Row] = &[
    Row {
        number: 1,
        entry: "none",
        exclusive: "-",
        event: "load",
        result: "the zero page, read-only",
        cases: &[Case {
            kinds: &[Plain],
            start: Start::Untouched,
            steps: "
                read @ = 0
                entry @ is zero",
        }],
    },
    Row {
        number: 2,
        entry: "none",
        exclusive: "-",
        event: "store",
        result: "a new frame of zeros, exclusive, writable",
        cases: &[Case {
            kinds: &[Plain],
            start: Start::Untouched,
            steps: "
                write @ = 1
                entry @ is % rw exclusive
                read @+8 = 0
                expect copies == 0",
        }],
    },
    Row {
        number: 3,
        entry: "zero page, read-only",
        exclusive: "no",
        event: "store",
        result: "a new frame of zeros, exclusive, writable",
        cases: &[Case {
            kinds: &[Plain],
            start: Start::Zero,
            steps: "
                write @ = 1
                entry @ is rw exclusive
                read @+8 = 0",
        }],
    },
    Row {
        number: 5,
        entry: "writable",
        exclusive: "yes",
        event: "fork, not pinned",
        result: "read-only and S in both",
        cases: &[Case {
            kinds: SMALL,
            start: Start::Written,
            steps: "
                fork C
                entry @ is % r shared
                expect frame @ == first
                as C:
                    entry @ is % r shared
                    expect frame @ == first
                expect copies == before",
        }],
    },
    Row {
        number: 8,
        entry: "read-only",
        exclusive: "S",
        event: "store, and nobody else has it any more",
        result: "exclusive, writable, not copied",
        cases: &[Case {
            kinds: SMALL,
            start: Start::Last,
            steps: "
                write @ = 2
                entry @ is % rw exclusive
                expect frame @ == first and copies == before",
        }],
    },
    Row {
        number: 9,
        entry: "read-only",
        exclusive: "S",
        event: "store, and others have it",
        result: "a copy, exclusive, writable; the old translation is void before the new entry is set",
        cases: &[Case {
            kinds: SMALL,
            start: Start::Shared,
            steps: "
                write @ = 2
                entry @ is rw exclusive
                expect frame @ != first and copies == before + 1
                as C:
                    entry @ is r shared
                    expect frame @ == first
                    read @ = 1",
        }],
    },
    Row {
        number: 12,
        entry: "writable",
        exclusive: "yes",
        event: "`mprotect` to read-only and back",
        result: "read-only and exclusive in between; writable again without a fault; never a copy",
        cases: &[Case {
            kinds: SMALL,
            start: Start::Written,
            steps: "
                protect a r
                entry @ is % r exclusive
                protect a rw
                entry @ is % rw exclusive
                expect frame @ == first and copies == before",
        }],
    },
    Row {
        number: 13,
        entry: "read-only",
        exclusive: "S",
        event: "`mprotect` to writable",
        result: "stays read-only; its first store is row 8 or 9",
        cases: &[
            Case {
                kinds: SMALL,
                start: Start::Shared,
                steps: "
                    protect a r
                    protect a rw
                    entry @ is % r shared
                    write @ = 2
                    entry @ is rw exclusive
                    expect frame @ != first",
            },
            Case {
                kinds: SMALL,
                start: Start::Last,
                steps: "
                    protect a r
                    protect a rw
                    entry @ is % r shared
                    write @ = 2
                    entry @ is % rw exclusive
                    expect frame @ == first",
            },
        ],
    },
];
