//! Walks from the root, and reading without a lock.

use crate::Counted;
use crate::node::{Life, Node, header, span};
use frame::{Descriptor, Frames};
use machine::entry::Kind;
use machine::{Cx, Entry, EntryFormat, KernelFrame, Level, Machine, Perms, Pfn, Plant, Vpn, VpnRange, level};

/// The way to one address space's tables: all operations on entries start here. A handle, made by
/// [`crate::Tables::walker`].
pub struct Walker<'a, 'm, M: Machine> {
    pub(crate) table: Counted<'m>,
    pub(crate) frames: &'a Frames<'m, M>,
}

impl<M: Machine> Clone for Walker<'_, '_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine> Copy for Walker<'_, '_, M> {}

/// What a walk without a lock saw: true at one moment of the walk. Acting on it needs the leaf's lock and a
/// second look (LR3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The last entry on the way.
    pub entry: Entry,
    /// The level it was found at: above [`Level::LEAF`] it is a 2 MiB leaf, or empty for want of a table.
    pub level: Level,
}

impl Seen {
    /// The first frame of the page that is mapped; `None` for an entry that only keeps the place of one of
    /// 2 MiB, while it is made, moved or collapsed: what it names is no page.
    pub fn leaf<M: Machine>(&self) -> Option<Pfn> {
        let Kind::Leaf(first) = M::Entry::kind(self.entry, self.level) else { return None };
        let attrs = M::Entry::attrs(self.entry);
        let keeps_place = self.level > Level::LEAF && attrs.special && attrs.perms == Perms::NONE;
        (!keeps_place).then_some(first)
    }
}

/// Where a walk towards a level ended.
pub(crate) enum Place<'m> {
    /// At a table of the level.
    Reached(Node<'m>),
    /// Above it, at an entry that leads to no table.
    Stopped(Node<'m>, Entry),
}

impl<'m> Place<'m> {
    /// The table it ended at.
    pub(crate) fn node(&self) -> Node<'m> {
        let (Place::Reached(node) | Place::Stopped(node, _)) = self;
        *node
    }

    /// What is found there of a page.
    #[inline]
    pub(crate) fn seen<M: Machine, const L: u8>(self, cx: &Cx<'m, M, L>, page: Vpn) -> Seen {
        match self {
            Place::Reached(node) => Seen { entry: node.read(cx, page), level: node.level },
            Place::Stopped(node, entry) if entry != Entry::EMPTY && cx.planted(Plant::WalkerKeepsPlace) => {
                let again = node.frame_again(cx, page);
                let leaf = |frame| M::Entry::leaf(frame, M::Entry::attrs(entry), node.level);
                Seen { entry: again.map_or(Entry::EMPTY, leaf), level: node.level }
            }
            Place::Stopped(node, entry) => Seen { entry, level: node.level },
        }
    }
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// The address space's translations.
    pub fn table(&self) -> Counted<'m> {
        self.table
    }

    /// All pages a root spans.
    pub(crate) fn whole() -> VpnRange {
        VpnRange::sized(Vpn(0), 1 << M::Entry::ROOT_SPAN_SHIFT)
    }

    /// What is mapped at a page, without a lock. A value, never a pointer into a table (LR2).
    ///
    /// A walk of its own ([`Walker::walk`]). Whoever follows the value to something that can be freed does so
    /// inside one walk.
    pub fn peek(&self, cx: &mut Cx<'m, M, { level::EPOCH }>, page: Vpn) -> Seen {
        let walk = self.walk(cx);
        if walk.planted(Plant::GuardEndsEarly) {
            let place = self.descend(&walk, page, Level::LEAF);
            drop(walk);
            return place.seen(cx, page);
        }
        let seen = walk.see(page);
        if seen.level > Level::LEAF && walk.planted(Plant::GuardLeaked) {
            core::mem::forget(walk);
        }
        seen
    }

    /// Walks towards the table of level `to` that a page belongs to. Each level is read once (LR1). Inside
    /// an epoch.
    pub(crate) fn descend(&self, cx: &Cx<'m, M, { level::EPOCH }>, page: Vpn, to: Level) -> Place<'m> {
        debug_assert!(page.0 >> M::Entry::ROOT_SPAN_SHIFT == 0, "not a page of user space");
        let mut node = self.node(cx, self.table.root(), Level::ROOT);
        while node.level > to {
            let entry = node.read(cx, page);
            match M::Entry::kind(entry, node.level) {
                Kind::Table(frame) => {
                    let mut frame = frame;
                    if cx.planted(Plant::EntryReadTwice) {
                        let again = node.frame_again(cx, page);
                        debug_assert!(again.is_some(), "a link that leads nowhere is followed");
                        frame = KernelFrame(again.unwrap_or(frame.0));
                    }
                    node = self.node(cx, frame, Level(node.level.0 - 1));
                }
                _ => return Place::Stopped(node, entry),
            }
        }
        Place::Reached(node)
    }

    /// The first page at or after `page` whose table of level `of` is wanted, or where a leaf stands in the
    /// table's place and leaves are wanted. Absent upper entries are skipped in one step each. Inside an
    /// epoch.
    pub(crate) fn scan(
        &self,
        cx: &Cx<'m, M, { level::EPOCH }>,
        mut page: Vpn,
        end: Vpn,
        of: Level,
        want: Want,
    ) -> Option<Vpn> {
        let above = Level(of.0 + 1);
        while page < end {
            let parent = match self.descend(cx, page, above) {
                Place::Reached(parent) => parent,
                Place::Stopped(node, entry) => {
                    debug_assert!(entry == Entry::EMPTY, "no leaf is larger than 2 MiB");
                    page = span(page, node.level).end;
                    continue;
                }
            };
            let stop = end.min(parent.span(page).end);
            // A hint, as the counts of the tables below.
            if want == Want::Empty && header(self.descriptor(parent.frame)).get().used == 0 {
                page = stop;
                continue;
            }
            while page < stop {
                let wanted = match M::Entry::kind(parent.read(cx, page), above) {
                    Kind::Empty => false,
                    Kind::Table(frame) => {
                        let used = header(self.descriptor(frame)).get().used;
                        let skipped = used == 0 && want == Want::Any && cx.planted(Plant::EmptyLeafSkipped);
                        want.table(used) && !skipped
                    }
                    Kind::Leaf(_) | Kind::Absent(_) => want == Want::Any,
                };
                if wanted {
                    return Some(page);
                }
                page = span(page, above).end;
            }
        }
        None
    }

    pub(crate) fn node<const L: u8>(&self, cx: &Cx<'m, M, L>, frame: KernelFrame, level: Level) -> Node<'m> {
        Node::new(cx.machine(), frame, level)
    }

    pub(crate) fn descriptor(&self, frame: KernelFrame) -> &'m Descriptor {
        self.frames.descriptor(frame.0)
    }

    /// Whether a locked table is still part of the tree.
    pub(crate) fn is_linked(descriptor: &Descriptor) -> bool {
        header(descriptor).get().life == Life::Linked
    }
}

/// Which tables a scan looks for. Counts are read without the lock: a hint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// All of them, and leaves in the place of a table.
    Any,
    /// Those without.
    Empty,
}

impl Want {
    fn table(self, used: u16) -> bool {
        self == Want::Any || used == 0
    }
}
