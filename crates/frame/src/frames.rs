//! The allocator as a whole.

use crate::counts::{AtCap, Freed};
use crate::descriptor::Descriptor;
use crate::memmap::MemMap;
use crate::request::{Config, Request};
use machine::{Boot, Cx, Field, KernelFrame, Machine, NodeId, Order, Pfn, Shortage, UserFrame, level};

/// All frames of a machine.
pub struct Frames<'m, M: Machine> {
    pub(crate) machine: &'m M,
    pub(crate) memmap: MemMap<'m>,
    /// 0, or how many allocations from now the one that fails is.
    pub(crate) failing: &'m Field<u64>,
}

impl<'m, M: Machine> Frames<'m, M> {
    /// Takes over what `boot` did not hand out.
    pub fn new(machine: &'m M, boot: &Boot<'m, M>, config: &Config) -> Result<Self, Shortage> {
        let _ = config;
        Ok(Frames { machine, memmap: MemMap::new(boot)?, failing: &boot.array::<Field<u64>>(1)?[0] })
    }
    /// A block of frames with one reference.
    pub fn allocate(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        request: &Request,
    ) -> Result<Pfn, Shortage> {
        let _ = cx;
        Err(Shortage { order: request.order, node: NodeId(0) })
    }
    /// A block of user frames; their bytes are undefined.
    pub fn allocate_user(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        request: &Request,
    ) -> Result<UserFrame, Shortage> {
        self.allocate(cx, request).map(UserFrame)
    }
    /// One kernel frame of zeros.
    pub fn allocate_kernel(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>) -> Result<KernelFrame, Shortage> {
        let frame = KernelFrame(self.allocate(cx, &Request::kernel())?);
        self.machine.zero_kernel(cx.cpu(), frame, 1);
        Ok(frame)
    }
    /// The descriptor of a frame.
    #[inline]
    pub fn descriptor(&self, pfn: Pfn) -> &'m Descriptor {
        self.memmap.descriptor(pfn)
    }
    /// Takes another reference to the folio of a frame.
    pub fn get<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Result<(), AtCap> {
        self.descriptor(pfn).get(cx)
    }
    /// Gives a reference to the folio of a frame back; the last one frees it.
    pub fn put(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) -> Freed {
        self.descriptor(pfn).put(cx)
    }
    /// Gives a pin back.
    pub fn unpin(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) -> Freed {
        self.descriptor(pfn).unpin(cx)
    }
    /// Frees a folio without references.
    pub fn free(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn, order: Order) {
        let _ = (cx, pfn, order);
    }
    /// Makes the `n`-th allocation from now fail.
    pub fn fail_after(&self, n: Option<u64>) {
        self.failing.set(n.map_or(0, |n| n.max(1)));
    }
}
