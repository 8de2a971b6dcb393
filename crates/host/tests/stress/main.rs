//! Threads that run at the same time: random calls, forks, stores that a flush has to stop.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;
mod lives;
mod random;
mod region;
mod shootdown;
