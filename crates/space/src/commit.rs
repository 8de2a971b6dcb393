//! Commitment: how much memory has been promised (Linux: `__vm_enough_memory`).

use crate::error::Error;
use crate::promises::Overcommit;
use crate::space::Space;
use crate::spaces::Spaces;
use machine::Machine;

impl<M: Machine> Spaces<'_, M> {
    /// Pages promised to all spaces (`Committed_AS`).
    pub fn committed(&self) -> u64 {
        self.promises.committed.get()
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

    /// Promises pages to a space.
    pub(crate) fn commit(&self, space: &Space, pages: u64) -> Result<(), Error> {
        self.commit_instead(space, pages, 0)
    }

    /// The same while `less` promised pages are about to be taken back (Linux:
    /// `mmap_region` charges the difference).
    pub(crate) fn commit_instead(&self, space: &Space, pages: u64, less: u64) -> Result<(), Error> {
        if pages == 0 {
            return Ok(());
        }
        let after = self.promises.committed.add_shared(pages);
        let refused = match self.promises.mode.get() {
            Overcommit::Always => false,
            Overcommit::Heuristic => {
                let all = self.frames().total_frames() + self.objects().swap_counts().total;
                pages.saturating_sub(less) > all
            }
            Overcommit::Never { .. } => after - less > self.commit_limit(),
        };
        if refused {
            self.promises.committed.add_shared(pages.wrapping_neg());
            return Err(Error::NoMemory);
        }
        space.committed.add(pages);
        Ok(())
    }

    /// Takes a promise back.
    pub(crate) fn uncommit(&self, space: &Space, pages: u64) {
        self.promises.committed.add_shared(pages.wrapping_neg());
        space.committed.sub(pages);
    }
}
