//! What an operation may need, allocated before it changes anything.

use crate::error::Error;
use crate::layout::Layout;
use crate::space::Space;
use crate::spaces::Spaces;
use crate::tree;
use crate::vma::Vma;
use frame::Id;
use machine::{Cx, Machine, Shortage, level};
use object::Attachment;

/// The most VMAs a single operation adds.
const MOST: usize = 4;

/// VMAs, attachments and tree nodes for one operation. What is left over must be given back.
#[must_use]
pub(crate) struct Prepared<'m, M: Machine> {
    vmas: arrayvec::ArrayVec<Id<Vma>, MOST>,
    attachments: arrayvec::ArrayVec<Id<Attachment>, { 2 * MOST }>,
    pub(crate) nodes: tree::Reserve,
    machine: core::marker::PhantomData<&'m M>,
}

impl<'m, M: Machine> Prepared<'m, M> {
    /// A VMA; the operation prepared enough.
    pub(crate) fn take_vma(&mut self) -> Id<Vma> {
        self.vmas.pop().expect("an operation prepares every VMA it inserts")
    }

    /// An attachment; the operation prepared enough.
    pub(crate) fn take_attachment(&mut self) -> Id<Attachment> {
        self.attachments.pop().expect("an operation prepares every attachment it makes")
    }
}

impl<'m, M: Machine> Layout<'_, 'm, M> {
    /// Allocates for an operation that adds up to `vmas` VMAs.
    pub(crate) fn prepare(&mut self, vmas: usize) -> Result<Prepared<'m, M>, Error> {
        let (spaces, space) = (self.spaces, self.space);
        spaces.prepare(self, space, vmas).map_err(Error::Shortage)
    }

    /// Gives back what an operation did not use.
    pub(crate) fn give_back(&mut self, prepared: Prepared<'m, M>) {
        let spaces = self.spaces;
        spaces.give_back(self, prepared);
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Allocates for an operation that adds up to `n` VMAs to a space.
    pub(crate) fn prepare(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        space: &Space,
        n: usize,
    ) -> Result<Prepared<'m, M>, Shortage> {
        debug_assert!(n <= MOST);
        let nodes = self.nodes.reserve(cx.at(), self.frames(), &space.tree, n as u32)?;
        let mut prepared = Prepared {
            vmas: arrayvec::ArrayVec::new(),
            attachments: arrayvec::ArrayVec::new(),
            nodes,
            machine: core::marker::PhantomData,
        };
        match self.fill(cx, &mut prepared, n) {
            Ok(()) => Ok(prepared),
            Err(shortage) => {
                self.give_back(cx, prepared);
                Err(shortage)
            }
        }
    }

    fn fill(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        prepared: &mut Prepared<'m, M>,
        n: usize,
    ) -> Result<(), Shortage> {
        for _ in 0..n {
            prepared.vmas.push(self.vmas.alloc(cx.at(), self.frames())?);
            // One for the object, one for moved anonymous pages.
            for _ in 0..2 {
                prepared.attachments.push(self.objects().new_attachment(cx.at())?);
            }
        }
        Ok(())
    }

    /// Gives back what an operation did not use.
    pub(crate) fn give_back(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, prepared: Prepared<'m, M>) {
        for id in prepared.vmas {
            self.vmas.free(cx.at(), id);
        }
        for id in prepared.attachments {
            self.objects().free_attachment(cx.at(), id);
        }
        self.nodes.give_back(cx.at(), prepared.nodes);
    }
}
