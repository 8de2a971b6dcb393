//! Weak memory against floor 1: every order, and every value a load may answer (see `loomed`).
#![forbid(unsafe_code)]

mod generations;
mod owing;
