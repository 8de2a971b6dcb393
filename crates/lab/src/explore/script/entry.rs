//! What a page-table entry is expected to be: `entry a[0] is rw exclusive`.

use std::fmt;

use freehold::machine::Perms;

/// How an entry and its page stand, in the terms of the copy-on-write table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing is there.
    Empty,
    /// The page of zeros.
    Zero,
    /// A page is mapped.
    Mapped {
        /// How much the entry maps.
        size: Size,
        /// What it allows.
        perms: Perms,
        /// Whose the page is.
        page: PageOf,
    },
    /// The page is swapped out.
    Swapped(Sole),
    /// The page is on its way to another frame.
    Moving(Sole),
}

/// How much an entry maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// A base page.
    Small,
    /// 2 MiB.
    Huge,
}

/// Whether a page has an exclusive owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sole {
    /// EX of the table.
    Exclusive,
    /// S of the table: others may have it.
    Shared,
}

/// What kind of page is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageOf {
    /// An anonymous one.
    Anonymous(Sole),
    /// A file's own.
    File,
    /// One that stands for several equal ones.
    Ksm,
}

const RIGHTS: [(&str, (bool, bool, bool)); 5] = [
    ("none", (false, false, false)),
    ("r", (true, false, false)),
    ("rw", (true, true, false)),
    ("rx", (true, false, true)),
    ("rwx", (true, true, true)),
];

/// Rights by the name they have in scenarios.
pub(super) fn rights(name: &str) -> Option<Perms> {
    let (_, (read, write, execute)) = RIGHTS.into_iter().find(|(known, _)| *known == name)?;
    Some(Perms { read, write, execute })
}

impl Sole {
    pub(super) fn named(name: &str) -> Option<Sole> {
        [Sole::Exclusive, Sole::Shared].into_iter().find(|sole| sole.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Sole::Exclusive => "exclusive",
            Sole::Shared => "shared",
        }
    }
}

impl PageOf {
    pub(super) fn named(name: &str) -> Option<PageOf> {
        match name {
            "file" => Some(PageOf::File),
            "ksm" => Some(PageOf::Ksm),
            _ => Sole::named(name).map(PageOf::Anonymous),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Empty => f.write_str("empty"),
            Standing::Zero => f.write_str("zero"),
            Standing::Swapped(sole) => write!(f, "swapped {}", sole.name()),
            Standing::Moving(sole) => write!(f, "moving {}", sole.name()),
            Standing::Mapped { size, perms, page } => {
                let Perms { read, write, execute } = *perms;
                let same = |known: &&(&str, (bool, bool, bool))| known.1 == (read, write, execute);
                let rights = RIGHTS.iter().find(same).map_or("odd", |known| known.0);
                let size = if *size == Size::Huge { "huge " } else { "" };
                let page = match page {
                    PageOf::Anonymous(sole) => sole.name(),
                    PageOf::File => "file",
                    PageOf::Ksm => "ksm",
                };
                write!(f, "{size}{rights} {page}")
            }
        }
    }
}
