//! Weak memory against floor 0: every order, and every value a load may answer (see `loomed`).
#![forbid(unsafe_code)]

mod epochs;
mod heavy;
mod park;
mod sleep;
mod spin;
