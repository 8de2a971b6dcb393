//! Holding a page that an entry maps: references (`FOLL_GET`) and pins (`FOLL_PIN`), with exact counts.
//!
//! A **reference** keeps the bytes from being freed, and promises nothing else: the program's next store may
//! go to a copy (CR28). A **pin** of an anonymous page is taken only if the page is exclusive (CR3), and
//! while it lasts the page stays so (CR4): program and holder have one page until the program gives it up.
//!
//! Both are one step on the counts word, which refuses without references, at a cap, and, for pins, without
//! the exclusive bit. So what a walk without a lock needs is in that step, and in a second look at the entry:
//!
//! * **Shared at the same time** (fork, swap-out, migration, merging: CR6 to CR8). They clear the bit in one
//!   step that refuses while the page is pinned. The two steps have an order: the pin is seen, or the bit is
//!   gone. No fence, and no sequence count of fork (`write_protect_seq`, `MMF_HAS_PINNED`): what these are
//!   for on Linux is that its pins and its bit are two words (C-6, C-7, C-8, C-24).
//! * **Freed and used again at the same time.** The step reads what the new owner wrote to the word, and so
//!   happens after the entry was cleared: the second look finds that (CR9 B4, C-5).
//! * **A table taken away for a large leaf, or the other way round** (C-25). The second look begins at the
//!   root, and finds another entry or another level. Who takes the table away decides by a step on the counts
//!   of its pages, never by reading them alone.

use crate::objects::Objects;
use crate::page::{PageCtx, owner_id};
use frame::counts::{PINS_MAX, REFS_MAX};
use frame::{Flags, Meta, State};
use machine::{Counter, Cx, Event, FieldValue, HUGE_ORDER, Machine, Order, Pfn, Plant, UserFrame, level};

/// How a page is held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hold {
    /// By a reference: its bytes stay where they are. Linux: `FOLL_GET`.
    Get,
    /// By a pin: it stays the program's page. Linux: `FOLL_PIN`.
    Pin,
}

/// A page that is held, or nothing. It goes back once, with [`Objects::let_go`] or [`Objects::let_go_dirty`]:
/// whoever keeps copies sees to that. (Copies are what lets it lie in memory that CPUs share.)
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Held {
    /// Nothing.
    #[default]
    Nothing,
    /// The zero page, which is there for good and not counted (CR29).
    Zero(Pfn),
    /// A reference to a page.
    Got(Pfn),
    /// A pin on a page.
    Pinned(Pfn),
}

impl Held {
    /// What a hold on a page is.
    pub const fn new(pfn: Pfn, hold: Hold) -> Held {
        match hold {
            Hold::Get => Held::Got(pfn),
            Hold::Pin => Held::Pinned(pfn),
        }
    }

    /// The frame with the bytes.
    pub const fn frame(self) -> Option<UserFrame> {
        match self {
            Held::Nothing => None,
            Held::Zero(pfn) | Held::Got(pfn) | Held::Pinned(pfn) => Some(UserFrame(pfn)),
        }
    }
}

impl FieldValue for Held {
    fn to_bits(self) -> u64 {
        let (kind, pfn) = match self {
            Held::Nothing => (0, Pfn(0)),
            Held::Zero(pfn) => (1, pfn),
            Held::Got(pfn) => (2, pfn),
            Held::Pinned(pfn) => (3, pfn),
        };
        kind << 32 | u64::from(pfn.0)
    }
    fn from_bits(bits: u64) -> Self {
        let pfn = Pfn(bits as u32);
        match bits >> 32 {
            1 => Held::Zero(pfn),
            2 => Held::Got(pfn),
            3 => Held::Pinned(pfn),
            _ => Held::Nothing,
        }
    }
}

/// Why a page is not held. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum NotHeld {
    /// Others may share it: it must be made exclusive first.
    Shared,
    /// It is being freed, or a count is at its cap.
    Refused,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// Holds the page that an entry maps and counts. The caller has locked the entry's leaf, or is inside an
    /// epoch and looks at the entry again afterwards.
    pub fn hold_mapped(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        pfn: Pfn,
        hold: Hold,
    ) -> Result<Held, NotHeld> {
        let head = match hold {
            Hold::Get => self.frames().try_get_folio(cx, pfn),
            Hold::Pin if self.is_pinned_by_bit(cx, pfn) => self.pin_owned(cx, pfn),
            Hold::Pin => self.frames().try_pin_folio(cx, pfn),
        };
        let Some(head) = head else {
            return Err(self.why_not(cx, pfn, hold));
        };
        if hold == Hold::Pin {
            cx.count(Counter::PinAcquired);
            cx.trace(|| Event::Pinned { frame: pfn, held: self.descriptor(head).held() });
        }
        // Without a lock the frame may have become an anonymous page after the look at its state.
        if hold == Hold::Get || !self.is_pinned_by_bit(cx, pfn) || self.is_exclusive(cx, pfn) {
            return Ok(Held::new(pfn, hold));
        }
        self.let_go(cx, Held::new(head, hold));
        Err(NotHeld::Refused)
    }

    /// The same for a page found without a lock, if what the head of its folio says `fits`. A small anonymous
    /// page is pinned in one step, between two looks at what its head is.
    #[inline]
    pub fn hold_found(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        (pfn, hold): (Pfn, Hold),
        fits: impl FnOnce(Meta) -> bool,
    ) -> Option<Held> {
        let memmap = self.frames().memmap();
        let found = memmap.head(cx, pfn)?;
        let page = self.descriptor(found.0);
        let meta = page.meta(cx);
        if !fits(meta) {
            return None;
        }
        if hold == Hold::Get || found.1 != Order::ZERO || !self.is_pinned_by_state(cx, meta.state()) {
            return self.hold_mapped(cx, pfn, hold).ok();
        }
        if !page.pin_exclusive(cx) {
            return None;
        }
        // With a reference, heads stay what they are.
        if memmap.head(cx, pfn) != Some(found) {
            self.frames().unpin(cx, found.0);
            return None;
        }
        cx.count(Counter::PinAcquired);
        cx.trace(|| Event::Pinned { frame: pfn, held: page.held() });
        Some(Held::Pinned(pfn))
    }

    /// Gives a hold back.
    #[inline]
    pub fn let_go(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, held: Held) {
        match held {
            Held::Nothing | Held::Zero(_) => {}
            Held::Got(pfn) => self.frames().put(cx, pfn),
            Held::Pinned(pfn) => {
                cx.count(Counter::PinReleased);
                cx.trace(|| Event::Unpinned { frame: pfn });
                self.frames().unpin(cx, pfn);
            }
        }
    }

    /// Gives a hold back through which the page was stored to: who writes it back, or swaps it out, must not
    /// believe that its bytes are known elsewhere.
    // LINUX: mm/gup.c unpin_user_pages_dirty_lock(): the page lock keeps the page in its file meanwhile.
    pub fn let_go_dirty(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, held: Held) {
        let (Held::Got(pfn) | Held::Pinned(pfn)) = held else { return };
        let head = self.frames().folio(cx, pfn).0;
        let page = self.descriptor(head);
        match page.state(cx) {
            State::File => {
                let mut locked = self.lock_page(cx, head);
                let (owner, index) = page.owner_and_index(&locked);
                // Truncated pages have no owner, and nobody wants their bytes.
                if let Some(file) = owner_id(owner) {
                    self.mark_dirty(locked.at(), PageCtx { file, index }, head);
                }
            }
            _ => page.set(cx, Flags::DIRTY),
        }
        self.let_go(cx.at(), held);
    }

    /// Why a page is not held: a hint. Whoever is told that it is shared makes it exclusive, and comes back.
    fn why_not<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn, hold: Hold) -> NotHeld {
        let Some((head, _)) = self.frames().memmap().head(cx, pfn) else { return NotHeld::Refused };
        let counts = self.descriptor(head).counts(cx);
        let at_cap = counts.refs() == REFS_MAX || counts.pins() == PINS_MAX;
        match hold {
            Hold::Pin if !at_cap && self.is_pinned_by_bit(cx, pfn) => NotHeld::Shared,
            _ => NotHeld::Refused,
        }
    }

    /// Whether a page, which may be freed at any moment, is pinned only while it is exclusive.
    fn is_pinned_by_bit<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> bool {
        let state = self.frames().memmap().head(cx, pfn).map(|(head, _)| self.descriptor(head).state(cx));
        state.is_some_and(|state| self.is_pinned_by_state(cx, state))
    }

    fn is_pinned_by_state<const L: u8>(&self, cx: &Cx<'m, M, L>, state: State) -> bool {
        let anonymous = matches!(state, State::Anon | State::Ksm);
        anonymous && self.cow().unshares() && !cx.planted(Plant::PinWhateverTheBit)
    }

    /// Pins the folio of a frame if the page is exclusive, by the bit that speaks for it; answers its head.
    fn pin_owned(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn) -> Option<Pfn> {
        let (head, order) = self.frames().memmap().head(cx, pfn)?;
        let page = self.descriptor(head);
        if page.pin_exclusive(cx) {
            // With a reference, heads stay what they are.
            if self.frames().memmap().head(cx, pfn) == Some((head, order)) {
                return Some(head);
            }
            self.frames().unpin(cx, head);
            return None;
        }
        let by_pages = order == HUGE_ORDER && page.test(cx, Flags::BY_PAGES);
        if by_pages { self.frames().try_pin_subpage(cx, pfn) } else { None }
    }
}
