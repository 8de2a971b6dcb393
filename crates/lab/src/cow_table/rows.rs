//! The rows.

use super::kinds::Kind::{self, ByPages, FileCopy, Huge, Moved, Plain};
use super::row::{Case, Row};
use super::start::Start;

/// Every kind that has base pages of its own.
const SMALL: &[Kind] = &[Plain, Moved, FileCopy];
/// Every kind.
const ALL: &[Kind] = &[Plain, Moved, FileCopy, Huge, ByPages];

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
            kinds: &[Plain, Huge],
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
        number: 4,
        entry: "zero page, read-only",
        exclusive: "no",
        event: "read-only pin",
        result: "for long: a new frame, exclusive, read-only; shortly: the zero page, not counted",
        cases: &[
            Case {
                kinds: &[Plain],
                start: Start::Zero,
                steps: "
                    pin @ read long as p
                    entry @ is r exclusive
                    write @ = 2
                    expect copies == before
                    dma read p = 2
                    unpin p",
            },
            Case {
                kinds: &[Plain],
                start: Start::Zero,
                steps: "
                    pin @ read as p
                    entry @ is zero
                    dma read p = 0
                    unpin p",
            },
        ],
    },
    Row {
        number: 5,
        entry: "writable",
        exclusive: "yes",
        event: "fork, not pinned",
        result: "read-only and S in both",
        cases: &[Case {
            kinds: ALL,
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
        number: 6,
        entry: "writable or read-only",
        exclusive: "yes",
        event: "fork, pinned",
        result: "the parent's entry is as it was; the child gets a copy, exclusive",
        cases: &[
            Case {
                kinds: SMALL,
                start: Start::Written,
                steps: "
                    pin @ write as p
                    fork C
                    entry @ is rw exclusive
                    expect frame @ == first and copies == before + 1
                    as C:
                        entry @ is rw exclusive
                        expect frame @ != first
                        read @ = 1
                        write @ = 3
                    dma write p+8 = 7
                    read @+8 = 7
                    unpin p",
            },
            Case {
                kinds: SMALL,
                start: Start::ReadOnly,
                steps: "
                    pin @ read as p
                    fork C
                    entry @ is r exclusive
                    expect frame @ == first and copies == before + 1
                    as C:
                        expect frame @ != first
                        read @ = 1
                    unpin p",
            },
            Case {
                kinds: SMALL,
                start: Start::Written,
                steps: "
                    hold @ write as p
                    fork C
                    entry @ is r shared
                    expect copies == before
                    unpin p",
            },
        ],
    },
    Row {
        number: 7,
        entry: "read-only",
        exclusive: "yes",
        event: "store",
        result: "writable, not copied, whatever references there are",
        cases: &[Case {
            kinds: ALL,
            start: Start::ReadOnly,
            steps: "
                    hold @ read as p
                    write @ = 2
                    entry @ is % rw exclusive
                    expect frame @ == first and copies == before
                    unpin p",
        }],
    },
    Row {
        number: 8,
        entry: "read-only",
        exclusive: "S",
        event: "store, and nobody else has it any more (2 MiB: row 9, amended)",
        result: "exclusive, writable, not copied",
        cases: &[Case {
            kinds: ALL,
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
            kinds: ALL,
            start: Start::Shared,
            steps: "
                write @ = 2
                entry @ is rw exclusive
                expect frame @ != first and copies == before + 1
                as C:
                    entry @ is % r shared
                    expect frame @ == first
                    read @ = 1",
        }],
    },
    Row {
        number: 10,
        entry: "read-only",
        exclusive: "S",
        event: "read-only pin",
        result: "made exclusive first, as row 8 or 9, and stays read-only; then pinned",
        cases: &[
            Case {
                kinds: ALL,
                start: Start::Shared,
                steps: "
                    pin @ read as p
                    entry @ is r exclusive
                    expect frame @ != first and copies == before + 1
                    write @ = 2
                    expect copies == before + 1
                    dma read p = 2
                    unpin p
                    as C:
                        read @ = 1",
            },
            Case {
                kinds: ALL,
                start: Start::Last,
                steps: "
                    pin @ read as p
                    entry @ is % r exclusive
                    expect frame @ == first and copies == before
                    unpin p",
            },
        ],
    },
    Row {
        number: 11,
        entry: "read-only",
        exclusive: "yes",
        event: "read-only pin",
        result: "pinned as it is, without a lock",
        cases: &[Case {
            kinds: ALL,
            start: Start::ReadOnly,
            steps: "
                    pin @ read as p
                    entry @ is % r exclusive
                    expect frame @ == first and copies == before
                    write @ = 2
                    dma read p = 2
                    unpin p",
        }],
    },
    Row {
        number: 12,
        entry: "writable",
        exclusive: "yes",
        event: "`mprotect` to read-only and back",
        result: "read-only and exclusive in between; writable again without a fault; never a copy",
        cases: &[Case {
            kinds: ALL,
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
                kinds: ALL,
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
                kinds: ALL,
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
    Row {
        number: 15,
        entry: "any",
        exclusive: "yes",
        event: "migration, swap-out or merging, pinned",
        result: "the old entry is put back as it was; the operation fails",
        cases: &[
            Case {
                kinds: SMALL,
                start: Start::Written,
                steps: "
                    pin @ write as p
                    migrate a fails EBUSY
                    entry @ is rw exclusive
                    expect frame @ == first
                    unpin p",
            },
            Case {
                kinds: SMALL,
                start: Start::ReadOnly,
                steps: "
                    pin @ read as p
                    migrate a fails EBUSY
                    entry @ is r exclusive
                    expect frame @ == first
                    unpin p",
            },
        ],
    },
    Row {
        number: 19,
        entry: "writable, read-only and exclusive, or shared",
        exclusive: "yes, yes, S",
        event: "migration",
        result: "a new frame, in the same row",
        cases: &[
            Case {
                kinds: SMALL,
                start: Start::Written,
                steps: "
                    migrate a
                    entry @ is rw exclusive
                    expect frame @ != first
                    read @ = 1",
            },
            Case {
                kinds: SMALL,
                start: Start::ReadOnly,
                steps: "
                    migrate a
                    entry @ is r exclusive
                    expect frame @ != first
                    read @ = 1",
            },
            Case {
                kinds: SMALL,
                start: Start::Shared,
                steps: "
                    migrate a
                    entry @ is r shared
                    expect frame @ != first
                    set now = frame @
                    as C:
                        entry @ is r shared
                        expect frame @ == now
                        read @ = 1",
            },
        ],
    },
    Row {
        number: 21,
        entry: "writable or read-only",
        exclusive: "any",
        event: "merging with an equal page, not pinned",
        result: "one page for both, read-only, never exclusive",
        cases: &[
            Case {
                kinds: &[Plain, Moved],
                start: Start::Written,
                steps: "
                    map b 1 page rw private anon
                    write b = 1
                    mergeable @
                    mergeable b
                    ksm scan
                    ksm scan
                    entry @ is r ksm
                    entry b is r ksm
                    expect frame @ == frame b
                    read @ = 1
                    read b = 1",
            },
            Case {
                kinds: &[Plain],
                start: Start::Shared,
                steps: "
                    map b 1 page rw private anon
                    write b = 1
                    mergeable @
                    mergeable b
                    ksm scan
                    ksm scan
                    entry b is r ksm
                    read @ = 1
                    read b = 1
                    as C:
                        read @ = 1",
            },
        ],
    },
    Row {
        number: 22,
        entry: "merged, read-only",
        exclusive: "no",
        event: "store or read-only pin",
        result: "always a copy, exclusive",
        cases: &[
            Case {
                kinds: &[Plain, Moved],
                start: Start::Written,
                steps: "
                    map b 1 page rw private anon
                    write b = 1
                    mergeable @
                    mergeable b
                    ksm scan
                    ksm scan
                    set merged = frame @
                    write @ = 2
                    entry @ is rw exclusive
                    expect frame @ != merged
                    read b = 1",
            },
            Case {
                kinds: &[Plain, Moved],
                start: Start::Written,
                steps: "
                    map b 1 page rw private anon
                    write b = 1
                    mergeable @
                    mergeable b
                    ksm scan
                    ksm scan
                    set merged = frame @
                    pin @ read as p
                    entry @ is r exclusive
                    expect frame @ != merged
                    dma read p = 1
                    unpin p
                    read b = 1",
            },
            Case {
                kinds: &[Plain],
                start: Start::Written,
                steps: "
                    map b 1 page rw private anon
                    write b = 1
                    mergeable @
                    mergeable b
                    ksm scan
                    ksm scan
                    set merged = frame @
                    unmap b
                    write @ = 2
                    expect frame @ != merged",
            },
        ],
    },
    Row {
        number: 23,
        entry: "2 MiB, writable",
        exclusive: "yes",
        event: "its entry is split",
        result: "512 entries, each exclusive; no moment without",
        cases: &[
            Case {
                kinds: &[Huge],
                start: Start::Written,
                steps: "
                    protect a[511] r
                    entry @ is rw exclusive
                    entry a[0] is rw exclusive
                    entry a[511] is r exclusive
                    expect frame @ == first and copies == before",
            },
            Case {
                kinds: &[Huge],
                start: Start::Shared,
                steps: "
                    protect a[511] none
                    entry @ is r shared
                    as C:
                        entry @ is huge r shared
                        read @ = 1",
            },
        ],
    },
    Row {
        number: 27,
        entry: "any",
        exclusive: "any",
        event: "`munmap` or exit",
        result: "the bit goes with the frame; a pin keeps the frame, and its bytes, until it is given back",
        cases: &[
            Case {
                kinds: ALL,
                start: Start::Written,
                steps: "
                    unmap a
                    entry @ is empty",
            },
            Case {
                kinds: ALL,
                start: Start::Written,
                steps: "
                    pin @ write as p
                    unmap a
                    entry @ is empty
                    dma write p+8 = 7
                    dma read p = 1
                    dma read p+8 = 7
                    unpin p",
            },
        ],
    },
];
