//! The pruned search meets every outcome that the unpruned one meets, with fewer schedules.

use crate::small::*;
use proptest::prelude::*;
use sim::explore::{Ordered, Strategy as Search};

fn op() -> impl Strategy<Value = Op> {
    let word = 0usize..3;
    prop_oneof![
        4 => word.clone().prop_map(Op::Load),
        3 => (word.clone(), 1u64..9).prop_map(|(word, value)| Op::Store(word, value)),
        2 => word.clone().prop_map(Op::StoreNext),
        1 => word.prop_map(Op::Add),
        1 => Just(Op::Fence),
    ]
}

/// A few operations, some of them inside a lock.
fn program(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let ops = proptest::collection::vec(op(), 1..=most);
    (ops, any::<bool>(), 0usize..4).prop_map(|(mut ops, locked, at)| {
        if locked {
            let at = at.min(ops.len());
            ops.insert(at, Op::Lock(3));
            ops.push(Op::Unlock(3));
        }
        ops
    })
}

fn same(programs: &[Vec<Op>], preemptions: u32, ordered: Ordered) -> Result<(), TestCaseError> {
    let (all, unpruned) = outcomes(programs, Search::Unpruned { preemptions }, ordered);
    let (found, pruned) = outcomes(programs, Search::Exhaustive { preemptions }, ordered);
    prop_assert_eq!(pruned.complete, Some(preemptions));
    prop_assert!(pruned.schedules <= unpruned.schedules);
    prop_assert_eq!(found, all);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn two_cpus(a in program(5), b in program(5), preemptions in 0u32..4) {
        same(&[a, b], preemptions, Ordered::Sequential)?;
    }

    #[test]
    fn three_cpus(a in program(3), b in program(3), c in program(3), preemptions in 0u32..3) {
        same(&[a, b, c], preemptions, Ordered::Sequential)?;
    }

    #[test]
    fn two_cpus_with_store_buffers(a in program(3), b in program(3), preemptions in 0u32..2) {
        same(&[a, b], preemptions, Ordered::Buffered)?;
    }
}
