//! What is done with swap areas: pages leave memory and come back, entries come and go, areas begin and end.
//!
//! What they are is below, in [`crate::swap`].

mod cache;
mod map;
mod on;
mod out;
mod read;

pub use map::Entrance;
pub use on::{SwapCounts, SwapError};
pub(crate) use out::is_fit;
pub use out::{Stays, SwapOut};
