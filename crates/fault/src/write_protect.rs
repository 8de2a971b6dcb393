//! Stores to pages that are mapped read-only though the VMA allows stores (Linux: `do_wp_page`).

use crate::error::FaultError;
use crate::faults::Faults;
use crate::handle::{Outcome, Purpose, Wish};
use frame::State;
use machine::entry::Attrs;
use machine::trace::{Held, Verdict};
use machine::{Counter, Cx, Entry, EntryFormat, Event, Level, Machine, Pfn, level};
use object::exclusive::Reuse;
use table::Leaf;

impl<'m, M: Machine> Faults<'m, M> {
    /// Writes in place what nobody else can see, and copies everything else.
    pub(crate) fn write_protected(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        pfn: Pfn,
    ) -> Result<Outcome, FaultError> {
        let outcome = if wish.level == Level::HUGE {
            self.write_protected_huge(cx, wish, pfn)?
        } else if M::Entry::attrs(wish.entry).special {
            cx.trace(|| judged(wish, pfn, Verdict::ZeroPage, Held::default()));
            let fresh = self.zeroed_frame(cx, wish)?;
            self.replace_with(cx, wish, fresh)?
        } else if wish.vma.flags.is_private() {
            self.unshare(cx, wish, pfn)?
        } else {
            self.write_shared(cx, wish, pfn)?
        };
        if outcome == Outcome::Done {
            cx.count(match wish.purpose {
                Purpose::Access => Counter::FaultWriteProtect,
                Purpose::Own => Counter::CowUnshared,
            });
        }
        Ok(outcome)
    }

    /// Private memory: reuse or copy (rows 7 to 10 of the COW table; CR11, CR12).
    fn unshare(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        pfn: Pfn,
    ) -> Result<Outcome, FaultError> {
        let frames = self.spaces().frames();
        let merged;
        {
            let Some(mut leaf) = self.lock_unchanged(cx, wish)? else { return Ok(Outcome::Again) };
            let descriptor = self.spaces().objects().folio(&leaf, pfn).page;
            let state = descriptor.state(&leaf);
            let reuse = match state {
                State::Anon => self.spaces().objects().reuse(&leaf, wish.page, pfn),
                _ => Reuse::Copy,
            };
            let verdict = match state {
                State::Anon => reuse.told(),
                // Row 22: a merged page is found by its bytes, so nobody ever writes them.
                State::Ksm => Verdict::Merged,
                _ => Verdict::FilePage,
            };
            merged = state == State::Ksm;
            leaf.trace(|| judged(wish, pfn, verdict, descriptor.held()));
            if reuse.is_in_place() {
                // What the swap cache has of it would be stale.
                self.spaces().objects().abandon_swap(&mut leaf, pfn);
                make_writable(&mut leaf, wish);
                leaf.count(Counter::CowReused);
                return Ok(Outcome::Done);
            }
            // The copy is made without the lock; the reference keeps the bytes where they are.
            // Eight million references: refused rather than miscounted.
            frames.get(&leaf, pfn).map_err(|_| FaultError::Bus)?;
        }
        let copied = self.copied_frame(cx, wish, pfn);
        let outcome = match copied {
            Ok(fresh) => {
                let outcome = self.replace_with(cx, wish, fresh);
                if outcome == Ok(Outcome::Done) {
                    self.tell_copied(cx, wish, (pfn, fresh));
                }
                outcome
            }
            Err(shortage) => Err(FaultError::Shortage(shortage)),
        };
        frames.put(cx.at(), pfn);
        if outcome == Ok(Outcome::Done) {
            cx.count(Counter::CowCopied);
            if merged {
                cx.count(Counter::CowKsm);
            }
        }
        outcome
    }

    /// A shared page of an object: a file learns that its page is dirty before
    /// the store (Linux: `wp_page_shared`).
    fn write_shared(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        wish: &Wish,
        pfn: Pfn,
    ) -> Result<Outcome, FaultError> {
        let objects = self.spaces().objects();
        let Some(ctx) = wish.page_ctx() else { return Ok(Outcome::Again) };
        let Some(mut leaf) = self.lock_unchanged(cx, wish)? else { return Ok(Outcome::Again) };
        // The mark comes first: writeback takes it away before it write-protects the entry, under this lock.
        leaf.trace(|| judged(wish, pfn, Verdict::SharedMapping, Held::default()));
        objects.mark_dirty(&mut leaf, ctx, pfn);
        make_writable(&mut leaf, wish);
        Ok(Outcome::Done)
    }
}

/// What those who watch are told.
pub(crate) fn judged(wish: &Wish, frame: Pfn, verdict: Verdict, held: Held) -> Event {
    Event::StoreJudged { page: wish.page, frame, verdict, held }
}

/// Lets stores pass, if that is what the fault is for. Nothing has to be flushed: a CPU that remembers the
/// old entry faults and finds this one.
pub(crate) fn make_writable<M: Machine>(leaf: &mut Leaf<'_, '_, M>, wish: &Wish) -> Entry {
    if wish.purpose == Purpose::Own {
        return wish.entry;
    }
    let level = leaf.level();
    leaf.relax(wish.page, |entry| {
        let attrs = M::Entry::attrs(entry);
        let attrs = Attrs { perms: wish.vma.flags.perms(), accessed: true, dirty: true, ..attrs };
        M::Entry::with_attrs(entry, attrs, level)
    })
}
