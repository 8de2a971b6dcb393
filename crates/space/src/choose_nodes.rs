//! Choosing which nodes new pages come from (Linux: `mbind`, `set_mempolicy`).

use crate::error::Error;
use crate::layout::Layout;
use crate::policy::{MemPolicy, PolicyMode};
use crate::space::Space;
use crate::spaces::Spaces;
use crate::vma::Vma;
use frame::Id;
use machine::{Cx, Machine, VpnRange, level};

impl Space {
    /// The policy of what has none of its own.
    pub fn policy(&self) -> MemPolicy {
        self.policy.get()
    }
}

impl<'m, M: Machine> Spaces<'m, M> {
    /// Gives the mappings of a range a policy (Linux: `mbind_range`).
    ///
    /// Errors: `Fault` for a hole, before anything is changed (Linux: `queue_pages_range`), `NoMemory` for
    /// too many VMAs, `Shortage` (what lies before has the policy), `Killed`.
    pub fn set_policy(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        range: VpnRange,
        policy: MemPolicy,
    ) -> Result<(), Error> {
        let mut layout = self.write_layout(cx, space)?;
        // LINUX: do_mbind(): MPOL_MF_DISCONTIG_OK if there is to be no policy.
        if policy.mode() != PolicyMode::Default && layout.first_hole(range).is_some() {
            return Err(Error::Fault);
        }
        layout.for_each_in(range, |layout, _, part| layout.set_policy_of_part(part, policy))
    }

    /// Gives a space the policy for what has none of its own (`set_mempolicy`; one for all threads, where
    /// Linux has one for each).
    pub fn set_space_policy(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        policy: MemPolicy,
    ) -> Result<(), Error> {
        let layout = self.write_layout(cx, space)?;
        layout.space.policy.set(policy);
        Ok(())
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    fn set_policy_of_part(&mut self, part: VpnRange, policy: MemPolicy) -> Result<(), Error> {
        let unchanged = self.covering(part.start).is_none_or(|id| self.vma(id).policy() == policy);
        if unchanged {
            return Ok(());
        }
        self.change_part(part, |layout, id| {
            let vma: &Vma = layout.vma(id);
            vma.write(vma.range(), &crate::vma::Content { policy, ..vma.content() });
        })
    }
}
