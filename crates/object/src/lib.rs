//! Floor 4 of Freehold: what pages belong to: anonymous memory, files and their page cache, reverse map.
//!
//! * [`Objects`] owns the floors below and everything here.
//! * **Files** ([`File`], [`FileKind`]): opened by key; their cached pages are found, read in
//!   ([`Objects::page`]), marked dirty, written back, truncated, dropped. Everything about a cached page is
//!   asked of a [`PageCtx`], the file and index it is reached through (WR1).
//! * **Attachments** ([`attach`]): who maps which part of a file. What writeback and truncation walk.
//! * **Lineages** ([`lineage`]): families of address spaces that share anonymous pages.
//! * **Exclusive pages** ([`exclusive`]): the only code that sets or clears the exclusive bit; [`cow`] is the
//!   rule it decides by.
//! * **Detaching** ([`Objects::detach_page`]): all mappings of a page become swap or migration entries, or
//!   the answer is that it is still mapped.
//! * **Pins** ([`pin`]): references and pins taken through an entry, and given back.
//! * **Large folios** ([`large`], [`split`]): 2 MiB of anonymous memory under one count.
//! * **Swap** ([`swap`]): areas, slots, the swap cache; pages leave memory and come back.
//! * **Large folios** ([`large`], [`split`], [`collapse`]): 2 MiB of anonymous memory under one count.
//! * **Merging** ([`ksm`]): equal anonymous pages become one, found by its own reverse map.
//! * **Accounting** ([`account`]): mapping and unmapping, so that entries, map counts, references and
//!   resident pages change together.
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
//! A page of several is locked by waiting, further ones only by trying. New pages are locked before anybody
//! can find them.
//!
//! # Who meets whom
//! * **Two readers of one page**: the second inserter loses and looks again; whoever finds a page that is
//!   being read waits on the page's own queue, holding nothing.
//! * **Fault and truncation**: [`Objects::still_cached`] under the leaf lock; truncation walks the leaves
//!   after it disowned the pages.
//! * **Fault and writeback**: a fault marks the page dirty before it makes an entry writable, both under the
//!   leaf lock; writeback takes the mark away before it write-protects.
//! * **Unmapping and writeback**: entries that could be written are flushed before the leaf is unlocked.
//! * **Fork and any walk**: both leaves are locked, the child's attachment stands behind its parent's.
//! * **Reading, writeback and truncation of one page**: the page lock; truncation waits for the end of
//!   writeback.
//! * **Reclaim and all others**: it takes only pages to which nobody but the cache has a reference.
#![no_std]
#![forbid(unsafe_code)]

pub mod account;
mod anon;
pub mod attach;
#[cfg(feature = "baselines")]
pub mod baseline;
pub mod collapse;
pub mod cow;
mod detach;
mod dirty;
mod evict;
pub mod exclusive;
pub mod fill;
pub mod inspect;
pub mod ksm;
pub mod ksm_model;
pub mod large;
mod lazy_free;
pub mod lineage;
pub mod migrate;
pub mod model;
pub mod objects;
pub mod open;
pub mod page;
pub mod pin;
pub mod radix;
mod reclaim;
pub mod rules;
pub mod split;
pub mod swap;
pub mod swapping;
mod truncate;
mod unmap;
pub mod writeback;

pub use crate::account::{MappedFile, TooManyMaps, Unmapper};
pub use crate::attach::Place;
pub use crate::collapse::{Collapse, NotCollapsed};
pub use crate::cow::Cow;
pub use crate::detach::{Detached, Into};
pub use crate::evict::Spare;
pub use crate::exclusive::AnonCtx;
pub use crate::fill::{Fetched, How, PageError, WINDOW, Want};
pub use crate::inspect::{Census, FileReport};
pub use crate::ksm::{Busy, KsmSlabs, Merging, Sight, Site, Target};
pub use crate::migrate::{Effort, Refused, Without};
pub use crate::model::{Attachment, File, FileKind, Lineage, Mappers, Mapping, Owner, SIZE_MAX, Sharing};
pub use crate::objects::{Objects, Slabs};
pub use crate::open::FileError;
pub use crate::page::{CachedPage, PageCtx, PageLock, owner_id, owner_number};
pub use crate::pin::{Held, Hold, NotHeld};
pub use crate::radix::{Mark, Visit};
pub use crate::split::Split;
pub use crate::swapping::{Entrance, Stays, SwapCounts, SwapError, SwapOut};
