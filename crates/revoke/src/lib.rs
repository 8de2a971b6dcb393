//! Floor 1 of Freehold: the revocation batch, one flush round and one grace period for many changes.
#![no_std]
