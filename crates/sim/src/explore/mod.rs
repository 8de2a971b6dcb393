//! Every interleaving of a small run: who goes on is decided at each point where CPUs can meet.
//!
//! What is decided about are [`Agent`]s: CPUs, the interrupts that reached them, devices with transfers to
//! make, and, with [`Ordered::Buffered`], the stores in the CPUs' buffers. A [`Search`] gives out one
//! [`Plan`] after another; a run follows it ([`crate::SimMachine::explore`]) and answers with what was
//! decided ([`Run`]). A [`Seed`] is a run in one line; [`minimise`] makes it short.
//!
//! ```
//! use machine::{CpuId, KernelFrame, Machine, Pfn};
//! use sim::explore::{Bounds, Ordered, Search, Strategy};
//! use sim::{SimConfig, SimMachine};
//! use std::sync::atomic::Ordering::SeqCst;
//!
//! // Two CPUs add one to a word, each by a load and a store.
//! let config = SimConfig { cpus: 2, memory_bytes: 4 << 20, ..SimConfig::default() };
//! let mut search =
//!     Search::new(Strategy::Exhaustive { preemptions: 2 }, Ordered::Sequential, Bounds::default());
//! let mut sums = std::collections::BTreeSet::new();
//! while let Some(plan) = search.next_plan() {
//!     let machine = SimMachine::new(&config)?;
//!     machine.explore(plan)?;
//!     machine.scope(|scope| {
//!         for cpu in [CpuId(0), CpuId(1)] {
//!             scope.spawn(cpu, move |cx| {
//!                 let word = &cx.sim().kernel_area(KernelFrame(Pfn(0)), 1)[0];
//!                 let value = cx.sim().load(cpu, word, SeqCst);
//!                 cx.sim().store(cpu, word, value + 1, SeqCst);
//!             })?;
//!         }
//!         scope.run()
//!     })?;
//!     search.take(&machine.explored()).expect("repeatable");
//!     sums.insert(machine.kernel_area(KernelFrame(Pfn(0)), 1)[0].raw().load(SeqCst));
//! }
//! assert_eq!(Vec::from_iter(sums), [1, 2]);
//! assert_eq!(search.summary().complete, Some(2));
//! # Ok::<(), sim::SimError>(())
//! ```

mod agent;
mod driver;
mod happens;
mod locks;
mod minimise;
mod plan;
mod random;
mod search;
mod seed;

pub use self::agent::{Agent, CPUS_EXPLORED};
pub use self::happens::{Outside, Touch};
pub use self::minimise::minimise;
pub use self::plan::{Plan, Run};
pub use self::search::{Bounds, NotRepeatable, Search, Strategy, Summary};
pub use self::seed::{Ordered, Seed, SeedError};

pub(crate) use self::agent::{Agents, CHANNELS_MAX, Shape};
pub(crate) use self::driver::Driver;
pub(crate) use self::happens::Thing;
pub(crate) use self::locks::Locks;
