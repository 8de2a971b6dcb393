//! The machine made of this process: its threads are CPUs, its memory is memory.
//!
//! The manager's code is the one that runs everywhere; here it runs at the speed of the processor, on several
//! threads at once, under the processor's own memory order. What user mode does in hardware is done by a few
//! lines of software: each CPU has a TLB, walks the page tables when it misses, and sets accessed and dirty
//! bits by locked operations. Another CPU that flushes really takes translations away (see [`flush`]).
//!
//! # Parts
//! * [`HostConfig`]: what machine to build; [`HostMachine`]: the machine, a [`machine::Machine`].
//! * [`HostCpu`]: a CPU, as the thread that claimed it has it: user loads and stores go through it.
//! * [`Program`]: a thread of a process on a CPU, whose faults the manager handles.
//!
//! # What it is not
//! * There is one task a CPU: task `n` is the thread that claimed CPU `n`. A thread that parks keeps its CPU.
//! * There are no interrupts: nothing a CPU has to answer is asked of it. What interrupts are for (flushes,
//!   the heavy barrier) is done by `membarrier(2)` and by waiting for marks that end by themselves.
//! * It is x86-64 Linux only; elsewhere the crate is empty.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod arena;
mod backing;
mod barrier;
mod bytes;
mod claim;
mod config;
mod cpu;
mod files;
pub mod flush;
mod host_machine;
mod machine_impl;
mod pages;
mod program;
mod task;
mod tlb;
mod user;

pub use crate::claim::{HostCpu, Running};
pub use crate::config::{Checks, Contents, HostConfig, HostError, HugePages};
pub use crate::host_machine::HostMachine;
pub use crate::program::Program;
pub use crate::tlb::TlbEntry;
pub use crate::user::PageFault;
