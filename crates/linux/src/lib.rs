//! Floor 8 of Freehold: the Linux surface: calls, flags, errno, limits.
#![no_std]
