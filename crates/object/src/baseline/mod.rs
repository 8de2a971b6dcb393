//! The rules of copy-on-write that Linux had before exclusive pages. Each is wrong in its own way; they are
//! kept to be measured beside ours, and for scenarios that show what they lose.

mod mapcount;
mod refcount;

pub use mapcount::Mapcount;
pub use refcount::Refcount;
