//! What `/proc` shows, as text.

pub mod buddyinfo;
mod kib;
pub mod maps;
pub mod meminfo;
pub mod page_tables;
pub mod status;
pub mod vmstat;
