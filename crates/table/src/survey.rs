//! Looking at everything in a page table: for checkers of a quiet machine.

use crate::node::{Header, Node, header};
use crate::walker::{Seen, Walker};
use machine::entry::Kind;
use machine::lock::Spin;
use machine::{Entry, EntryFormat, KernelFrame, Level, Machine, Vpn, cells};

/// One thing a survey meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// A table, before what is in it.
    Table {
        /// Its frame.
        frame: KernelFrame,
        /// Its level.
        level: Level,
        /// The first page it spans.
        first: Vpn,
        /// What its descriptor says.
        header: Header,
        /// How many of its entries are not empty.
        used: u64,
        /// Whether somebody holds its lock.
        lock: Lock,
    },
    /// An entry that is neither empty nor a link to a table.
    Entry {
        /// The first page it spans.
        page: Vpn,
        /// Its level.
        level: Level,
        /// The entry.
        entry: Entry,
    },
}

/// The state of a table's lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Nobody holds it.
    Free,
    /// Somebody does.
    Held,
}

impl<'m, M: Machine> Walker<'_, 'm, M> {
    /// Visits every table and every entry, in the order of addresses. Nobody changes the tables meanwhile.
    pub fn survey(&self, machine: &'m M, visit: &mut impl FnMut(Sight)) {
        self.survey_node(machine, Node::new(machine, self.table.root(), Level::ROOT), Vpn(0), visit);
    }

    /// What is mapped at a page. Nobody changes the tables meanwhile.
    pub fn quiet_peek(&self, machine: &'m M, page: Vpn) -> Seen {
        let mut node = Node::new(machine, self.table.root(), Level::ROOT);
        loop {
            let entry = node.quiet_entry(page);
            match M::Entry::kind(entry, node.level) {
                Kind::Table(child) => node = Node::new(machine, child, Level(node.level.0 - 1)),
                _ => return Seen { entry, level: node.level },
            }
        }
    }

    /// The table whose entries map a page, if there is one. Nobody changes the tables meanwhile.
    pub fn quiet_leaf_table(&self, machine: &'m M, page: Vpn) -> Option<KernelFrame> {
        let mut node = Node::new(machine, self.table.root(), Level::ROOT);
        while node.level > Level::LEAF {
            let Kind::Table(child) = M::Entry::kind(node.quiet_entry(page), node.level) else { return None };
            node = Node::new(machine, child, Level(node.level.0 - 1));
        }
        Some(node.frame)
    }

    /// How many tables there are by counting them.
    pub fn count_tables(&self, machine: &'m M) -> u64 {
        let mut tables = 0;
        self.survey(machine, &mut |sight| tables += u64::from(matches!(sight, Sight::Table { .. })));
        tables
    }

    fn survey_node(&self, machine: &'m M, node: Node<'m>, first: Vpn, visit: &mut impl FnMut(Sight)) {
        let (frame, level) = (node.frame, node.level);
        let descriptor = self.descriptor(frame);
        let used = node.quiet().filter(|&entry| entry != Entry::EMPTY).count() as u64;
        let lock = &cells::cast_words::<Spin<0>>(core::slice::from_ref(descriptor.link_word()))[0];
        let lock = if lock.is_held() { Lock::Held } else { Lock::Free };
        visit(Sight::Table { frame, level, first, header: header(descriptor).get(), used, lock });
        for (i, entry) in node.quiet().enumerate() {
            let page = first + ((i as u64) << level.span_shift());
            match M::Entry::kind(entry, level) {
                Kind::Empty => {}
                Kind::Table(child) => {
                    let child = Node::new(machine, child, Level(level.0 - 1));
                    self.survey_node(machine, child, page, visit);
                }
                Kind::Leaf(_) | Kind::Absent(_) => visit(Sight::Entry { page, level, entry }),
            }
        }
    }
}
