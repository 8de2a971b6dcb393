//! `freehold explore`: scenarios under every schedule.

pub mod run;
pub mod script;
