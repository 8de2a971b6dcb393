//! Rows 14 to 20: pages that leave memory, or move in it.

use super::super::kinds::{ALL, SMALL};
use super::super::row::{Case, Row};
use super::super::start::Start;

/// These rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 14,
        entry: "writable or read-only",
        exclusive: "yes, S",
        event: "swap-out, not pinned",
        result: "a swap entry that says the same; the page's bit is gone before the entry is there",
        cases: &[
            Case::new(
                ALL,
                Start::Shared,
                "
                evict @
                entry @ is swapped shared
                as C:
                    entry @ is swapped shared
                    read @ = 1
                read @ = 1
                entry @ is r shared
                expect copies == before",
            ),
            Case::new(
                ALL,
                Start::Written,
                "
                pageout @
                entry @ is swapped exclusive
                expect copies == before
                read @ = 1",
            ),
            Case::new(
                ALL,
                Start::ReadOnly,
                "
                pageout @
                entry @ is swapped exclusive
                expect copies == before
                read @ = 1",
            ),
            Case::new(
                SMALL,
                Start::Written,
                "
                hold @ write as p
                pageout @
                entry @ is swapped exclusive
                dma write p+8 = 7
                read @+8 = 7
                unpin p",
            ),
        ],
        left_out: "a page of 2 MiB that somebody refers to: it is not split, and stays (row 15, too: a \
            pinned one stays whole)",
    },
    Row {
        number: 15,
        entry: "any",
        exclusive: "yes",
        event: "migration, swap-out or merging, pinned",
        result: "the old entry is put back as it was; the operation fails, and a slot that was counted is \
            given back",
        cases: &[
            Case::new(
                ALL,
                Start::Written,
                "
                pin @ write as p
                migrate @ fails EBUSY
                entry @ is % rw exclusive
                expect frame @ == first
                unpin p",
            ),
            Case::new(
                ALL,
                Start::ReadOnly,
                "
                pin @ read as p
                migrate @ fails EBUSY
                entry @ is % r exclusive
                expect frame @ == first
                unpin p",
            ),
            Case::new(
                ALL,
                Start::Written,
                "
                pin @ write as p
                evict @ fails EBUSY
                entry @ is % rw exclusive
                expect frame @ == first
                dma write p+8 = 7
                read @+8 = 7
                unpin p",
            ),
            Case::new(
                ALL,
                Start::ReadOnly,
                "
                pin @ read as p
                evict @ fails EBUSY
                entry @ is % r exclusive
                expect frame @ == first
                dma read p = 1
                unpin p",
            ),
            Case::new(
                ALL,
                Start::Written,
                "
                $
                write b = 1
                pin @ write as p
                mergeable @
                mergeable b
                ksm scan
                ksm scan
                entry @ is rw exclusive
                expect frame @ == first
                dma write p+8 = 7
                read @+8 = 7
                read b = 1
                unpin p",
            ),
            Case::new(
                ALL,
                Start::ReadOnly,
                "
                $
                write b = 1
                pin @ read as p
                mergeable @
                mergeable b
                ksm scan
                ksm scan
                entry @ is r exclusive
                expect frame @ == first
                dma read p = 1
                unpin p",
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 16,
        entry: "swap",
        exclusive: "yes",
        event: "fork",
        result: "S in both; the slot has one more entry",
        cases: &[
            Case::new(
                ALL,
                Start::Written,
                "
                pageout @
                fork C
                entry @ is swapped shared
                as C:
                    entry @ is swapped shared
                    write @ = 3
                    entry @ is rw exclusive
                read @ = 1
                write @ = 2
                entry @ is rw exclusive
                as C:
                    read @ = 3",
            ),
            Case::new(
                ALL,
                Start::ReadOnly,
                "
                pageout @
                fork C
                entry @ is swapped shared
                as C:
                    entry @ is swapped shared
                    read @ = 1
                    entry @ is r shared
                read @ = 1
                entry @ is r shared",
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 17,
        entry: "swap",
        exclusive: "yes",
        event: "load or store",
        result: "exclusive, whatever references there are, and never a copy; for a load read-only (row 7 \
            later), for a store writable. Shared only while it is written to a device that wants its \
            bytes stable",
        cases: &[
            Case::new(
                ALL,
                Start::Written,
                "
                pageout @
                read @ = 1
                entry @ is r exclusive
                write @ = 2
                entry @ is rw exclusive
                expect copies == before",
            ),
            Case::new(
                ALL,
                Start::Written,
                "
                pageout @
                write @ = 2
                entry @ is rw exclusive
                expect copies == before",
            ),
            Case::new(
                SMALL,
                Start::ReadOnly,
                "
                hold @ read as p
                pageout @
                read @ = 1
                entry @ is r exclusive
                write @ = 2
                entry @ is rw exclusive
                expect copies == before
                unpin p",
            ),
        ],
        left_out: "the stable device: a moment that one step cannot hold; `swap/c-16-stable-writes` does, \
            in every order",
    },
    Row {
        number: 18,
        entry: "swap",
        exclusive: "S",
        event: "load",
        result: "exclusive if nobody else has the slot or the page; else read-only and S",
        cases: &[
            Case::new(
                ALL,
                Start::Written,
                "
                pageout @
                fork C
                read @ = 1
                entry @ is r shared
                set back = frame @
                as C:
                    entry @ is swapped shared
                    read @ = 1
                    entry @ is r shared
                    expect frame @ == back
                expect copies == before",
            ),
            Case::new(
                ALL,
                Start::Written,
                "
                pageout @
                fork C
                as C:
                    exit
                wait C
                entry @ is swapped shared
                read @ = 1
                entry @ is r exclusive
                expect copies == before",
            ),
            Case::new(
                SMALL,
                Start::Written,
                "
                hold @ read as p
                pageout @
                fork C
                as C:
                    exit
                wait C
                read @ = 1
                entry @ is r shared
                unpin p",
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 19,
        entry: "writable, read-only and exclusive, or shared",
        exclusive: "yes, yes, S",
        event: "migration",
        result: "a migration entry that says so; then a new frame, in the same row",
        cases: &[
            Case::new(
                ALL,
                Start::Written,
                "
                migrate @
                entry @ is % rw exclusive
                expect frame @ != first and copies == before
                read @ = 1",
            ),
            Case::new(
                ALL,
                Start::ReadOnly,
                "
                migrate @
                entry @ is % r exclusive
                expect frame @ != first and copies == before
                read @ = 1",
            ),
            Case::new(
                ALL,
                Start::Shared,
                "
                migrate @
                entry @ is % r shared
                expect frame @ != first and copies == before
                set now = frame @
                as C:
                    entry @ is % r shared
                    expect frame @ == now
                    read @ = 1",
            ),
            Case::moving(
                ALL,
                Start::Written,
                "
                entry @ is moving exclusive",
                "
                entry @ is % rw exclusive
                expect frame @ == first and copies == before",
            ),
            Case::moving(
                ALL,
                Start::ReadOnly,
                "
                entry @ is moving exclusive",
                "
                entry @ is % r exclusive
                expect frame @ == first and copies == before",
            ),
            Case::moving(
                ALL,
                Start::Shared,
                "
                entry @ is moving shared
                as C:
                    entry @ is moving shared",
                "
                entry @ is % r shared
                as C:
                    entry @ is % r shared
                    expect frame @ == first
                expect copies == before",
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 20,
        entry: "migration, writable or read-only and exclusive",
        exclusive: "yes",
        event: "fork",
        result: "S in both, and so is what comes of it",
        cases: &[
            Case::moving(
                ALL,
                Start::Written,
                "
                fork C
                entry @ is moving shared
                as C:
                    entry @ is moving shared",
                "
                entry @ is % r shared
                expect frame @ == first and copies == before
                write @ = 2
                as C:
                    entry @ is % r shared
                    expect frame @ == first
                    read @ = 1",
            ),
            Case::moving(
                ALL,
                Start::ReadOnly,
                "
                fork C
                entry @ is moving shared
                as C:
                    entry @ is moving shared",
                "
                entry @ is % r shared
                expect frame @ == first and copies == before
                write @ = 2
                as C:
                    entry @ is % r shared
                    expect frame @ == first
                    read @ = 1",
            ),
        ],
        ..Row::NONE
    },
];
