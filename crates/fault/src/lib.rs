//! Floor 6 of Freehold: making mappings true: page faults, copy-on-write, populate.
#![no_std]
