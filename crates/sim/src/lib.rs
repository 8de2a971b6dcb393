//! A simulated machine for Freehold: CPUs with TLBs that go stale, IPIs, nodes, a clock with a cost model.
//!
//! * [`SimMachine`] implements [`machine::Machine`]. One host thread runs all CPUs; tasks are coroutines
//!   ([`Scope`]).
//! * User mode: [`TaskCtx::load`] and [`TaskCtx::store`] go through the CPU's TLB and the page tables, and
//!   fault into a [`Kernel`].
//! * A device: [`TaskCtx::dma_load`] and [`TaskCtx::dma_store`] let it access frames later, beside the CPUs.
//! * Time: every event costs what the [`Profile`] says, booked by [`Cause`].
//! * [`explore`]: every interleaving of a small run, instead of the one that follows the clocks.
//! * [`shadow::Shadow`]: the dumb model of processes and bytes that every load is compared with.
//!
//! Equal configurations and inputs give equal results to the bit: no host time, no addresses, no hash order
//! decides.
//!
//! What it costs the host (one core of a shared 2-core VM, processor time; measured by
//! `cargo run --release -p freehold-sim --example costs`): a word access 3 to 4 ns, a switch between CPUs 60
//! ns, a user load or store 35 ns, a walk 75 ns; a machine of 64 MiB 60 us, or 5 us from the second on (its
//! mapping is used again); one of 512 GiB 0.4 ms.
//!
//! ```
//! use sim::{SimConfig, SimMachine};
//! use machine::CpuId;
//!
//! let machine = SimMachine::new(&SimConfig { cpus: 2, ..SimConfig::default() })?;
//! let report = machine.scope(|scope| {
//!     scope.spawn(CpuId(0), |cx| cx.spend(sim::Cause::User, 500))?;
//!     scope.run()
//! })?;
//! assert_eq!(report.sim_ns, 500);
//! # Ok::<(), sim::SimError>(())
//! ```

#![deny(unsafe_code)]

mod backing;
mod caches;
mod config;
mod contents;
mod cpu;
mod device;
mod dma;
pub mod explore;
mod explored;
#[allow(unsafe_code)]
mod fiber;
mod files;
mod interrupts;
mod lines;
mod machine_impl;
#[allow(unsafe_code)]
mod memory;
mod pages;
pub mod profile;
mod report;
mod sched;
pub mod shadow;
mod sim;
mod store_buffers;
pub mod synthetic;
mod task;
mod tell;
mod tlb;
mod user;
mod violation;
mod wait_for;
mod watch;

pub use crate::config::{Bytes, CacheModel, Checks, SimConfig, SimError, TlbSize};
pub use crate::contents::Base;
pub use crate::device::{Moved, Toward, Transfer};
pub use crate::files::{Direction, SimFiles};
pub use crate::profile::{Constant, Costs, Profile, ProfileError};
pub use crate::report::{CAUSES, CAUSES_LEN, Cause, Events, RunReport};
pub use crate::sim::SimMachine;
pub use crate::task::{Kernel, Outcome, Scope, Signal, TaskCtx};
pub use crate::user::{PageFault, TlbEntry, Translation, UpperEntry};
pub use crate::violation::{Rule, Violation};
pub use crate::watch::{Sink, Told};
