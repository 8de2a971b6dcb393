//! Floor 2 of Freehold: who owns each page frame: sparse memmap, zones, buddy, per-CPU lists, slabs.
#![no_std]
