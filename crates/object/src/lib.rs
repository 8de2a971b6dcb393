//! Floor 4 of Freehold: what pages belong to: anonymous memory, files and their page cache, reverse map.
#![no_std]
