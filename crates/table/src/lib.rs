//! Floor 3 of Freehold: page tables: cursors, walks, entry changes that must be settled.
#![no_std]
