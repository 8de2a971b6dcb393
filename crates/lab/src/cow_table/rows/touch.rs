//! Rows 1 to 13: touching a page, fork, pins, rights.

use super::super::kinds::Kind::{Huge, Plain};
use super::super::kinds::{ALL, LARGE, SMALL};
use super::super::row::{Case, Row};
use super::super::start::Start;

/// These rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 1,
        entry: "none",
        exclusive: "-",
        event: "load",
        result: "the zero page, read-only",
        cases: &[Case::new(
            &[Plain, Huge],
            Start::Untouched,
            "
                read @ = 0
                entry @ is zero",
        )],
        left_out: "others (and rows 2 to 4): memory of files starts as the file's pages, and the other \
            kinds have a page from the start. There is no page of zeros of 2 MiB: a load there \
            makes room for small pages",
    },
    Row {
        number: 2,
        entry: "none",
        exclusive: "-",
        event: "store",
        result: "a new frame of zeros, exclusive, writable",
        cases: &[Case::new(
            &[Plain, Huge],
            Start::Untouched,
            "
                write @ = 1
                entry @ is % rw exclusive
                read @+8 = 0
                expect copies == 0",
        )],
        ..Row::NONE
    },
    Row {
        number: 3,
        entry: "zero page, read-only",
        exclusive: "no",
        event: "store",
        result: "a new frame of zeros, exclusive, writable",
        cases: &[Case::new(
            &[Plain, Huge],
            Start::Zero,
            "
                write @ = 1
                entry @ is rw exclusive
                read @+8 = 0",
        )],
        ..Row::NONE
    },
    Row {
        number: 4,
        entry: "zero page, read-only",
        exclusive: "no",
        event: "read-only pin",
        result: "for long: a new frame, exclusive, read-only; shortly: the zero page, not counted",
        cases: &[
            Case::new(
                &[Plain, Huge],
                Start::Zero,
                "
                    pin @ read long as p
                    entry @ is r exclusive
                    write @ = 2
                    expect copies == before
                    dma read p = 2
                    unpin p",
            ),
            Case::new(
                &[Plain, Huge],
                Start::Zero,
                "
                    pin @ read as p
                    entry @ is zero
                    dma read p = 0
                    unpin p",
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 5,
        entry: "writable",
        exclusive: "yes",
        event: "fork, not pinned",
        result: "read-only and S in both",
        cases: &[Case::new(
            ALL,
            Start::Written,
            "
                fork C
                entry @ is % r shared
                expect frame @ == first
                as C:
                    entry @ is % r shared
                    expect frame @ == first
                expect copies == before",
        )],
        ..Row::NONE
    },
    Row {
        number: 6,
        entry: "writable or read-only",
        exclusive: "yes",
        event: "fork, pinned",
        result: "the parent's entry is as it was, but for its size; the child gets a copy, exclusive",
        cases: &[
            Case::new(
                SMALL,
                Start::Written,
                "
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
            ),
            Case::new(
                SMALL,
                Start::ReadOnly,
                "
                pin @ read as p
                fork C
                entry @ is r exclusive
                expect frame @ == first and copies == before + 1
                as C:
                    expect frame @ != first
                    read @ = 1
                unpin p",
            ),
            Case::new(
                LARGE,
                Start::Written,
                "
                pin @ write as p
                fork C
                entry @ is rw exclusive
                entry a[100] is rw exclusive
                expect frame @ == first and copies == before + 512
                as C:
                    entry @ is rw exclusive
                    expect frame @ != first
                    read @ = 1
                    write @ = 3
                dma write p+8 = 7
                read @+8 = 7
                unpin p",
            ),
            Case::new(
                LARGE,
                Start::ReadOnly,
                "
                pin @ read as p
                fork C
                entry @ is r exclusive
                expect frame @ == first
                as C:
                    expect frame @ != first
                    read @ = 1
                unpin p",
            ),
            Case::new(
                ALL,
                Start::Written,
                "
                hold @ write as p
                fork C
                entry @ is % r shared
                expect copies == before
                unpin p",
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 7,
        entry: "read-only",
        exclusive: "yes",
        event: "store",
        result: "writable, not copied, whatever references there are",
        cases: &[Case::new(
            ALL,
            Start::ReadOnly,
            "
                    hold @ read as p
                    write @ = 2
                    entry @ is % rw exclusive
                    expect frame @ == first and copies == before
                    unpin p",
        )],
        ..Row::NONE
    },
    Row {
        number: 8,
        entry: "read-only",
        exclusive: "S",
        event: "store, and nobody else has it any more (2 MiB: row 9, amended)",
        result: "exclusive, writable, not copied",
        cases: &[Case::new(
            ALL,
            Start::Last,
            "
                write @ = 2
                entry @ is % rw exclusive
                expect frame @ == first and copies == before",
        )],
        ..Row::NONE
    },
    Row {
        number: 9,
        entry: "read-only",
        exclusive: "S",
        event: "store, and others have it",
        result: "a copy, exclusive, writable; the old translation is void before the new entry is set",
        cases: &[Case::new(
            ALL,
            Start::Shared,
            "
                write @ = 2
                entry @ is rw exclusive
                expect frame @ != first and copies == before + 1
                as C:
                    entry @ is % r shared
                    expect frame @ == first
                    read @ = 1",
        )],
        ..Row::NONE
    },
    Row {
        number: 10,
        entry: "read-only",
        exclusive: "S",
        event: "read-only pin",
        result: "made exclusive first, as row 8 or 9, and stays read-only; then pinned",
        cases: &[
            Case::new(
                ALL,
                Start::Shared,
                "
                    pin @ read as p
                    entry @ is r exclusive
                    expect frame @ != first and copies == before + 1
                    write @ = 2
                    expect copies == before + 1
                    dma read p = 2
                    unpin p
                    as C:
                        read @ = 1",
            ),
            Case::new(
                ALL,
                Start::Last,
                "
                    pin @ read as p
                    entry @ is % r exclusive
                    expect frame @ == first and copies == before
                    unpin p",
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 11,
        entry: "read-only",
        exclusive: "yes",
        event: "read-only pin",
        result: "pinned as it is, without a lock",
        cases: &[Case::new(
            ALL,
            Start::ReadOnly,
            "
                    pin @ read as p
                    entry @ is % r exclusive
                    expect frame @ == first and copies == before
                    write @ = 2
                    dma read p = 2
                    unpin p",
        )],
        ..Row::NONE
    },
    Row {
        number: 12,
        entry: "writable",
        exclusive: "yes",
        event: "`mprotect` to read-only and back",
        result: "read-only and exclusive in between; writable again without a fault; never a copy",
        cases: &[Case::new(
            ALL,
            Start::Written,
            "
                protect a r
                entry @ is % r exclusive
                protect a rw
                entry @ is % rw exclusive
                expect frame @ == first and copies == before",
        )],
        ..Row::NONE
    },
    Row {
        number: 13,
        entry: "read-only",
        exclusive: "S",
        event: "`mprotect` to writable",
        result: "stays read-only; its first store is row 8 or 9",
        cases: &[
            Case::new(
                ALL,
                Start::Shared,
                "
                    protect a r
                    protect a rw
                    entry @ is % r shared
                    write @ = 2
                    entry @ is rw exclusive
                    expect frame @ != first",
            ),
            Case::new(
                ALL,
                Start::Last,
                "
                    protect a r
                    protect a rw
                    entry @ is % r shared
                    write @ = 2
                    entry @ is % rw exclusive
                    expect frame @ == first",
            ),
        ],
        ..Row::NONE
    },
];
