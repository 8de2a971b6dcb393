//! One file a call.

pub mod advise;
pub mod brk;
mod collapse;
mod compact;
pub mod exec;
pub mod exit;
pub mod fork;
pub mod lock;
pub mod lock_all;
pub mod map;
mod map_low;
pub mod mem;
pub mod move_pages;
pub mod pipe;
pub mod populate;
pub mod prlimit;
pub mod process_vm;
pub mod protect;
pub mod remap;
pub mod resident;
pub mod ring;
pub mod swap;
pub mod sync;
pub mod threads;
pub mod truncate;
pub mod unmap;
pub mod wait;
