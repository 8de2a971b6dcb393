//! Several CPUs in one address space, at every switch point a schedule can have.
//!
//! `random`: seeded programs of threads and processes, compared with a model. `races`: pairs of operations
//! that are known to be delicate, each as a test of its own. `granules`: parts of one layout with locks of
//! their own.
//!
//! `FREEHOLD_STRESS_SEEDS` is how many programs to run (and `FREEHOLD_STRESS_FIRST` the first seed),
//! `FREEHOLD_STRESS_SECONDS` for how long.

mod dice;
mod granules;
mod model;
mod program;
mod race;
mod races;
mod random;
mod world;
