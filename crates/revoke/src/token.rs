//! The proof that an entry was changed, which must be settled.

use crate::Domain;
use machine::{Asid, VpnRange};

/// How a right was taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A leaf that hardware could use was cleared.
    Page,
    /// A leaf that hardware could use lost rights, or bits that hardware may have cached.
    Change,
    /// A table was unlinked: cached upper levels go too, and lockless readers are waited for (LR4).
    Table,
    /// The entry was one hardware never uses (not present), so no CPU can have cached it.
    Unseen,
}

/// An entry was changed and nobody was told yet. Carries what may be freed once everybody was; only
/// [`crate::Batch::push`] takes it.
#[must_use = "a changed entry must be pushed into a batch: translations of it may still be cached"]
#[derive(Debug)]
pub struct Revoked<P> {
    pub(crate) payload: Option<P>,
    pub(crate) pages: VpnRange,
    pub(crate) what: What,
    pub(crate) asid: Asid,
}

impl<P> Revoked<P> {
    /// A leaf over `pages` was cleared; `payload` is what it held.
    #[inline]
    pub fn page(domain: &Domain, pages: VpnRange, payload: P) -> Self {
        Revoked { payload: Some(payload), pages, what: What::Page, asid: domain.asid() }
    }

    /// A leaf over `pages` was changed and keeps its frame.
    #[inline]
    pub fn change(domain: &Domain, pages: VpnRange) -> Self {
        Revoked { payload: None, pages, what: What::Change, asid: domain.asid() }
    }

    /// A table that spans `pages` was unlinked; `payload` names it.
    #[inline]
    pub fn table(domain: &Domain, pages: VpnRange, payload: P) -> Self {
        Revoked { payload: Some(payload), pages, what: What::Table, asid: domain.asid() }
    }

    /// A table that spans `pages` was unlinked and goes on being used by the caller.
    #[inline]
    pub fn unlinked(domain: &Domain, pages: VpnRange) -> Self {
        Revoked { payload: None, pages, what: What::Table, asid: domain.asid() }
    }

    /// An entry that hardware could not use was cleared or changed; `payload` is what it held, if that must
    /// be freed.
    #[inline]
    pub fn unseen(domain: &Domain, pages: VpnRange, payload: Option<P>) -> Self {
        Revoked { payload, pages, what: What::Unseen, asid: domain.asid() }
    }

    /// How the right was taken back.
    #[inline]
    pub fn what(&self) -> What {
        self.what
    }

    /// The pages whose translation changed.
    #[inline]
    pub fn pages(&self) -> VpnRange {
        self.pages
    }
}
