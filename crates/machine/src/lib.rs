//! Floor 0 of Freehold: addresses and units, the machine trait, the context, shared words, leveled locks, epochs.
#![no_std]
