//! What must be true of a Freehold machine: whole-state checkers, one function per numbered rule.
//!
//! [`Audit::run`] looks at everything that was ever touched on a quiet machine (no operation is in flight)
//! and tells of every rule that does not hold. The rules are [`Rule`]; `docs/rules.md` lists them with their
//! sources and tests.
//!
//! It reads memory behind the machine's back, so an audit costs no simulated time and decides no schedule. It
//! allocates nothing: what it must remember of each frame goes into a [`Ledger`] of the caller's. What it
//! cannot find by walking the manager comes from [`Outside`]: the translations CPUs hold, and references that
//! others hold.
//!
//! # Order of a run
//! 1. slabs claim their frames; files claim their cached pages;
//! 2. each space: its VMAs, its tables, its entries (which claim what they map);
//! 3. every block of frames is compared with what was claimed of it;
//! 4. translations of CPUs, locks.
#![no_std]
#![forbid(unsafe_code)]

pub mod audit;
mod checks;
mod context;
pub mod ledger;
mod named;
pub mod outside;
pub mod report;
pub mod rule;
pub mod violation;

pub use crate::audit::Audit;
pub use crate::ledger::{DenseLedger, Ledger, Tally};
pub use crate::outside::{Holders, Known, Link, Outside, Tlbs, Translation};
pub use crate::report::Report;
pub use crate::rule::{RULES, Rule};
pub use crate::violation::{Text, Violation};
