//! Weak memory against floor 2: every order, and every value a load may answer (see `loomed`).
#![forbid(unsafe_code)]

mod counts;
mod lists;
mod page_lock;
mod split;
mod subpages;
