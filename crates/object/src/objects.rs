//! All objects of a machine.

use crate::cow::{Cow, Exclusive};
use crate::ksm_model::{Ksm, KsmSlabs};
use crate::model::{Attachment, BUCKETS, Bucket, File, Lineage};
use crate::radix::Nodes;
use crate::swap::Swap;
use frame::{Frames, Request, Slab, State};
use machine::{Boot, Cx, Field, Machine, Order, PageOp, Pfn, Shortage, UserFrame, level};
use table::Tables;

/// What [`Objects`] needs of boot memory: made before the frame allocator takes the rest of it.
pub struct Slabs<'m, M: Machine> {
    files: Slab<'m, M, File>,
    nodes: Nodes<'m, M>,
    attachments: Slab<'m, M, Attachment>,
    lineages: Slab<'m, M, Lineage>,
    registry: &'m [Bucket],
    hand: &'m Field<u64>,
    ksm: KsmSlabs<'m, M>,
    cow: &'static dyn Cow,
    swap: Swap<'m>,
}

impl<'m, M: Machine> Slabs<'m, M> {
    /// Empty ones.
    pub fn new(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        Ok(Slabs {
            files: Slab::new(boot)?,
            nodes: Slab::new(boot)?,
            attachments: Slab::new(boot)?,
            lineages: Slab::new(boot)?,
            registry: boot.array(BUCKETS)?,
            hand: &boot.array(1)?[0],
            ksm: KsmSlabs::new(boot)?,
            cow: &Exclusive,
            swap: Swap::new(boot)?,
        })
    }

    /// The same under another rule of copy-on-write.
    pub fn with_cow(self, cow: &'static dyn Cow) -> Self {
        Slabs { cow, ..self }
    }
}

/// What pages belong to: files with their cached pages, and families of anonymous pages. Owns the floors
/// below.
pub struct Objects<'m, M: Machine> {
    frames: Frames<'m, M>,
    tables: Tables<'m, M>,
    pub(crate) files: Slab<'m, M, File>,
    pub(crate) nodes: Nodes<'m, M>,
    pub(crate) attachments: Slab<'m, M, Attachment>,
    pub(crate) lineages: Slab<'m, M, Lineage>,
    pub(crate) registry: &'m [Bucket],
    /// (atomic) Where reclaim goes on.
    pub(crate) hand: &'m Field<u64>,
    /// Merged pages.
    pub(crate) ksm: Ksm<'m, M>,
    zero: Pfn,
    cow: &'static dyn Cow,
    pub(crate) swap: Swap<'m>,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// No object yet but the zero page.
    pub fn new(
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        slabs: Slabs<'m, M>,
        frames: Frames<'m, M>,
        tables: Tables<'m, M>,
    ) -> Result<Self, Shortage> {
        let zero =
            frames.allocate(cx, &Request { mobility: frame::Mobility::Unmovable, ..Request::user() })?;
        cx.machine().page_op(cx.cpu(), PageOp::Zero { to: UserFrame(zero), order: Order::ZERO });
        frames.descriptor(zero).set_state(cx, State::Zero);
        let Slabs { files, nodes, attachments, lineages, registry, hand, ksm, cow, swap } = slabs;
        let ksm = Ksm::new(ksm);
        Ok(Objects {
            frames,
            tables,
            files,
            nodes,
            attachments,
            lineages,
            registry,
            hand,
            ksm,
            zero,
            cow,
            swap,
        })
    }

    /// The frames.
    pub fn frames(&self) -> &Frames<'m, M> {
        &self.frames
    }

    /// The page tables.
    pub fn tables(&self) -> &Tables<'m, M> {
        &self.tables
    }

    /// The rule of copy-on-write.
    pub fn cow(&self) -> &'static dyn Cow {
        self.cow
    }

    /// The page of zeros that reads of untouched memory see: one reference for ever, mappings of it are not
    /// counted, never exclusive, never written (CR29).
    pub fn zero_frame(&self) -> Pfn {
        self.zero
    }
}
