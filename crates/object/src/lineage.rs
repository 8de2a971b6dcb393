//! Lineages: the reverse map of anonymous pages.
//!
//! A lineage is a family of address spaces that may share anonymous pages: a program and what it forked; exec
//! starts a new one. An anonymous page belongs to a lineage (its descriptor's owner) and has a linear index
//! in it: the page number at which it was born. It can be mapped in a member's table at that page number, or,
//! where `mremap` moved it, at the pages of an attachment that gives that index. Linux: `anon_vma`, with one
//! tree a family instead of one a VMA.

use crate::attach::Place;
use crate::model::{Attachment, Lineage, Mapping, Owner, Sharing};
use crate::objects::Objects;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use frame::Id;
use machine::{Cx, EntryFormat, Machine, Memory, PAGE_SHIFT, Shortage, Vpn, VpnRange, level};
use table::PageTable;

impl<'m, M: Machine> Objects<'m, M> {
    /// A new lineage whose first member is the space of `table`: for a new program. Answers the membership
    /// too, which [`Objects::leave_lineage`] ends.
    pub fn found_lineage(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        table: Id<PageTable>,
    ) -> Result<(Id<Lineage>, Id<Attachment>), Shortage> {
        let member = self.new_attachment(cx.at())?;
        let lineage = match self.lineages.alloc(cx.at(), self.frames()) {
            Ok(lineage) => lineage,
            Err(shortage) => {
                self.free_attachment(cx.at(), member);
                return Err(shortage);
            }
        };
        // ORDERING: Release pairs with the Acquire in `hold_lineage`.
        cx.store(&self.lineages.get(lineage).holds, 1, Release);
        self.attach(cx, member, Owner::Lineage(lineage), &whole::<M>(table), Place::Any);
        Ok((lineage, member))
    }

    /// Makes the space of `table` a member of its parent's lineage, before any translation is shared (fork).
    pub fn join_lineage(
        &self,
        cx: &mut Cx<'m, M, { level::PAGE }>,
        parent: Id<Attachment>,
        table: Id<PageTable>,
    ) -> Result<Id<Attachment>, Shortage> {
        let member = self.new_attachment(cx.at())?;
        let owner = self.attachment(parent).owner();
        debug_assert!(matches!(owner, Owner::Lineage(_)), "a membership");
        self.attach(cx, member, owner, &whole::<M>(table), Place::Behind(parent));
        Ok(member)
    }

    /// Ends a membership; no anonymous page is mapped in the member's table any more, and its moved ranges
    /// are detached. The last member takes the lineage along, unless merged pages still name it.
    pub fn leave_lineage(&self, cx: &mut Cx<'m, M, { level::PAGE }>, member: Id<Attachment>) {
        let owner = self.attachment(member).owner();
        let left = self.unlist(cx, member);
        self.attachments.free(cx.at(), member);
        if let (0, Owner::Lineage(lineage)) = (left, owner) {
            self.drop_lineage(cx.at(), lineage);
        }
    }

    /// Keeps a lineage for a walk, if it has members. A page that was unmapped everywhere still names the
    /// lineage it was of; that number may be nobody's by now, or another's, whose members do not map the
    /// page.
    pub(crate) fn hold_lineage<const L: u8>(&self, cx: &Cx<'m, M, L>, id: Id<Lineage>) -> bool {
        let holds = &self.lineages.get(id).holds;
        // RELAXED: the compare-exchange decides.
        let mut seen = cx.load(holds, Relaxed);
        while seen != 0 {
            // ORDERING: Acquire pairs with the Release in `found_lineage`.
            match cx.compare_exchange(holds, seen, seen + 1, Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// A walk, or who kept it last (a member, or a merged page), is done with a lineage.
    pub(crate) fn drop_lineage(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, id: Id<Lineage>) {
        // ORDERING: AcqRel: the last one frees after everybody.
        if cx.fetch_add(&self.lineages.get(id).holds, 1u64.wrapping_neg(), AcqRel) == 1 {
            self.lineages.free(cx, id);
        }
    }

    /// A merged page names a lineage, which has members: it outlives them until that is forgotten (Linux:
    /// `get_anon_vma`).
    pub(crate) fn keep_lineage(&self, cx: &mut Cx<'m, M, { level::PAGE }>, id: Id<Lineage>) {
        let list = &self.lineages.get(id).mappers;
        let _held = list.lock.write(cx);
        list.kept.add(1);
    }

    /// That is forgotten.
    pub(crate) fn let_lineage_go(&self, cx: &mut Cx<'m, M, { level::PAGE }>, id: Id<Lineage>) {
        let list = &self.lineages.get(id).mappers;
        let left = {
            let _held = list.lock.write(cx);
            list.kept.sub(1);
            list.count.get() + list.kept.get()
        };
        if left == 0 {
            self.drop_lineage(cx.at(), id);
        }
    }

    /// A lineage.
    pub fn lineage(&self, id: Id<Lineage>) -> &'m Lineage {
        self.lineages.get(id)
    }
}

/// All of a space, every page at its own number.
fn whole<M: Machine>(table: Id<PageTable>) -> Mapping {
    let end = Vpn(M::Entry::USER_END.div_ceil(1 << PAGE_SHIFT));
    Mapping { table, range: VpnRange::new(Vpn(0), end), first: 0, sharing: Sharing::Private }
}
