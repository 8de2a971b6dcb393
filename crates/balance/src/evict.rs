//! Eviction: pages that were not used for long leave memory (Linux: the multi-generational LRU).
//!
//! A page's descriptor says in which round of aging it was last seen used: three bits, six rounds. A round
//! walks the tables of all spaces, and costs no list and no lock but the leaves'. Eviction goes over the
//! memmap with a hand, the oldest pages first, and looks at the marks of use once more before a page goes.
//! There are no lists of pages, so a page costs nothing while nobody is short of memory, and nothing is
//! shared that every fault would write.

use frame::{Descriptor, Meta, State, SubsectionState};
use machine::{Counter, Cx, Field, HUGE_ORDER, Machine, Order, Pfn, level};
use object::Spare;
use space::Spaces;

/// Rounds that can be told apart.
const ROUNDS: u64 = 6;
/// Pages that were not used for so many rounds are equally old.
const OLDEST: u64 = 4;
/// How much rather pages of files go than anonymous ones, from 0 (only if nothing else helps) to 200 (Linux:
/// `vm.swappiness`).
const SWAPPINESS: u64 = 60;

machine::cells! {
    /// What eviction goes on from.
    pub(crate) struct Hand {
        /// (atomic) The round of aging.
        round: Field<u64>,
        /// (hint) The frame to look at next.
        frame: Field<u64>,
        /// (hint) Whether background reclaim is at work: below the low watermark, up to the high one.
        pub(crate) awake: Field<bool>,
    }
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

impl Hand {
    /// One round of aging: who uses pages says so. Answers how many were used.
    pub(crate) fn age<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
    ) -> u64 {
        let round = self.round.add_shared(1);
        // The numbers come round again: the oldest keep at a distance.
        let kept = |age: u8| match (age, distance(round, age)) {
            (0, _) => age_of(round),
            (Meta::COLD, _) => Meta::COLD,
            (_, far) if far >= OLDEST || far == 0 => age_of(round + ROUNDS - OLDEST),
            _ => age,
        };
        spaces.ids().map(|id| spaces.age_pages(cx, id, (age_of(round), kept))).sum()
    }

    /// Evicts up to `want` pages, the oldest first; answers how many went.
    pub(crate) fn evict<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        want: u64,
    ) -> u64 {
        let mut gone = 0;
        for least in (0..=OLDEST).rev() {
            if gone < want {
                gone += self.sweep(cx, spaces, (want - gone, least));
            }
        }
        gone
    }

    /// Once over all frames: pages that were not used for at least so many rounds.
    fn sweep<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        (want, least): (u64, u64),
    ) -> u64 {
        let frames = u64::from(spaces.frames().memmap().end().0);
        let (mut gone, mut looked) = (0, 0);
        while looked < frames && gone < want {
            let pfn = Pfn((self.frame.add_shared(1) % frames) as u32);
            looked += 1;
            if spaces.frames().memmap().quiet_subsection(pfn).state() != SubsectionState::Active {
                continue;
            }
            let page = spaces.frames().memmap().descriptor(pfn);
            if self.is_candidate(cx, spaces, page, least) && self.try_evict(cx, spaces, (pfn, page), least) {
                gone += 1;
            }
        }
        gone
    }

    /// Whether a page may be old enough. Nobody keeps it yet: a hint.
    fn is_candidate<'m, M: Machine>(
        &self,
        cx: &Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        page: &Descriptor,
        least: u64,
    ) -> bool {
        let meta = page.meta(cx);
        // Of large folios only anonymous ones of 2 MiB can be made small.
        if !meta.is_head() || !matches!(meta.order(), Order::ZERO | HUGE_ORDER) {
            return false;
        }
        let old = match page.maps(cx) {
            0 => OLDEST,
            _ => distance(self.round.get(), meta.age()),
        };
        let later = u64::from(SWAPPINESS < 100 && least > 0);
        match meta.state() {
            State::File => old >= least,
            State::Anon => old >= (least + later).min(OLDEST) && spaces.objects().swap_counts().total > 0,
            _ => false,
        }
    }

    fn try_evict<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        spaces: &Spaces<'m, M>,
        (pfn, page): (Pfn, &Descriptor),
        least: u64,
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
        let spare = if least > 0 { Spare::Used } else { Spare::None };
        let young = age_of(self.round.get());
        let gone = objects.try_evict(cx.at(), (pfn, young), spare).is_ok();
        if gone {
            cx.count(if is_anon { Counter::PgStealAnon } else { Counter::PgSteal });
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
