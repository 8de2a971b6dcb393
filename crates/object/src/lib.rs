//! Floor 4 of Freehold: what pages belong to: anonymous memory, files and their page cache, reverse map.
//!
//! * [`Objects`] owns the floors below and everything here.
//! * **Files** ([`File`], [`FileKind`]): opened by key; their cached pages are found, read in ([`Objects::page`]), marked
//!   dirty, written back, truncated, dropped. Everything about a cached page is asked of a [`PageCtx`], the file and index
//!   it is reached through (WR1).
//! * **Attachments** ([`attach`]): who maps which part of a file. What writeback and truncation walk.
//! * **Lineages** ([`lineage`]): families of address spaces that share anonymous pages.
//! * **Exclusive pages** ([`exclusive`]): the only code that sets or clears the exclusive bit.
//! * **Accounting** ([`account`]): mapping and unmapping, so that entries, map counts, references and resident pages
//!   change together.
//!
//! # Locks, in order
//! ```text
//! layout of a space (caller's)
//!   page lock        reading in, removing, choosing for writeback; waiters park on the page's own queue
//!     Mappers.lock   attachments of a file or lineage; walks hold it shared
//!       leaf tables
//!         File.cache index, marks and size of one file
//!           registry bucket   files by key, their users
//! ```
//! A page of several is locked by waiting, further ones only by trying. New pages are locked before anybody can find them.
//!
//! # Who meets whom
//! | | fault (has a page, locks a leaf) | read-in | writeback | truncate | reclaim |
//! |---|---|---|---|---|---|
//! | **read-in** | waits on the page's queue | second inserter loses, looks again | page lock | page lock, size under cache lock | locked pages stay |
//! | **writeback** | dirty mark before writable entry, both under the leaf lock | | page lock, then waits | page lock, then waits | has a reference |
//! | **truncate** | [`Objects::still_cached`] under the leaf lock; walk after disowning | | | caller keeps two apart | either removes, the other finds it gone |
//! | **fork** | both leaves locked; child attached behind parent | | walk meets parent first | the same | |
#![no_std]
#![forbid(unsafe_code)]

pub mod account;
pub mod attach;
mod dirty;
pub mod exclusive;
pub mod file;
pub mod fill;
pub mod inspect;
pub mod lineage;
pub mod objects;
pub mod open;
pub mod page;
pub mod radix;
mod reclaim;
mod truncate;
mod unmap;
pub mod writeback;

pub use crate::account::{MappedFile, TooManyMaps, Unmapper};
pub use crate::attach::{Attachment, Mappers, Mapping, Owner, Place, Sharing};
pub use crate::exclusive::AnonCtx;
pub use crate::file::{File, FileKind, SIZE_MAX};
pub use crate::fill::{Fetched, How, PageError, WINDOW, Want};
pub use crate::inspect::Census;
pub use crate::lineage::Lineage;
pub use crate::objects::{Objects, Slabs};
pub use crate::open::FileError;
pub use crate::page::{CachedPage, PageCtx, owner_id, owner_number};
pub use crate::radix::{Mark, Visit};
