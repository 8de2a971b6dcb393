//! Weak memory for tests: the shared words of Freehold's lock-free protocols, played by [loom].
//!
//! Loom runs a small concurrent program in every order, and lets each load answer every value that the memory
//! model of C11 allows. A protocol that is generic over [`machine::Memory`] takes its words from [`Loomed`];
//! code that wants a whole context takes them from a [`Board`]. It is the code of every other machine: there
//! is no second build of it and no `cfg`.
//!
//! Each test has **twins**: the same program, with one ordering weakened ([`Weak`]). [`rejects`] fails unless
//! loom then finds what the ordering is there to prevent. So a twin shows that the test would notice, and
//! that the ordering is needed.
//!
//! What loom cannot show: a load never answers a value that is stored later in the run (load buffering), so
//! what must not move *down* past a store is watched with [`Data`], whose races loom finds in any order; and
//! sequentially consistent fences synchronise more in loom than in C11 (each with every earlier one), so
//! tests look at what a fence protects without help of another.

mod board;
mod data;
mod memory;
mod run;

pub use board::{At, Board};
pub use data::Data;
pub use memory::{Loomed, Op, Weak, Word, word};
pub use run::{LOST, RACE, explore, explore_bounded, rejects, rejects_bounded, together};

pub use loom::sync::Mutex;
pub use loom::thread::spawn;
