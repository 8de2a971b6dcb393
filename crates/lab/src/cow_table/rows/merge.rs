//! Rows 21 to 27: merging, large pages, devices, and the end.

use super::super::kinds::Kind::{Huge, Plain};
use super::super::kinds::{ALL, PAGES};
use super::super::row::{Case, Row};
use super::super::start::Start;

/// These rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 21,
        entry: "writable or read-only",
        exclusive: "any",
        event: "merging with an equal page, not pinned",
        result: "one page for both, read-only, never exclusive",
        cases: &[
            Case::new(
                ALL,
                Start::Written,
                "
                    $
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
            ),
            Case::new(
                &[Plain],
                Start::Shared,
                "
                    $
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
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 22,
        entry: "merged, read-only",
        exclusive: "no",
        event: "store or read-only pin",
        result: "always a copy, exclusive",
        cases: &[
            Case::new(
                ALL,
                Start::Written,
                "
                    $
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
            ),
            Case::new(
                ALL,
                Start::Written,
                "
                    $
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
            ),
            Case::new(
                &[Plain],
                Start::Written,
                "
                    $
                    write b = 1
                    mergeable @
                    mergeable b
                    ksm scan
                    ksm scan
                    set merged = frame @
                    unmap b
                    write @ = 2
                    expect frame @ != merged",
            ),
        ],
        ..Row::NONE
    },
    Row {
        number: 23,
        entry: "2 MiB, writable",
        exclusive: "yes",
        event: "its entry is split",
        result: "512 entries, each exclusive; no moment without",
        cases: &[
            Case::new(
                &[Huge],
                Start::Written,
                "
                    protect a[511] r
                    entry @ is rw exclusive
                    entry a[0] is rw exclusive
                    entry a[511] is r exclusive
                    expect frame @ == first and copies == before",
            ),
            Case::new(
                &[Huge],
                Start::Shared,
                "
                    protect a[511] none
                    entry @ is r shared
                    as C:
                        entry @ is huge r shared
                        read @ = 1",
            ),
        ],
        left_out: "others: they have no entry of 2 MiB",
    },
    Row {
        number: 24,
        entry: "512 entries, writable or not",
        exclusive: "mixed",
        event: "collapse, nobody else has a reference",
        result: "2 MiB, exclusive, by copying; a page that somebody has a pin on or a reference to: \
            nothing changes",
        cases: &[
            Case::new(
                PAGES,
                Start::Written,
                "
                advise a hugepage
                advise a collapse
                entry @ is huge rw exclusive
                expect frame @ != first
                read @ = 1",
            ),
            Case::new(
                PAGES,
                Start::Shared,
                "
                write a[0] = 7
                advise a hugepage
                advise a collapse
                entry @ is huge rw exclusive
                expect frame @ != first
                write @ = 2
                read a[0] = 7
                as C:
                    expect frame @ == first
                    read @ = 1
                    entry @ is r shared",
            ),
            Case::new(
                PAGES,
                Start::Written,
                "
                pin @ write as p
                advise a hugepage
                advise a collapse fails EAGAIN
                entry @ is rw exclusive
                expect frame @ == first
                dma write p+8 = 7
                read @+8 = 7
                unpin p",
            ),
            Case::new(
                PAGES,
                Start::Written,
                "
                hold @ read as p
                advise a hugepage
                advise a collapse fails EAGAIN
                entry @ is rw exclusive
                expect frame @ == first
                unpin p",
            ),
        ],
        left_out: "others: they are one entry, not 512",
    },
    Row {
        number: 25,
        entry: "device-exclusive",
        exclusive: "as it was",
        event: "load, store, fork or swap-out",
        result: "the page is mapped again first, as it was; then the event's own row",
        cases: &[],
        left_out: "pages that are a device's come with memory hot-plug, which is not there yet",
    },
    Row {
        number: 26,
        entry: "device-private, writable or read-only",
        exclusive: "yes, S",
        event: "fork",
        result: "read-only in both; it cannot be pinned, and comes back to memory first",
        cases: &[],
        left_out: "pages that are a device's come with memory hot-plug, which is not there yet",
    },
    Row {
        number: 27,
        entry: "any",
        exclusive: "any",
        event: "`munmap` or exit",
        result: "the bit goes with the frame; a pin keeps the frame, and its bytes, until it is given back",
        cases: &[
            Case::new(
                ALL,
                Start::Written,
                "
                    unmap a
                    entry @ is empty",
            ),
            Case::new(
                ALL,
                Start::Written,
                "
                    pin @ write as p
                    unmap a
                    entry @ is empty
                    dma write p+8 = 7
                    dma read p = 1
                    dma read p+8 = 7
                    unpin p",
            ),
        ],
        ..Row::NONE
    },
];
