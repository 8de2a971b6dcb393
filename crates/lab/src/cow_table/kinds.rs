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
}

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
}

impl Kind {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Plain => "anonymous",
            Kind::Moved => "moved",
            Kind::FileCopy => "copy of a file's page",
        }
    }

    pub(super) fn words(self) -> Words {
        let small = Words { head: "", map: "", page: "a[0]", size: "" };
        match self {
            Kind::Plain => Words { map: "map a 1 page rw private anon", ..small },
            Kind::Moved => Words {
                head: "place a 1 page\n",
                map: "map o 1 page rw private anon\nwrite o = 9\nremap o to a",
                ..small
            },
            Kind::FileCopy => Words { head: "file F 1 page\n", map: "map a 1 page rw private of F", ..small },
        }
    }

    /// Whether a page of this kind can stand so before an event.
    pub(super) fn can_be(self, start: Start) -> bool {
        self == Kind::Plain || !matches!(start, Start::Untouched | Start::Zero)
    }
}
