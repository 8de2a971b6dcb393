//! Weak memory against floor 5: every order, and every value a load may answer (see `loomed`).
#![forbid(unsafe_code)]

mod stamps;
mod versions;
