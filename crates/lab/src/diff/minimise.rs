//! Smaller programs with the same difference.

use std::time::{Duration, Instant};

use native::arena::{PAGE, is_harmless};

use super::program::Program;

/// How long is spent on one program.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes away what a difference does not need, as long as `differs` says that it is still there.
pub(crate) fn minimise(program: &Program, mut differs: impl FnMut(&Program) -> bool) -> Program {
    let until = Instant::now() + PATIENCE;
    let mut best = program.clone();
    loop {
        let before = best.clone();
        drop_operations(&mut best, &mut differs, until);
        simplify_arguments(&mut best, &mut differs, until);
        if best == before || Instant::now() > until {
            return best;
        }
    }
}

/// Takes away runs of operations, the longest first.
fn drop_operations(best: &mut Program, differs: &mut impl FnMut(&Program) -> bool, until: Instant) {
    let mut size = best.ops.len().div_ceil(2);
    while size > 0 {
        // From the end: what comes first is needed by what follows.
        let mut end = best.ops.len();
        while end > 0 && Instant::now() < until {
            let start = end.saturating_sub(size);
            let mut smaller = best.clone();
            smaller.ops.drain(start..end);
            if differs(&smaller) {
                *best = smaller;
            }
            end = start.min(best.ops.len());
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
}

/// Values that are simpler than this one.
fn simpler(value: u64) -> Vec<u64> {
    let pages = value / PAGE * PAGE;
    let mut candidates = vec![0, 1, PAGE, pages, value / 2 / PAGE * PAGE, value.saturating_sub(PAGE)];
    candidates.extend(
        (0..u64::BITS).map(|bit| value & !(1 << bit)).filter(|&less| value < 1 << 22 && less != value),
    );
    candidates.retain(|&candidate| candidate < value);
    candidates.dedup();
    candidates
}

fn simplify_arguments(best: &mut Program, differs: &mut impl FnMut(&Program) -> bool, until: Instant) {
    for number in 0..best.ops.len() {
        let mut smaller = best.clone();
        smaller.ops[number].process = 0;
        if smaller != *best && Instant::now() < until && differs(&smaller) {
            *best = smaller;
        }
        for argument in 0..best.ops[number].call.args() {
            for candidate in simpler(best.ops[number].args[argument]) {
                let mut smaller = best.clone();
                smaller.ops[number].args[argument] = candidate;
                if Instant::now() > until {
                    return;
                }
                if is_harmless(&smaller.ops[number]) && differs(&smaller) {
                    *best = smaller;
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::op;
    use super::*;
    use native::Call;
    use native::arena::START;

    #[test]
    fn what_is_not_needed_goes() {
        let store = |page: u64| op(0, Call::Store, &[START + page * PAGE, 0xffc3]);
        let program = Program { memlock: 0, ops: (0..100).map(store).collect() };
        let needed = |op: &native::Op| op.args[0] / PAGE % 50 == START / PAGE % 50 && op.args[1] & 2 != 0;
        let small = minimise(&program, |program| program.ops.iter().filter(|op| needed(op)).count() >= 2);
        assert_eq!(small.ops.len(), 2);
        assert!(small.ops.iter().all(|op| op.args[1] == 2));
    }
}
