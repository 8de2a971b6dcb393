//! Linux's own way of doing what Freehold does: the peer of benchmarks.
//!
//! All of it works on memory that is of nobody but the benchmark: an [`Area`] gives out no references to its
//! bytes, so taking its pages away or making them read-only harms nobody.

mod area;
mod clock;
mod fork;
mod pipe;

pub use area::{Area, PagesOf, Protection};
pub use clock::{Clock, null_call, run_on};
pub use fork::{Child, fork};
pub use pipe::Pipe;

use std::io;

/// What a call answered: its result, or what Linux calls the error.
fn answered(result: i64) -> io::Result<u64> {
    match result {
        error @ -4095..0 => Err(io::Error::from_raw_os_error(-error as i32)),
        // Of addresses too the bits are what counts.
        result => Ok(result as u64),
    }
}
