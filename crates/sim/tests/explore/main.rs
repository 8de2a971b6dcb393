//! The search through schedules: what it finds, and that pruning loses nothing.

mod devices;
mod interrupts;
mod known;
mod pruning;
mod small;
#[path = "../support/mod.rs"]
mod support;
