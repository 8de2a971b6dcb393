//! Freehold: a Linux-class virtual memory manager, for kernels, hypervisors and sandboxes.
//!
//! Implement [`machine::Machine`] for your hardware, build a [`Manager`] on it, and use its Linux surface
//! ([`linux::Linux`]): calls take what programs pass, faults take what the CPU reports. `examples/minimal` is
//! a whole machine in under 250 lines.
//!
//! No `std`, no `alloc`, no global state; out of memory is an error.
#![no_std]
#![forbid(unsafe_code)]

mod config;
#[cfg(doctest)]
mod lock_order;
mod manager;
#[cfg(doctest)]
mod walk_rules;

pub use crate::config::Config;
pub use crate::manager::Manager;

pub use {balance, fault, frame, linux, machine, object, revoke, space, table};
