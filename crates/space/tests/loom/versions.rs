//! The versions of the tree's nodes: lookups without a lock against the one writer.

use loomed::{Loomed, Op, Weak, Word, explore_bounded, rejects_bounded, together, word};
use machine::Memory;
use space::tree::version::{begin, end, is_unchanged, look};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const EXACT: Loomed = Loomed::EXACT;

/// Which orderings each step has.
#[derive(Clone, Copy)]
struct Steps {
    look: Loomed,
    is_unchanged: Loomed,
    begin: Loomed,
    end: Loomed,
}

const STEPS: Steps = Steps { look: EXACT, is_unchanged: EXACT, begin: EXACT, end: EXACT };

/// A node, and a field of it: it rises from 2 to 4 with the version, in an operation that changes both nodes.
struct Node {
    version: Word,
    field: Word,
}

impl Node {
    fn new() -> Node {
        Node { version: word(2), field: word(2) }
    }
}

/// What a descent does: parent, child, parent again, child again (see `Tree::find_lockless`).
fn descend(steps: Steps, [parent, child]: &[Node; 2]) -> Option<[u64; 2]> {
    let holds = |node: &Node, seen| is_unchanged(&steps.is_unchanged, &node.version, seen).then_some(());
    let seen = look(&steps.look, &parent.version)?;
    // RELAXED: as a `Field` is.
    let above = EXACT.load(&parent.field, Relaxed);
    holds(parent, seen)?;
    let child_seen = look(&steps.look, &child.version)?;
    holds(parent, seen)?;
    // RELAXED: as above.
    let below = EXACT.load(&child.field, Relaxed);
    holds(child, child_seen)?;
    Some([above, below])
}

fn a_descent_meets_an_operation(steps: Steps) {
    let nodes = Arc::new([Node::new(), Node::new()]);
    let written = Arc::clone(&nodes);
    together(
        move || {
            for node in written.iter() {
                begin(&steps.begin, &node.version);
                // RELAXED: as a `Field` is.
                EXACT.store(&node.field, 4, Relaxed);
            }
            written.iter().for_each(|node| end(&steps.end, &node.version));
        },
        || {
            let found = descend(steps, &nodes);
            assert!(matches!(found, None | Some([2, 2] | [4, 4])), "{MIXED}: {found:?}");
        },
    );
}

const MIXED: &str = "a descent found one node as it was and the other as it is";

#[test]
fn a_descent_finds_linked_nodes_as_they_were_or_as_they_are() {
    explore_bounded(3, || a_descent_meets_an_operation(STEPS));
}

#[test]
fn twin_looking_does_not_acquire() {
    const WEAK: Loomed = Loomed::weakened(&[Weak::new(Op::Load, Acquire, Relaxed)]);
    rejects_bounded(3, MIXED, || a_descent_meets_an_operation(Steps { look: WEAK, ..STEPS }));
}

#[test]
fn twin_looking_again_without_its_fence() {
    const WEAK: Loomed = Loomed::weakened(&[Weak::new(Op::Fence, Acquire, Relaxed)]);
    rejects_bounded(3, MIXED, || a_descent_meets_an_operation(Steps { is_unchanged: WEAK, ..STEPS }));
}

#[test]
fn twin_beginning_without_its_fence() {
    const WEAK: Loomed = Loomed::weakened(&[Weak::new(Op::Fence, Release, Relaxed)]);
    rejects_bounded(3, MIXED, || a_descent_meets_an_operation(Steps { begin: WEAK, ..STEPS }));
}

#[test]
fn twin_ending_does_not_release() {
    const WEAK: Loomed = Loomed::weakened(&[Weak::new(Op::Store, Release, Relaxed)]);
    rejects_bounded(3, MIXED, || a_descent_meets_an_operation(Steps { end: WEAK, ..STEPS }));
}
