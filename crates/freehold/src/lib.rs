//! Floor 9 of Freehold: the facade a kernel author depends on.
#![no_std]
