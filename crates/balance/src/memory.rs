//! Running operations under shortage.

use crate::compact::{Compacted, compact_for};
use crate::evict::Eviction;
use crate::ksm::Ksm;
use crate::oom::{self, Victim};
use crate::policy::{Policy, Shortfall};
use crate::reclaim::{Progress, background, has_free, reclaim};
use crate::swappiness::Swappiness;
use frame::{Id, Request};
use machine::lock::Sleep;
use machine::{Boot, Cx, Field, Machine, Order, Pfn, Shortage, Vpn, level};
use object::Effort;
use space::{Space, Spaces};

/// How often an operation starts again between two kills (Linux: `MAX_RECLAIM_RETRIES`).
const RETRIES: u32 = 16;
/// How many spaces may die for one operation: more means that killing does not help. (It ends by itself
/// too, when nobody is left.)
const KILLS: u32 = 64;
/// Above this order nobody dies for want of a block (Linux: `PAGE_ALLOC_COSTLY_ORDER`).
const COSTLY: Order = Order(3);

machine::cells! {
    /// What all CPUs share here.
    pub(crate) struct Shared {
        /// One kill at a time.
        oom: Sleep<{ level::PROCESS }>,
        /// (oom) How many spaces were killed.
        kills: Field<u64>,
        /// One scanner for large pages at a time.
        pub(crate) scan: Sleep<{ level::PROCESS }>,
        /// (scan) The space it goes on in.
        pub(crate) scan_space: Field<u64>,
        /// (scan) The page it goes on at.
        pub(crate) scan_page: Field<Vpn>,
    }
}

/// Shortage, and what is done about it.
pub struct Balance<'m> {
    pub(crate) shared: &'m Shared,
    eviction: Eviction<'m>,
    ksm: Ksm<'m>,
}

/// What one round of making memory free came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Round {
    /// Try again.
    Progress,
    /// Nothing was to be had, or nothing helps.
    Nothing,
    /// The caller's own space was chosen.
    CallerDies,
}

impl<'m> Balance<'m> {
    /// Lays the shared part out in boot memory.
    pub fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let shared = &boot.array::<Shared>(1)?[0];
        Ok(Balance { shared, eviction: Eviction::new(boot)?, ksm: Ksm::new(boot)? })
    }

    /// The scanner that merges equal pages.
    pub fn ksm(&self) -> &Ksm<'m> {
        &self.ksm
    }

    /// Whether anonymous pages or pages of files leave memory first.
    pub fn swappiness(&self) -> Swappiness {
        self.eviction.swappiness()
    }

    /// Another choice, from now on.
    pub fn set_swappiness(&self, swappiness: Swappiness) {
        self.eviction.set_swappiness(swappiness);
    }

    /// How many spaces died for want of memory.
    pub fn kills(&self) -> u64 {
        self.shared.kills.get()
    }

    /// Runs `op` until it meets no shortage, making memory free in between as far as the policy goes.
    ///
    /// `current` is the space the caller runs in: if it is the one that must die, or is dying, `op` does
    /// not start again and the answer is `E::killed`. Other errors than shortage are passed on at once: a
    /// refusal by a limit never kills.
    pub fn with_memory<M: Machine, T, E: Shortfall>(
        &self,
        cx: &mut Cx<'m, M>,
        spaces: &Spaces<'m, M>,
        current: Option<Id<Space>>,
        policy: Policy,
        mut op: impl FnMut(&mut Cx<'m, M, { level::PROCESS }>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (mut retries, mut kills) = (0, 0);
        loop {
            let error = match op(cx.at()) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(shortage) = error.shortage() else { return Err(error) };
            if policy == Policy::Fail {
                return Err(error);
            }
            if current.is_some_and(|space| spaces.space(space).is_killed(cx)) {
                return Err(E::killed(shortage));
            }
            retries += 1;
            let effort = if retries == 1 { Effort::Try } else { Effort::Wait };
            if retries <= RETRIES && compact_for(cx.at(), spaces, shortage.order, effort) == Compacted::Made {
                continue;
            }
            if retries <= RETRIES {
                match reclaim(cx.at(), spaces, &self.eviction, shortage) {
                    // LINUX: should_reclaim_retry() starts counting again when pages were freed.
                    Progress::Evicted => {
                        retries = 0;
                        continue;
                    }
                    Progress::Made => continue,
                    Progress::None => {}
                }
            }
            if policy != Policy::Kill || shortage.order > COSTLY || kills == KILLS {
                return Err(error);
            }
            match self.kill(cx, spaces, current, shortage) {
                Round::Progress => (retries, kills) = (0, kills + 1),
                Round::Nothing => return Err(error),
                Round::CallerDies => return Err(E::killed(shortage)),
            }
        }
    }

    /// A step of background reclaim (Linux: kswapd), for whoever has time: idle CPUs, a replay between two
    /// events. If some zone of a node has fallen below its low watermark up to `budget` pages of that node
    /// leave memory, and so on until none is below its high one. Answers whether there is more to do.
    pub fn background<M: Machine>(&self, cx: &mut Cx<'m, M>, spaces: &Spaces<'m, M>, budget: u64) -> bool {
        background(cx.at(), spaces, &self.eviction, budget)
    }

    /// A block of frames, with compaction, reclaim and more as far as the policy goes (Linux:
    /// `__alloc_pages_slowpath`).
    pub fn allocate<M: Machine>(
        &self,
        cx: &mut Cx<'m, M>,
        spaces: &Spaces<'m, M>,
        request: &Request,
        policy: Policy,
    ) -> Result<Pfn, Shortage> {
        self.with_memory(cx, spaces, None, policy, |cx| spaces.frames().allocate(cx.at(), request))
    }

    /// Kills the largest space, unless somebody made memory free while this waited for its turn.
    fn kill<M: Machine>(
        &self,
        cx: &mut Cx<'m, M>,
        spaces: &Spaces<'m, M>,
        current: Option<Id<Space>>,
        shortage: Shortage,
    ) -> Round {
        let before = self.shared.kills.get();
        let mut cx = self.shared.oom.write(cx);
        if self.shared.kills.get() != before && has_free(spaces.frames(), shortage) {
            return Round::Progress;
        }
        let Some(Victim { space, .. }) = oom::kill_largest(&mut cx, spaces) else { return Round::Nothing };
        self.shared.kills.add(1);
        if current == Some(space) { Round::CallerDies } else { Round::Progress }
    }
}
