//! Kinds of pages.

use super::start::Start;

/// Which page of what mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Anonymous memory.
    Plain,
    /// Anonymous memory that `mremap` moved: its index is not its page number.
    Moved,
    /// A private copy of a file's page.
    FileCopy,
    /// Anonymous memory that was swapped out and came back: the swap cache has the page, too.
    Returned,
    /// One of the 512 small pages of a table.
    Many,
    /// A page of 2 MiB that one entry maps.
    Huge,
    /// A page of 2 MiB that is mapped page by page.
    ByPages,
}

/// Every kind that has base pages of its own.
pub(super) const SMALL: &[Kind] = &[Kind::Plain, Kind::Moved, Kind::FileCopy, Kind::Returned];
/// Pages of 2 MiB.
pub(super) const LARGE: &[Kind] = &[Kind::Huge, Kind::ByPages];
/// Every kind that is about one page.
pub(super) const ALL: &[Kind] =
    &[Kind::Plain, Kind::Moved, Kind::FileCopy, Kind::Returned, Kind::Huge, Kind::ByPages];
/// A table full of entries.
pub(super) const PAGES: &[Kind] = &[Kind::Many, Kind::ByPages];

/// What a scenario says of a kind.
pub(super) struct Words {
    /// Lines of the head.
    pub(super) head: &'static str,
    /// Makes the region `a`.
    pub(super) map: &'static str,
    /// The page.
    pub(super) page: &'static str,
    /// What its entry is called, if it is large.
    pub(super) size: &'static str,
    /// Makes a region `b` that is equal once both were stored to alike.
    pub(super) twin: &'static str,
    /// Done after its first store.
    pub(super) written: &'static str,
}

impl Kind {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Plain => "anonymous",
            Kind::Moved => "moved",
            Kind::FileCopy => "copy of a file's page",
            Kind::Returned => "back from swap",
            Kind::Many => "512 small pages",
            Kind::Huge => "2 MiB",
            Kind::ByPages => "2 MiB mapped by pages",
        }
    }

    pub(super) fn words(self) -> Words {
        let small = Words {
            head: "",
            map: "",
            page: "a[0]",
            size: "",
            written: "",
            twin: "map b 1 page rw private anon",
        };
        let large = Words {
            head: "machine: 16 MiB\n",
            map: "map a 512 pages rw private anon at 0x40000000\nadvise a hugepage",
            page: "a[5]",
            ..small
        };
        match self {
            Kind::Plain => Words { map: "map a 1 page rw private anon", ..small },
            Kind::Moved => Words {
                head: "place a 1 page\n",
                map: "map o 1 page rw private anon\nwrite o = 9\nremap o to a",
                ..small
            },
            Kind::Returned => Words {
                map: "map a 1 page rw private anon",
                written: "pageout @\nread @ = 1\nwrite @ = 1",
                ..small
            },
            Kind::Many => {
                Words { map: "map a 512 pages rw private anon at 0x40000000\nadvise a nohugepage", ..large }
            }
            Kind::Huge => Words { size: "huge ", ..large },
            Kind::ByPages => Words { written: "protect a[511] r\nprotect a[511] rw", ..large },
            Kind::FileCopy => Words {
                head: "file F 1 page\n",
                map: "map a 1 page rw private of F",
                twin: "map b 1 page rw private of F",
                ..small
            },
        }
    }

    /// Whether a page of this kind can stand so before an event.
    pub(super) fn can_be(self, start: Start) -> bool {
        match start {
            Start::Untouched => matches!(self, Kind::Plain | Kind::Huge),
            Start::Zero => matches!(self, Kind::Plain | Kind::Huge),
            _ => true,
        }
    }
}
