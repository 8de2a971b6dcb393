//! Looking at all objects of a quiet machine: for checkers and reports.

use crate::model::{Attachment, File, FileKind, Lineage, Mappers, Name};
use crate::objects::Objects;
use crate::radix::Visit;
use core::sync::atomic::Ordering::Relaxed;
use frame::{Id, SlabView};
use machine::{Machine, PAGE_SIZE};

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
    /// Merged pages, and candidates.
    pub merge_nodes: u64,
    /// Places that merged pages stand for.
    pub merge_items: u64,
}

/// A file at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileReport {
    /// Where its bytes are.
    pub kind: FileKind,
    /// Whether opening its key finds it.
    pub is_named: bool,
    /// How many use it.
    pub users: u64,
    /// One past its last page.
    pub end: u64,
    /// Cached pages, by its own count.
    pub pages: u64,
    /// Dirty ones among them, by its own count.
    pub dirty: u64,
    /// Whether somebody holds the lock of its cached pages.
    pub is_locked: bool,
}

impl Mappers {
    /// Whether nobody holds the list's lock or waits for it.
    pub fn is_idle(&self) -> bool {
        self.lock.is_idle()
    }
}

impl<'m, M: Machine> Objects<'m, M> {
    /// A file. Nobody changes it meanwhile.
    pub fn file_report(&self, id: Id<File>) -> FileReport {
        let file = self.files.get(id);
        FileReport {
            kind: file.kind(),
            is_named: file.name.get() == Name::Key,
            users: file.users(),
            // RELAXED: nobody changes it.
            end: file.size.raw().load(Relaxed).div_ceil(PAGE_SIZE),
            pages: file.cached_pages(),
            dirty: file.dirty_pages(),
            is_locked: file.cache.is_held(),
        }
    }

    /// How many locks of the registry of files are held.
    pub fn registry_locks_held(&self) -> u64 {
        self.registry.iter().filter(|bucket| bucket.is_locked()).count() as u64
    }

    /// Every slab, with a name.
    pub fn slab_views(&self) -> [(&'static str, &dyn SlabView); 6] {
        [
            ("files", &self.files),
            ("cache nodes", &self.nodes),
            ("attachments", &self.attachments),
            ("lineages", &self.lineages),
            ("merge nodes", &self.ksm.nodes),
            ("merge items", &self.ksm.items),
        ]
    }

    /// How many objects there are: equal before and after, nothing leaked.
    pub fn census(&self) -> Census {
        Census {
            files: self.files.in_use(),
            nodes: self.nodes.in_use(),
            attachments: self.attachments.in_use(),
            lineages: self.lineages.in_use(),
            merge_nodes: self.ksm.nodes.in_use(),
            merge_items: self.ksm.items.in_use(),
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
