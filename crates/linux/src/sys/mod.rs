//! What `/sys/kernel/mm` shows and takes, as text.

pub mod ksm;
