//! How Linux kept walks from what is freed, or was offered to: to compare with. See [`crate::walk`].
//!
//! All of them disable interrupts while they walk: who then asks a CPU by interrupt has waited for its walk.
//! They differ in whom they ask.

mod counter;
mod ipi;
mod percpu;

pub use counter::Counter;
pub use ipi::Ipi;
pub use percpu::PerCpu;
