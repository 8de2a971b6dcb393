//! How long a space lives: who uses it, and who only has its tables loaded.
//!
//! ```text
//! word  63..32  holds   CPUs that have the tables loaded, and one for all users together
//!       31..0   users   processes, and operations for others (the OOM killer's) while they last
//! ```
//!
//! The last user to leave takes the memory away (Linux: `mm_users`, `mmput`); only then the users' common
//! hold goes, and the last hold to go takes the tables (`mm_count`, `mmdrop`). So an idle CPU may keep the
//! tables of a process that ended loaded, and keeps no memory by it.
//!
//! Both counts are one word: each change of one is decided with the other at one moment. Nobody ever adds up
//! users and CPUs to find out whether a process is left.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use machine::Memory;

const USER: u64 = 1;
const USERS: u64 = (1 << 32) - 1;
const HOLD: u64 = 1 << 32;

/// What a user leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// Others still use the space.
    Used,
    /// It was the last: nobody can come to use the space again. Who left takes the memory away, and then
    /// drops the users' hold ([`drop_hold`]).
    Deserted,
}

/// The first user comes, with the hold of all users.
pub fn begin<A: Memory>(memory: &A, uses: &A::Word) {
    // ORDERING: Release pairs with the Acquire in `try_join`.
    let before = memory.fetch_add(uses, HOLD | USER, Release);
    debug_assert_eq!(before, 0, "a space that somebody has begins");
}

/// One more user. The caller is one, or acts for one.
pub fn join<A: Memory>(memory: &A, uses: &A::Word) {
    // RELAXED: the caller's own use keeps the space alive.
    let before = memory.fetch_add(uses, USER, Relaxed);
    debug_assert!(users(before) > 0, "a space without users is joined");
}

/// One more user, unless the space has none: then it is being taken down. Whether it was done.
pub fn try_join<A: Memory>(memory: &A, uses: &A::Word) -> bool {
    loop {
        // RELAXED: the compare-exchange decides.
        let now = memory.load(uses, Relaxed);
        if users(now) == 0 {
            return false;
        }
        // ORDERING: Acquire pairs with the Release in `begin`.
        if memory.compare_exchange(uses, now, now + USER, Acquire).is_ok() {
            return true;
        }
    }
}

/// One user less.
pub fn leave<A: Memory>(memory: &A, uses: &A::Word) -> Left {
    // ORDERING: AcqRel: what every user did happens before what the last one takes down.
    let before = memory.fetch_add(uses, USER.wrapping_neg(), AcqRel);
    debug_assert!(users(before) > 0 && holds(before) > 0, "more users leave than came");
    if users(before) == 1 { Left::Deserted } else { Left::Used }
}

/// A CPU loads the tables. The caller uses the space.
pub fn hold<A: Memory>(memory: &A, uses: &A::Word) {
    // RELAXED: the caller's own use keeps the space alive.
    let before = memory.fetch_add(uses, HOLD, Relaxed);
    debug_assert!(users(before) > 0, "a space without users is loaded");
}

/// A CPU has let the tables go, or nobody uses the space any more. Whether it was the last: then the caller
/// frees the tables.
pub fn drop_hold<A: Memory>(memory: &A, uses: &A::Word) -> bool {
    // ORDERING: AcqRel: what every holder did happens before the last one frees.
    let before = memory.fetch_add(uses, HOLD.wrapping_neg(), AcqRel);
    debug_assert!(holds(before) > u64::from(users(before) > 0), "the users' hold goes with the last of them");
    holds(before) == 1
}

/// The users of a word's value.
pub fn users(value: u64) -> u64 {
    value & USERS
}

/// The holds of a word's value.
pub fn holds(value: u64) -> u64 {
    value >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, Pace};
    use machine::{Cx, Word};
    use std::vec::Vec;

    /// What one of several may do to a space: each step is one change of the word.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Step {
        /// A process ends; if it was the last, the memory goes, and then the users' hold.
        Leave,
        /// A process makes another, which shares the space.
        Join,
        /// A process begins to run on another CPU.
        Hold,
        /// That CPU goes on with something else.
        Drop,
        /// The OOM killer comes by; if it finds a user it is one, and leaves later.
        Try,
    }

    /// A space, as it should be according to what was done.
    #[derive(Clone, Default)]
    struct Fate {
        users: u64,
        taken_down: u64,
        freed: u64,
        owing: u64,
    }

    fn run(cx: &Cx<'_, Fake>, word: &Word, fate: &mut Fate, step: Step) {
        match step {
            Step::Join => join(cx, word),
            Step::Hold => hold(cx, word),
            Step::Try => {
                let found = try_join(cx, word);
                assert_eq!(found, fate.users > 0);
                fate.owing += u64::from(found);
            }
            Step::Leave => {
                let last = leave(cx, word) == Left::Deserted;
                assert_eq!(last, fate.users == 1, "who leaves last knows it");
                if last {
                    fate.taken_down += 1;
                    assert_eq!(fate.freed, 0, "memory goes before the tables");
                    fate.freed += u64::from(drop_hold(cx, word));
                }
            }
            Step::Drop => fate.freed += u64::from(drop_hold(cx, word)),
        }
        match step {
            Step::Join => fate.users += 1,
            Step::Try => fate.users += u64::from(fate.users > 0),
            Step::Leave => fate.users -= 1,
            Step::Hold | Step::Drop => {}
        }
    }

    /// Every order in which these do their steps, each its own in turn.
    fn every_order(left: &[&[Step]], done: &mut Vec<Step>, see: &mut dyn FnMut(&[Step])) {
        if left.iter().all(|steps| steps.is_empty()) {
            return see(done);
        }
        for who in 0..left.len() {
            if let Some((first, rest)) = left[who].split_first() {
                let mut next = left.to_vec();
                next[who] = rest;
                done.push(*first);
                every_order(&next, done, see);
                done.pop();
            }
        }
    }

    #[test]
    fn memory_goes_with_the_last_user_and_tables_with_the_last_hold() {
        let (fake, _, core) = Fake::start(8, Pace::Straight);
        let cx = fake.cx(core, 0);
        // A process that runs and ends; one that makes a child, which ends too; two CPUs that come and go.
        let all: [&[Step]; 3] = [
            &[Step::Hold, Step::Leave, Step::Drop],
            &[Step::Join, Step::Hold, Step::Leave, Step::Leave, Step::Drop],
            &[Step::Try],
        ];
        let mut orders = 0;
        every_order(&all, &mut Vec::new(), &mut |order| {
            let word = Word::new(0);
            begin(&cx, &word);
            join(&cx, &word);
            let mut fate = Fate { users: 2, ..Fate::default() };
            for step in order {
                run(&cx, &word, &mut fate, *step);
            }
            while fate.owing > 0 {
                fate.owing -= 1;
                run(&cx, &word, &mut fate, Step::Leave);
            }
            assert_eq!((fate.users, fate.taken_down, fate.freed), (0, 1, 1));
            assert_eq!(cx.load(&word, Relaxed), 0);
            orders += 1;
        });
        assert_eq!(orders, 504);
    }
}
