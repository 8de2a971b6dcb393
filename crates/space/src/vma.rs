//! One mapping: a virtual memory area (VMA).
//!
//! A VMA is changed only under its space's layout lock. Faults read it without any lock: they take a
//! [`Snapshot`], do their work, and under the lock of the page table they change check that the VMA's stamp
//! is still the one they saw ([`Vma::is_current`]). Whoever changes a VMA, or removes translations that it
//! allowed, makes the stamp odd first: a fault either installed its entry before (and the change finds the
//! entry) or sees the stamp and starts over.

use crate::policy::MemPolicy;
use crate::stamp;
use core::sync::atomic::Ordering::Relaxed;
use frame::Id;
use machine::{Cx, Field, FieldValue, Machine, Memory, Perms, Vpn, VpnRange, Word};
use object::{Attachment, File, MappedFile};

/// Pages kept free below a stack (Linux: `stack_guard_gap`).
pub(crate) const STACK_GUARD: u64 = 256;

bitflags::bitflags! {
    /// Properties of a VMA (Linux: `vm_flags`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct VmaFlags: u64 {
        /// Loads are allowed.
        const READ = 1 << 0;
        /// Stores are allowed.
        const WRITE = 1 << 1;
        /// Instruction fetches are allowed.
        const EXEC = 1 << 2;
        /// Stores go to the object, seen by all who map it.
        const SHARED = 1 << 3;
        /// `mprotect` may allow loads.
        const MAY_READ = 1 << 4;
        /// `mprotect` may allow stores.
        const MAY_WRITE = 1 << 5;
        /// `mprotect` may allow instruction fetches.
        const MAY_EXEC = 1 << 6;
        /// A stack: faults below it extend it.
        const GROWS_DOWN = 1 << 7;
        /// Pages stay resident.
        const LOCKED = 1 << 8;
        /// With `LOCKED`: pages become resident when first touched.
        const LOCK_ON_FAULT = 1 << 9;
        /// Not counted as committed memory.
        const NO_RESERVE = 1 << 10;
        /// Counted as committed memory.
        const ACCOUNTED = 1 << 11;
        /// Not inherited by fork.
        const DONT_COPY = 1 << 12;
        /// Inherited empty by fork.
        const WIPE_ON_FORK = 1 << 13;
        /// Read-ahead is of use.
        const SEQUENTIAL = 1 << 14;
        /// Read-ahead is of no use.
        const RANDOM = 1 << 15;
        /// The initial stack (for reports).
        const STACK = 1 << 16;
        /// Pages of 2 MiB are wanted.
        const HUGE_PAGE = 1 << 20;
        /// Pages of 2 MiB are not wanted.
        const NO_HUGE_PAGE = 1 << 21;
        /// Equal pages may be merged.
        const MERGEABLE = 1 << 22;
    }
}

impl FieldValue for VmaFlags {
    fn to_bits(self) -> u64 {
        self.bits()
    }
    fn from_bits(bits: u64) -> Self {
        VmaFlags::from_bits_truncate(bits)
    }
}

impl VmaFlags {
    /// Loads, stores and fetches.
    pub const ACCESS: VmaFlags = VmaFlags::READ.union(VmaFlags::WRITE).union(VmaFlags::EXEC);

    /// What hardware may let pass: what is writable or executable is readable too (Linux: `protection_map` on
    /// x86).
    pub fn perms(self) -> Perms {
        Perms {
            read: self.intersects(VmaFlags::ACCESS),
            write: self.contains(VmaFlags::WRITE),
            execute: self.contains(VmaFlags::EXEC),
        }
    }

    /// These flags with other access rights.
    pub fn with_perms(self, perms: Perms) -> VmaFlags {
        let mut flags = self.difference(VmaFlags::ACCESS);
        flags.set(VmaFlags::READ, perms.read);
        flags.set(VmaFlags::WRITE, perms.write);
        flags.set(VmaFlags::EXEC, perms.execute);
        flags
    }

    /// Whether stores are private to the space: copy-on-write where there is something to copy.
    pub fn is_private(self) -> bool {
        !self.contains(VmaFlags::SHARED)
    }

    /// Whether its pages must not leave memory.
    pub fn is_locked(self) -> bool {
        self.contains(VmaFlags::LOCKED)
    }

    /// Whether the VMA's memory counts towards commitment (Linux: `accountable_mapping`).
    pub fn is_accountable(self) -> bool {
        self.is_private() && self.contains(VmaFlags::WRITE) && !self.contains(VmaFlags::NO_RESERVE)
    }
}

machine::cells! {
    /// A virtual memory area, in a slab.
    pub struct Vma {
        /// 0: free. Odd: being changed or detached. Otherwise unique to this state of this VMA.
        stamp: Word,
        /// (layout) First page.
        start: Field<Vpn>,
        /// (layout) One past the last page.
        end: Field<Vpn>,
        /// (layout) Properties.
        flags: Field<VmaFlags>,
        /// (layout) The object mapped; none for private anonymous memory.
        file: Field<Option<Id<File>>>,
        /// (layout) Page of the object = page number + this (wrapping).
        file_bias: Field<u64>,
        /// (layout) Index of an anonymous page in its lineage = page number +
        /// this (wrapping); 0 unless moved.
        anon_bias: Field<u64>,
        /// (layout) Who maps the object, in the object's own list.
        attachment: Field<Option<Id<Attachment>>>,
        /// (layout) Who maps the lineage's moved pages, in the lineage's list; only if `anon_bias` is not 0.
        moved_attachment: Field<Option<Id<Attachment>>>,
        /// Whether a private page was ever installed: fork copies such VMAs eagerly. Set under a leaf lock,
        /// and cleared under the layout's while the VMA is being changed.
        has_anon: Word,
        /// (layout) Which nodes new pages come from.
        policy: Field<MemPolicy>,
    }
}

/// What a VMA was at one moment: all that a fault needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Its identity.
    pub id: Id<Vma>,
    /// Its stamp at that moment.
    pub stamp: u64,
    /// Its pages.
    pub range: VpnRange,
    /// Its properties.
    pub flags: VmaFlags,
    /// Its object.
    pub file: Option<Id<File>>,
    /// Which nodes new pages come from.
    pub policy: MemPolicy,
    file_bias: u64,
    anon_bias: u64,
}

impl Snapshot {
    /// The page of the object at this page number.
    pub fn file_index(&self, page: Vpn) -> u64 {
        page.0.wrapping_add(self.file_bias)
    }

    /// The index of an anonymous page at this page number in its lineage.
    pub fn anon_index(&self, page: Vpn) -> u64 {
        page.0.wrapping_add(self.anon_bias)
    }
}

/// What a VMA is made of, beside its place. Two neighbours with equal content are one VMA.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// Properties.
    pub flags: VmaFlags,
    /// Object.
    pub file: Option<Id<File>>,
    /// Page of the object minus page number (wrapping).
    pub file_bias: u64,
    /// Lineage index minus page number (wrapping).
    pub anon_bias: u64,
    /// Which nodes new pages come from.
    pub policy: MemPolicy,
}

impl Content {
    /// The same content `from` pages elsewhere: what `mremap` moves.
    pub fn moved(self, from: Vpn, to: Vpn) -> Content {
        let shift = from.0.wrapping_sub(to.0);
        Content {
            file_bias: if self.file.is_some() { self.file_bias.wrapping_add(shift) } else { 0 },
            anon_bias: self.anon_bias.wrapping_add(shift),
            ..self
        }
    }

    /// Whether neighbours with these contents become one VMA (Linux: `can_vma_merge_*`).
    pub fn merges_with(&self, other: &Content) -> bool {
        self == other
    }
}

impl Vma {
    /// Its pages. (layout)
    pub fn range(&self) -> VpnRange {
        VpnRange::new(self.start.get(), self.end.get())
    }

    /// Its properties. (layout)
    pub fn flags(&self) -> VmaFlags {
        self.flags.get()
    }

    /// Its object. (layout)
    pub fn file(&self) -> Option<Id<File>> {
        self.file.get()
    }

    /// All but its place. (layout)
    pub fn content(&self) -> Content {
        Content {
            flags: self.flags.get(),
            file: self.file.get(),
            file_bias: self.file_bias.get(),
            anon_bias: self.anon_bias.get(),
            policy: self.policy.get(),
        }
    }

    /// Which nodes new pages come from. (layout)
    pub fn policy(&self) -> MemPolicy {
        self.policy.get()
    }

    /// The page of the object at this page number. (layout)
    pub fn file_index(&self, page: Vpn) -> u64 {
        page.0.wrapping_add(self.file_bias.get())
    }

    /// What part of which object it maps, if it maps one. (layout)
    pub fn mapped_file(&self) -> Option<MappedFile> {
        self.file().map(|file| MappedFile { file, bias: self.file_bias.get() })
    }

    /// Its place in the object's list. (layout)
    pub fn attachment(&self) -> Option<Id<Attachment>> {
        self.attachment.get()
    }

    /// Replaces its place in the object's list. (layout)
    pub(crate) fn set_attachment(&self, attachment: Option<Id<Attachment>>) {
        self.attachment.set(attachment);
    }

    /// Its place in the lineage's list, if its anonymous pages were moved. (layout)
    pub fn moved_attachment(&self) -> Option<Id<Attachment>> {
        self.moved_attachment.get()
    }

    /// Replaces its place in the lineage's list. (layout)
    pub(crate) fn set_moved_attachment(&self, attachment: Option<Id<Attachment>>) {
        self.moved_attachment.set(attachment);
    }

    /// Whether the index of its anonymous pages differs from their page numbers. (layout)
    pub fn is_moved(&self) -> bool {
        self.anon_bias.get() != 0
    }

    /// The index of an anonymous page at this page number in its lineage. (layout)
    pub fn anon_index(&self, page: Vpn) -> u64 {
        page.0.wrapping_add(self.anon_bias.get())
    }

    /// Whether a private page was ever installed.
    pub fn has_anon<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) -> bool {
        // RELAXED: who changes the VMA asks after the fence of beginning to (`stamp::begin`), which pairs
        // with that of `stamp::is_current` after the note.
        cx.load(&self.has_anon, Relaxed) != 0
    }

    /// Says that a private page is about to be installed. (leaf lock)
    pub fn note_anon<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        if !self.has_anon(cx) {
            // RELAXED: see `has_anon`.
            cx.store(&self.has_anon, 1, Relaxed);
        }
    }

    /// Says that every private page has moved elsewhere, for good. (layout, while it is being changed)
    pub(crate) fn forget_anon<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        // RELAXED: no page is installed meanwhile, and whoever does so later sees the change of the VMA.
        cx.store(&self.has_anon, 0, Relaxed);
    }

    /// A consistent view without any lock, or `None` while it is being changed.
    pub fn snapshot<M: Machine, const L: u8>(&self, id: Id<Vma>, cx: &Cx<'_, M, L>) -> Option<Snapshot> {
        let seen = stamp::look(cx, &self.stamp)?;
        let snapshot = self.view(id, seen);
        stamp::is_unchanged(cx, &self.stamp, seen).then_some(snapshot)
    }

    /// The same under the layout lock.
    pub(crate) fn view(&self, id: Id<Vma>, stamp: u64) -> Snapshot {
        let Content { flags, file, file_bias, anon_bias, policy } = self.content();
        Snapshot { id, stamp, range: self.range(), flags, file, policy, file_bias, anon_bias }
    }

    /// Whether nothing changed since the snapshot. Asked under the lock of the page table the caller is about
    /// to change: see the module's documentation.
    pub fn is_current<M: Machine, const L: u8>(&self, seen: &Snapshot, cx: &Cx<'_, M, L>) -> bool {
        stamp::is_current(cx, &self.stamp, seen.stamp)
    }

    /// Makes the stamp odd: faults that saw the VMA start over. (layout)
    pub(crate) fn begin_change<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>) {
        stamp::begin(cx, &self.stamp);
    }

    /// Ends a change with a stamp never used before. (layout)
    pub(crate) fn end_change<M: Machine, const L: u8>(&self, cx: &Cx<'_, M, L>, stamp: u64) {
        stamp::end(cx, &self.stamp, stamp);
    }

    /// Whether it is neither free nor being changed: for checkers of a quiet machine.
    pub fn is_stable(&self) -> bool {
        stamp::is_stable(self.stamp.raw().load(Relaxed))
    }

    /// Sets place and content. (layout, between `begin_change` and `end_change` or before it is published)
    pub(crate) fn write(&self, range: VpnRange, content: &Content) {
        self.set_range(range);
        self.flags.set(content.flags);
        self.file.set(content.file);
        self.file_bias.set(content.file_bias);
        self.anon_bias.set(content.anon_bias);
        self.policy.set(content.policy);
    }

    /// Sets the place. (as `write`)
    pub(crate) fn set_range(&self, range: VpnRange) {
        debug_assert!(!range.is_empty());
        self.start.set(range.start);
        self.end.set(range.end);
    }
}
