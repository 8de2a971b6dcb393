//! Commitment: how much memory has been promised (Linux: `__vm_enough_memory`).

use crate::error::Error;
use crate::layout::{Layout, Scope};
use crate::promises::Overcommit;
use crate::space::{Sign, Space};
use crate::spaces::Spaces;
use crate::vma::VmaFlags;
use machine::{Cx, Field, Machine};

impl<M: Machine> Spaces<'_, M> {
    /// Pages promised to all spaces (`Committed_AS`).
    pub fn committed(&self) -> u64 {
        self.promises.all()
    }

    /// How much may be promised from now on.
    pub fn set_overcommit(&self, mode: Overcommit) {
        self.promises.mode.set(mode);
    }

    /// How much may be promised.
    pub fn overcommit(&self) -> Overcommit {
        self.promises.mode.get()
    }

    /// The pages that may be promised under [`Overcommit::Never`] (`CommitLimit`).
    pub fn commit_limit(&self) -> u64 {
        let total = self.frames().total_frames();
        let allowed = match self.promises.mode.get() {
            Overcommit::Never { ratio } => total / 100 * u64::from(ratio),
            _ => total / 2,
        };
        // LINUX: vm_commit_limit().
        allowed + self.objects().swap_counts().total
    }

    /// Whether no promise is refused for what others were promised.
    pub(crate) fn promises_freely(&self) -> bool {
        !matches!(self.promises.mode.get(), Overcommit::Never { .. })
    }

    /// Promises pages to a space that nobody else knows.
    pub(crate) fn commit<const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        space: &Space,
        pages: u64,
    ) -> Result<(), Error> {
        self.promise(cx, pages, 0)?;
        space.committed.add(pages);
        Ok(())
    }

    /// Takes such a promise back.
    pub(crate) fn uncommit<const L: u8>(&self, cx: &Cx<'_, M, L>, space: &Space, pages: u64) {
        self.promises.add(cx.cpu(), pages.wrapping_neg());
        space.committed.sub(pages);
    }

    fn promise<const L: u8>(&self, cx: &Cx<'_, M, L>, pages: u64, less: u64) -> Result<(), Error> {
        if pages == 0 {
            return Ok(());
        }
        let after = self.promises.add(cx.cpu(), pages);
        let refused = match self.promises.mode.get() {
            Overcommit::Always => false,
            Overcommit::Heuristic => {
                let all = self.frames().total_frames() + self.objects().swap_counts().total;
                pages.saturating_sub(less) > all
            }
            Overcommit::Never { .. } => {
                after.unwrap_or_else(|| self.promises.all()) - less > self.commit_limit()
            }
        };
        if refused {
            self.promises.add(cx.cpu(), pages.wrapping_neg());
            return Err(Error::NoMemory);
        }
        Ok(())
    }
}

impl<M: Machine> Layout<'_, '_, M> {
    /// Promises pages to the space.
    pub(crate) fn commit(&mut self, pages: u64) -> Result<(), Error> {
        self.commit_instead(pages, 0)
    }

    /// The same while `less` promised pages are about to be taken back (Linux:
    /// `mmap_region` charges the difference).
    pub(crate) fn commit_instead(&mut self, pages: u64, less: u64) -> Result<(), Error> {
        self.spaces.promise(self, pages, less)?;
        self.committed().add(pages);
        Ok(())
    }

    /// Takes a promise back.
    pub(crate) fn uncommit(&self, pages: u64) {
        self.spaces.promises.add(self.cpu(), pages.wrapping_neg());
        self.committed().sub(pages);
    }

    fn committed(&self) -> &Field<u64> {
        match self.scope {
            Scope::Whole { .. } => &self.space.committed,
            Scope::Granule(granule) => &granule.committed,
        }
    }

    /// Books pages of a VMA with these flags (Linux: `vm_stat_account`).
    pub(crate) fn account(&self, flags: VmaFlags, pages: u64, sign: Sign) {
        match (self.scope, sign) {
            (Scope::Whole { .. }, _) => self.space.account(flags, pages, sign),
            (Scope::Granule(granule), Sign::Plus) => granule.pages.add(pages),
            (Scope::Granule(granule), Sign::Minus) => granule.pages.sub(pages),
        }
    }
}
