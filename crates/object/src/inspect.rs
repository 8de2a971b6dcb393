//! Looking at all objects of a quiet machine: for checkers and reports.

use crate::Objects;
use crate::attach::{Attachment, Mappers};
use crate::file::File;
use crate::lineage::Lineage;
use crate::radix::Visit;
use frame::Id;
use machine::Machine;

/// How many objects there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Files, open or cached.
    pub files: u64,
    /// Nodes of the files' indices.
    pub nodes: u64,
    /// Attachments, memberships of lineages among them.
    pub attachments: u64,
    /// Lineages.
    pub lineages: u64,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// How many objects there are: equal before and after, nothing leaked.
    pub fn census(&self) -> Census {
        Census {
            files: self.files.in_use(),
            nodes: self.nodes.in_use(),
            attachments: self.attachments.in_use(),
            lineages: self.lineages.in_use(),
        }
    }

    /// Every file.
    pub fn file_ids(&self) -> impl Iterator<Item = Id<File>> + '_ {
        self.files.ids()
    }

    /// Every lineage.
    pub fn lineage_ids(&self) -> impl Iterator<Item = Id<Lineage>> + '_ {
        self.lineages.ids()
    }

    /// Every attachment, of files and of lineages; those that are kept in reserve have no mapping.
    pub fn attachment_ids(&self) -> impl Iterator<Item = Id<Attachment>> + '_ {
        self.attachments.ids()
    }

    /// The attachments of a list, in order.
    pub fn attachments_of<'a>(&'a self, list: &'a Mappers) -> impl Iterator<Item = &'m Attachment> + 'a {
        self.listed(list)
    }

    /// Every cached page of a file, ascending, with its marks.
    pub fn for_each_cached(&self, file: Id<File>, visit: &mut impl FnMut(Visit)) {
        self.files.get(file).tree.survey(&self.nodes, visit);
    }
}
