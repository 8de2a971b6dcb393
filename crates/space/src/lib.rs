//! Floor 5 of Freehold: address spaces: VMAs and the operations on them.
#![no_std]
