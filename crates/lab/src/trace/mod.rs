//! Traces: every event of frames and translations of a replay, in a file, and the stories they tell.
//!
//! [`tell()`] is one event as one line; [`decision_of`] says which rule a decision follows and what decides
//! the same on Linux. [`TraceWriter`] and [`TraceReader`] are the file (docs/trace.md).

mod codec;
mod decide;
mod ears;
mod file;
mod index;
pub mod perfetto;
mod read;
mod record;
mod scene;
mod show;
mod story;
mod summary;
mod tell;
mod wire;

pub use codec::{KINDS, kind_of};
pub use decide::{DECISIONS, Decision, decision_of};
pub use ears::Ears;
pub use file::{TraceError, TraceReader, TraceWriter};
pub use read::{End, read_to_end};
pub use record::{Header, Listener, Program, Record, What};
pub use tell::tell;

pub(crate) use read::{Trace, Wanted};
pub(crate) use scene::plain;
