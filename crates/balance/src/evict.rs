//! Eviction: pages that were not used for long leave memory (Linux: the multi-generational LRU).
//!
//! A page's descriptor says in which round of aging it was last seen used: three bits, six rounds. A round
//! walks the tables of all spaces, and costs no list and no lock but the leaves'. Eviction goes over the
//! memmap of a node with that node's hand, the oldest pages first, and looks at the marks of use once more
//! before a page goes. There are no lists of pages, so a page costs nothing while nobody is short of memory,
//! and nothing is shared that every fault would write.

use crate::swappiness::{Swappiness, When};
use frame::{Descriptor, Meta, State, SubsectionState};
use machine::{Boot, Counter, Cx, Field, HUGE_ORDER, Machine, NodeId, NodeSet, Order, Pfn, Shortage, level};
use object::Spare;
use space::Spaces;

/// Rounds that can be told apart.
const ROUNDS: u64 = 6;
/// Pages that were not used for so many rounds are equally old.
pub(crate) const OLDEST: u64 = 4;

machine::cells! {
    /// What eviction from one node goes on from.
    pub(crate) struct Hand {
        /// (hint) Which frame of the node to look at next.
        frame: Field<u64>,
        /// (hint) Whether background reclaim is at work: below the low watermark, up to the high one.
        pub(crate) awake: Field<bool>,
    }
}

machine::cells! {
    /// What all nodes share.
    struct Rounds {
        /// (atomic) The round of aging.
        round: Field<u64>,
        /// (setting) See [`Swappiness`].
        swappiness: Field<u64>,
    }
}

/// Ages, and a hand for each node.
pub(crate) struct Eviction<'m> {
    rounds: &'m Rounds,
    hands: &'m [Hand],
}

/// The age of pages that were used in a round: 1 to 6.
fn age_of(round: u64) -> u8 {
    (round % ROUNDS) as u8 + 1
}

/// For how many rounds a page was not used.
fn distance(round: u64, age: u8) -> u64 {
    match age {
        0 => 0,
        Meta::COLD => OLDEST,
        age => (round + ROUNDS + 1 - u64::from(age)) % ROUNDS,
    }
}

impl<'m> Eviction<'m> {
    /// Lays it out in boot memory.
    pub(crate) fn new<M: Machine>(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let rounds = &boot.array::<Rounds>(1)?[0];
        rounds.swappiness.set(Swappiness::default().get());
        Ok(Eviction { rounds, hands: boot.array(boot.machine().nodes() as usize)? })
    }

    /// Which pages go rather than others.
    pub(crate) fn swappiness(&self) -> Swappiness {
        Swappiness::new(self.rounds.swappiness.get()).unwrap_or_default()
    }

    /// Another choice, from now on.
    pub(crate) fn set_swappiness(&self, swappiness: Swappiness) {
        self.rounds.swappiness.set(swappiness.get());
    }

    /// The nodes, and their hands.
    pub(crate) fn hands(&self) -> impl Iterator<Item = (NodeId, &'m Hand)> + use<'m> {
        (0..).map(NodeId).zip(self.hands)
    }

    /// One round of aging: who uses pages says so. Answers how many were used.
    pub(crate) fn age<M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
    ) -> u64 {
        let round = self.rounds.round.add_shared(1);
        // The numbers come round again: the oldest keep at a distance.
        let kept = |age: u8| match (age, distance(round, age)) {
            (0, _) => age_of(round),
            (Meta::COLD, _) => Meta::COLD,
            (_, far) if far >= OLDEST || far == 0 => age_of(round + ROUNDS - OLDEST),
            _ => age,
        };
        spaces.ids().map(|id| spaces.age_pages(cx, id, (age_of(round), kept))).sum()
    }

    /// Evicts up to `want` pages from the first of some nodes that has any to give, beginning at `first`;
    /// answers how many went.
    pub(crate) fn evict<M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        (first, nodes): (NodeId, NodeSet),
        want: u64,
    ) -> u64 {
        let at = |i: usize| (usize::from(first.0) + i) % self.hands.len();
        let order = (0..self.hands.len()).map(|i| NodeId(at(i) as u8)).filter(|&node| nodes.contains(node));
        order.map(|node| self.evict_from(cx, spaces, node, want)).find(|&gone| gone > 0).unwrap_or(0)
    }

    /// Evicts up to `want` pages of a node, the oldest first; answers how many went.
    pub(crate) fn evict_from<M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        node: NodeId,
        want: u64,
    ) -> u64 {
        let mut gone = 0;
        for least in (0..=OLDEST).rev().map(Some).chain([None]) {
            if gone < want {
                gone += self.sweep(cx, spaces, node, (want - gone, least));
            }
        }
        gone
    }

    /// Once over all frames of a node: pages that were not used for at least so many rounds, or any.
    fn sweep<M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        node: NodeId,
        (want, least): (u64, Option<u64>),
    ) -> u64 {
        let (frames, hand) = (spaces.frames(), &self.hands[usize::from(node.0)]);
        let count = frames.count_of_node(node);
        let (mut gone, mut looked) = (0, 0);
        while looked < count && gone < want {
            let next = hand.frame.add_shared(1) % count;
            looked += 1;
            let Some(pfn) = frames.nth_of_node(node, next) else { continue };
            if frames.memmap().quiet_subsection(pfn).state() != SubsectionState::Active {
                continue;
            }
            let page = frames.memmap().descriptor(pfn);
            if self.is_candidate(cx, spaces, page, least) && self.try_evict(cx, spaces, (pfn, page), least) {
                gone += 1;
            }
        }
        gone
    }

    /// Whether a page may be old enough. Nobody keeps it yet: a hint.
    fn is_candidate<M: Machine>(
        &self,
        cx: &Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        page: &Descriptor,
        least: Option<u64>,
    ) -> bool {
        let meta = page.meta(cx);
        // Of large folios only anonymous ones of 2 MiB can be made small.
        if !meta.is_head() || !matches!(meta.order(), Order::ZERO | HUGE_ORDER) {
            return false;
        }
        let old = match page.maps(cx) {
            0 => OLDEST,
            _ => distance(self.rounds.round.get(), meta.age()),
        };
        let swappiness = self.swappiness();
        let is_due = |when: When| match when {
            When::Behind(rounds) => least.is_none_or(|least| old >= least + rounds),
            When::Last => least.is_none(),
        };
        match meta.state() {
            State::File => is_due(swappiness.files()),
            State::Anon => is_due(swappiness.anonymous()) && spaces.objects().swap_counts().total > 0,
            _ => false,
        }
    }

    fn try_evict<M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        (pfn, page): (Pfn, &Descriptor),
        least: Option<u64>,
    ) -> bool {
        if !page.try_get(cx) {
            return false;
        }
        let objects = spaces.objects();
        let is_anon = match page.state(cx) {
            State::Anon => true,
            State::File => false,
            _ => {
                spaces.frames().put(cx.at(), pfn);
                return false;
            }
        };
        cx.count(if is_anon { Counter::PgScanAnon } else { Counter::PgScanFile });
        // When all are young, somebody's page must go.
        let spare = if least > Some(0) { Spare::Used } else { Spare::None };
        let young = age_of(self.rounds.round.get());
        let gone = objects.try_evict(cx.at(), (pfn, young), spare).is_ok();
        if gone {
            cx.count(if is_anon { Counter::PgStealAnon } else { Counter::PgSteal });
        } else if is_anon {
            cx.count(Counter::SwpOutRefused);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_told_apart_as_far_as_they_matter() {
        for round in 0..40 {
            for back in 0..=OLDEST {
                let age = age_of(round + ROUNDS - back);
                assert_eq!(distance(round, age), back, "round {round}, {back} before");
            }
            assert_eq!((distance(round, 0), distance(round, Meta::COLD)), (0, OLDEST));
        }
    }
}
