//! Weak memory against floor 4: every order, and every value a load may answer (see `loomed`).
#![forbid(unsafe_code)]

mod slots;
