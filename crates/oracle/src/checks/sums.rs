//! What a run reached, for comparing with what there is.

/// What was reached from the files and lineages.
#[derive(Default)]
pub(crate) struct FileSums {
    /// Files that somebody can find.
    pub(crate) files: u64,
    /// Nodes that the cached pages' indices need.
    pub(crate) cache_nodes: u64,
    /// Attachments in lists.
    pub(crate) listed: u64,
    /// Lineages with members.
    pub(crate) lineages: u64,
}

/// What was reached from the spaces.
#[derive(Default)]
pub(crate) struct SpaceSums {
    /// Spaces that have users.
    pub(crate) spaces: u64,
    /// VMAs.
    pub(crate) vmas: u64,
    /// Nodes of their trees.
    pub(crate) tree_nodes: u64,
    /// Sets of granules that spaces have.
    pub(crate) granules: u64,
    /// Spaces with a page table.
    pub(crate) tables: u64,
    /// Attachments that spaces and VMAs name.
    pub(crate) attachments: u64,
    /// Pages promised to them.
    pub(crate) committed: u64,
    /// Entries that map the page of zeros in the place of a merged page.
    pub(crate) merged_zeros: u64,
}
