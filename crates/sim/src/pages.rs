//! What is done to the bytes of whole frames, and what it costs.

use crate::SimMachine;
use crate::config::{Bytes, Checks};
use crate::contents::{Base, Content};
use crate::report::{Cause, Counts};
use crate::violation::Rule;
use machine::{Corrupt, CpuId, HUGE_ORDER, Order, PAGE_SIZE, Pfn};
use std::cmp;

const PAGE: usize = PAGE_SIZE as usize;
/// What lz4 may make of a page that it cannot make smaller.
const COMPRESSED_MAX: usize = lz4_flex::block::get_maximum_output_size(PAGE);

impl SimMachine {
    // ---- zero, copy, discard ----

    pub(crate) fn zero_frames(&self, first: Pfn, order: Order) {
        let frames = order.frames();
        self.charge_pages(Cause::Zero, order, (self.costs.zero_hot, self.costs.zero_huge));
        Counts::add(&self.counts.frames_zeroed, frames);
        if self.bytes == Bytes::Ignored {
            return;
        }
        for frame in 0..frames {
            self.set_content(first.plus(frame), Content::of(Base::Zero));
        }
    }

    pub(crate) fn copy_frames(&self, to: Pfn, from: Pfn, order: Order) {
        let frames = order.frames();
        self.charge_pages(Cause::Copy, order, (self.costs.copy_hot, self.costs.copy_huge));
        Counts::add(&self.counts.frames_copied, frames);
        if self.bytes == Bytes::Ignored {
            return;
        }
        for frame in 0..frames {
            let content = self.with_content(from.plus(frame), Clone::clone);
            self.set_content(to.plus(frame), content);
        }
    }

    pub(crate) fn discard_frames(&self, first: Pfn, order: Order) {
        Counts::add(&self.counts.frames_discarded, order.frames());
        if self.bytes == Bytes::Ignored {
            return;
        }
        let mut contents = self.contents.borrow_mut();
        let discard = contents.count_discard();
        for frame in 0..order.frames() {
            if let Some(state) = contents.get_mut(first.plus(frame).0) {
                state.content = Content::default();
                state.generation = discard;
            }
        }
    }

    pub(crate) fn touch_frames(&self, cpu: CpuId, first: Pfn, order: Order) {
        if self.exploring.get() {
            (0..order.frames()).for_each(|frame| self.touch_frame(cpu, first.plus(frame)));
        }
    }

    // ---- looking at all of a frame ----

    pub(crate) fn compare_frames(&self, cpu: CpuId, a: Pfn, b: Pfn) -> cmp::Ordering {
        self.touch_frame(cpu, a);
        self.touch_frame(cpu, b);
        let (order, looked) = self.with_content(a, |a| self.with_content(b, |b| a.compare(b)));
        self.charge_looked(self.costs.compare_hot, looked);
        order
    }

    /// Books the time for looking at so many bytes of a frame, at the price of all of them.
    pub(crate) fn charge_looked(&self, page: u64, looked: usize) {
        Counts::add(&self.counts.frames_compared, 1);
        self.tick(Cause::Copy, (page * looked as u64).div_ceil(PAGE_SIZE));
    }

    // ---- compression ----

    pub(crate) fn compress_frame(&self, from: Pfn, into: &mut [u8]) -> Option<usize> {
        Counts::add(&self.counts.frames_compressed, 1);
        self.tick(Cause::Compress, self.costs.compress);
        let bytes = self.with_content(from, Content::bytes);
        // The library wants room for the worst case before it begins.
        let mut room = [0; COMPRESSED_MAX];
        let len = lz4_flex::block::compress_into(&bytes, &mut room).ok()?;
        into.get_mut(..len)?.copy_from_slice(&room[..len]);
        Some(len)
    }

    pub(crate) fn decompress_frame(&self, from: &[u8], to: Pfn) -> Result<(), Corrupt> {
        Counts::add(&self.counts.frames_decompressed, 1);
        self.tick(Cause::Compress, self.costs.decompress);
        let mut bytes = [0; PAGE];
        let len = lz4_flex::block::decompress_into(from, &mut bytes).map_err(|_| Corrupt)?;
        if len != PAGE {
            return Err(Corrupt);
        }
        self.set_content(to, Content::from_bytes(&bytes));
        Ok(())
    }

    /// The word at an offset of a page that was compressed to these bytes. Takes no time.
    pub fn peek_packed(packed: &[u8], offset: u64) -> Option<u64> {
        let mut bytes = [0; PAGE];
        lz4_flex::block::decompress_into(packed, &mut bytes).ok()?;
        let word = bytes.get(offset as usize..offset as usize + 8)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    }

    // ---- costs ----

    fn charge_pages(&self, cause: Cause, order: Order, (base, huge): (u64, u64)) {
        let cost = match order.0.checked_sub(HUGE_ORDER.0) {
            Some(more) => huge << more,
            None => base << order.0,
        };
        self.tick(cause, cost);
    }

    pub(crate) fn charge_bytes(&self, bytes: usize) {
        self.tick(Cause::Copy, (self.costs.copy_hot * bytes as u64).div_ceil(PAGE_SIZE));
    }

    // ---- bytes ----

    /// Changes a frame's bytes in place.
    pub(crate) fn change_frame(&self, who: &str, frame: Pfn, change: impl FnOnce(&mut Content)) {
        match self.contents.borrow_mut().get_mut(frame.0) {
            Some(state) => {
                change(&mut state.content);
                if state.held != 0 {
                    self.torn(who, frame);
                }
            }
            None => self.wild("a write", frame),
        }
    }

    pub(crate) fn set_content(&self, frame: Pfn, content: Content) {
        self.change_frame("a write of a whole page", frame, |old| *old = content);
    }

    /// Reads bytes of a frame, all of which somebody should have given a value.
    pub(crate) fn read_bytes(&self, who: &str, frame: Pfn, offset: u64, into: &mut [u8]) {
        let known = self.contents.borrow().get(frame.0).map(|f| f.content.read(offset as usize, into));
        if known.is_none() {
            Content::default().read(offset as usize, into);
        }
        if known != Some(true) {
            self.poison_read(who, frame);
        }
    }

    /// Looks at a frame's bytes, all of which somebody should have given a value.
    pub(crate) fn with_content<R>(&self, frame: Pfn, look: impl FnOnce(&Content) -> R) -> R {
        let contents = self.contents.borrow();
        let state = contents.get(frame.0);
        if state.is_none_or(|state| state.content.is_poison()) {
            self.poison_read("the kernel, in need of all bytes,", frame);
        }
        match state {
            Some(state) => look(&state.content),
            None => look(&Content::default()),
        }
    }

    // ---- what is wrong ----

    fn poison_read(&self, who: &str, frame: Pfn) {
        if self.checks != Checks::Off {
            let text = format!("{who} read {frame:?}, which holds bytes nobody gave a value");
            self.violate(Rule::PoisonRead, text);
        }
    }

    pub(crate) fn wild(&self, what: &str, frame: Pfn) {
        self.violate(Rule::WildEntry, format!("{what} to {frame:?}, which does not exist"));
    }

    /// Somebody changed bytes that were to stay.
    #[cold]
    pub(crate) fn torn(&self, who: &str, frame: Pfn) {
        if self.checks != Checks::Off {
            let text = format!("{who} changed {frame:?} while a device that needs stable bytes wrote it out");
            self.violate(Rule::TornWrite, text);
        }
    }
}
