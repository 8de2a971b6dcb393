//! Floor 7 of Freehold: keeping it true under pressure: reclaim and the OOM killer.
#![no_std]
