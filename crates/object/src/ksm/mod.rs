//! Same-page merging (KSM): equal anonymous pages become one page, which everybody maps read-only.
//!
//! * [`Node`]: a **stable node** stands for one merged page; a **candidate** for a page that was looked at in
//!   this pass and has not changed since the last.
//! * [`tree`]: both are found by the hash of their bytes.
//! * [`stable`]: merged pages: finding one, what names it, letting go of those that are gone.
//! * [`items`]: the reverse map of merged pages.
//! * [`merge`]: the exchange of one mapping. The only place that makes a page a merged one.
//!
//! What is scanned, and when, is decided above (floor 7); which part of an address space may be merged is
//! known in between (floor 5).
//!
//! # The life of a merged page
//! ```text
//! Anon --(twins found: one of them, as it is)--> Ksm --(last mapping goes)--> free
//!                                                 ^  maps: only read-only, never exclusive, never pinned
//!   other twins: their mapping goes over to it ---+
//! ```
//! A store to it always copies (row 22 of the COW table). Nothing but its mappings holds a merged page: the
//! stable node does not. When the page is gone its node is *stale*, and whoever scans lets it go.
//!
//! # Who may touch what
//! * *(scan)*: only who scans, and one does at a time. That is the upper floor's lock.
//! * *(page)*: whoever holds the lock of the merged page. If there is no such page any more, who scans.
//!
//! Linux: `mm/ksm.c`.

pub mod items;
pub mod merge;
pub mod stable;
pub mod survey;
pub mod tree;

pub use crate::ksm_model::{Item, Ksm, KsmSlabs, Node, Sight, Totals, Tree};
pub use merge::{Busy, Merging, Site, Target};
