//! What an operation may need, allocated before it changes anything.

use crate::spaces::Spaces;
use crate::tree::{self, Tree};
use crate::vma::{Content, Vma};
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

/// How much an operation may need.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Needs {
    vmas: usize,
    attachments: usize,
}

impl Needs {
    /// And a VMA of this content.
    pub(crate) fn and(self, content: &Content) -> Needs {
        let lists = usize::from(content.file.is_some()) + usize::from(content.anon_bias != 0);
        Needs { vmas: self.vmas + 1, attachments: self.attachments + lists }
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Allocates for an operation on VMAs of a tree.
    pub(crate) fn prepare(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        tree: &Tree,
        needs: Needs,
    ) -> Result<Prepared<'m, M>, Shortage> {
        debug_assert!(needs.vmas <= MOST);
        let nodes = self.nodes.reserve(cx.at(), self.frames(), tree, needs.vmas as u32)?;
        let mut prepared = Prepared {
            vmas: arrayvec::ArrayVec::new(),
            attachments: arrayvec::ArrayVec::new(),
            nodes,
            machine: core::marker::PhantomData,
        };
        match self.fill(cx, &mut prepared, needs) {
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
        needs: Needs,
    ) -> Result<(), Shortage> {
        for _ in 0..needs.vmas {
            prepared.vmas.push(self.vmas.alloc(cx.at(), self.frames())?);
        }
        for _ in 0..needs.attachments {
            prepared.attachments.push(self.objects().new_attachment(cx.at())?);
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
