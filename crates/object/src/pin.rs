//! Holding a page that an entry maps: references (`FOLL_GET`) and pins (`FOLL_PIN`), with exact counts.
//!
//! A **reference** keeps the bytes from being freed, and promises nothing else: the program's next store may go
//! to a copy (CR28). A **pin** of an anonymous page is taken only if the page is exclusive (CR3), and while it
//! lasts the page stays so (CR4): program and holder have one page until the program gives it up.
//!
//! Both are one step on the counts word, which refuses without references, at a cap, and, for pins, without the
//! exclusive bit. So what a walk without a lock needs is in that step, and in a second look at the entry:
//!
//! * **Shared at the same time** (fork, swap-out, migration, merging: CR6 to CR8). They clear the bit in one step
//!   that refuses while the page is pinned. The two steps have an order: the pin is seen, or the bit is gone. No
//!   fence, and no sequence count of fork (`write_protect_seq`, `MMF_HAS_PINNED`): what these are for on Linux is
//!   that its pins and its bit are two words (C-6, C-7, C-8, C-24).
//! * **Freed and used again at the same time.** The step reads what the new owner wrote to the word, and so
//!   happens after the entry was cleared: the second look finds that (CR9 B4, C-5).
//! * **A table taken away for a large leaf, or the other way round** (C-25). The second look begins at the root,
//!   and finds another entry or another level. Who takes the table away decides by a step on the counts of its
//!   pages, never by reading them alone.

use crate::objects::Objects;
use crate::page::{PageCtx, owner_id};
use frame::{Descriptor, Flags, State};
use machine::{Counter, Cx, FieldValue, HUGE_ORDER, Level, Machine, Pfn, Plant, UserFrame, level};

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
    /// Holds the page that an entry maps and counts. The caller has locked the entry's leaf, or is inside an epoch
    /// and looks at the entry again afterwards.
    pub fn hold_mapped(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        (pfn, level): (Pfn, Level),
        hold: Hold,
    ) -> Result<Held, NotHeld> {
        debug_assert!(level <= Level::HUGE, "a level that has leaves");
        let head = self.folio_now(cx, pfn).ok_or(NotHeld::Refused)?;
        let page = self.descriptor(head);
        let held = match hold {
            Hold::Get => page.try_get(cx),
            Hold::Pin if self.is_pinned_by_bit(cx, page) && !cx.planted(Plant::PinWhateverTheBit) => {
                match level {
                    // A part of a large folio has a bit of its own, beside the word with the pins.
                    Level::LEAF if page.order(cx) == HUGE_ORDER => self.pin_part(cx, pfn, head),
                    _ => page.pin_exclusive(cx),
                }
            }
            Hold::Pin => page.try_pin(cx),
        };
        if !held {
            // A hint: whoever is told so makes the page exclusive, and comes back.
            let shared = hold == Hold::Pin && self.is_pinned_by_bit(cx, page) && !self.is_exclusive(cx, pfn);
            return Err(if shared { NotHeld::Shared } else { NotHeld::Refused });
        }
        if hold == Hold::Pin {
            cx.count(Counter::PinAcquired);
        }
        // Without a lock the frame may have become another folio's, or of another kind, before it was held.
        if self.folio_now(cx, pfn) == Some(head) && self.is_rightly_held(cx, pfn, hold) {
            return Ok(Held::new(pfn, hold));
        }
        self.let_go(cx, Held::new(head, hold));
        Err(NotHeld::Refused)
    }

    /// Gives a hold back.
    pub fn let_go(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, held: Held) {
        match held {
            Held::Nothing | Held::Zero(_) => {}
            Held::Got(pfn) => self.frames().put(cx, pfn),
            Held::Pinned(pfn) => {
                cx.count(Counter::PinReleased);
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

    fn pin_part(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, pfn: Pfn, head: Pfn) -> bool {
        let pinned = self.frames().try_pin_subpage(cx, pfn);
        if let Some(other) = pinned.filter(|&other| other != head) {
            self.frames().unpin(cx, other);
        }
        pinned == Some(head)
    }

    /// Whether a page is pinned only while it is exclusive.
    fn is_pinned_by_bit<const L: u8>(&self, cx: &Cx<'m, M, L>, page: &Descriptor) -> bool {
        self.cow().unshares() && matches!(page.state(cx), State::Anon | State::Ksm)
    }

    /// Whether the hold that was just taken is of the kind that the page wants.
    fn is_rightly_held<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn, hold: Hold) -> bool {
        let by_bit = || self.is_pinned_by_bit(cx, self.descriptor(self.frames().folio(cx, pfn).0));
        hold == Hold::Get || !by_bit() || self.is_exclusive(cx, pfn) || cx.planted(Plant::PinWhateverTheBit)
    }

    /// The folio of a frame that may be freed at any moment.
    fn folio_now<const L: u8>(&self, cx: &Cx<'m, M, L>, pfn: Pfn) -> Option<Pfn> {
        match self.descriptor(pfn).meta(cx).is_head() {
            true => Some(pfn),
            false => self.frames().memmap().head(cx, pfn).map(|(head, _)| head),
        }
    }
}
