//! Floor 1 of Freehold: the revocation batch, one flush round and one grace period for many changes.
//!
//! Whoever takes a right to a page away does it in three steps: change entries under their tables' locks
//! (each change yields a [`Revoked`] token), settle them together ([`Batch::settle`]: no CPU holds an old
//! translation, no lockless reader is in an unlinked table), and only then finish (free, reuse, hand over).
//! Linux's `mmu_gather` is the model; the token makes forgetting the second step a compile error:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use revoke::{Domain, Revoked};
//! fn forgets(domain: &Domain) {
//!     Revoked::page(domain, machine::VpnRange::sized(machine::Vpn(1), 1), 7u64);
//! }
//! ```
//!
//! ```
//! #![deny(unused_must_use)]
//! use revoke::{Domain, Revoked};
//! fn hands_on(domain: &Domain) -> Revoked<u64> {
//!     Revoked::page(domain, machine::VpnRange::sized(machine::Vpn(1), 1), 7u64)
//! }
//! ```
//!
//! # Who is flushed
//! A [`Domain`] keeps the set of CPUs that translate through its tables now, and a generation that grows
//! with every flush. A CPU that left the set is not interrupted; when it comes back it compares the
//! generation with the one it saw and drops what it kept if they differ ([`CpuTlbs`]). See [`protocol`] for
//! why no flush falls between.
#![no_std]
#![forbid(unsafe_code)]

pub mod batch;
pub mod domain;
pub mod protocol;
pub mod room;
pub mod tlbs;
pub mod token;

pub use crate::batch::Batch;
pub use crate::domain::{Domain, DomainReport};
pub use crate::room::Room;
pub use crate::tlbs::CpuTlbs;
pub use crate::token::{Revoked, What};
