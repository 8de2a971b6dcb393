//! Memory programs, and a process of this Linux that runs them.
//!
//! A program is a list of operations ([`Op`]) of a few processes; each has an [`Answer`]. The worker
//! ([`worker::run`]) reads programs from its standard input, runs each in fresh processes and writes the
//! answers. It may be x86-64 Linux only; elsewhere there is no worker.
//!
//! Programs work in one range of addresses ([`arena`]) far from everything a process needs itself;
//! [`arena::is_harmless`] says which operations cannot reach beyond it.

#![deny(unsafe_code)]

pub mod arena;
mod call;
mod op;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(unsafe_code)]
pub mod peer;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(unsafe_code)]
pub mod worker;

pub use crate::call::Call;
pub use crate::op::{
    ANSWER_BYTES, AREA_BYTES, Answer, Area, Backing, FILES, HELLO_BYTES, Hello, OP_BYTES, OPS_MAX, Op,
    PIPE_BITS, PIPE_PAGES, REPLY_BYTES, REQUEST_BYTES, Reply, Request, SLOTS, STACK_SOFT, Status, WAIT_ANY,
};
