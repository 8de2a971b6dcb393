//! Areas come (`swapon`), and go when they are empty (`swapoff`, last part).

use crate::objects::Objects;
use crate::swap::area::{Area, AreaReport, Life, SlotReport, SwapDevice};
use crate::swap::slot::{self, SlotState};
use crate::swap::store::{Stored, quiet_object, words_of};
use crate::swap::words::WORDS_MAX;
use core::sync::atomic::Ordering::Acquire;
use machine::{Backing, Cx, Field, Machine, Memory, Pfn, Shortage, level};
use table::Slot;

/// Why an area could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SwapError {
    /// No pages, or more than an area can have (`EINVAL`).
    Size,
    /// The device is an area already (`EBUSY`).
    InUse,
    /// There are as many areas as there can be (`EPERM`).
    TooMany,
    /// No such area (`EINVAL`).
    NoArea,
    /// No memory for the words of its slots (`ENOMEM`).
    Shortage(Shortage),
}

impl From<Shortage> for SwapError {
    fn from(shortage: Shortage) -> Self {
        SwapError::Shortage(shortage)
    }
}

impl core::fmt::Display for SwapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            SwapError::Size => "a swap area has at least one page, and at most 2^26",
            SwapError::InUse => "the device is a swap area already",
            SwapError::TooMany => "there are 32 swap areas already",
            SwapError::NoArea => "no such swap area",
            SwapError::Shortage(_) => "no memory for the slots of the swap area",
        })
    }
}

impl core::error::Error for SwapError {}

/// All areas together, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SwapCounts {
    /// Slots (`SwapTotal`).
    pub total: u64,
    /// Slots that nobody has (`SwapFree`).
    pub free: u64,
}

impl<'m, M: Machine> Objects<'m, M> {
    /// The most pages an area can have.
    pub const SWAP_PAGES_MAX: u64 = WORDS_MAX / 2;

    /// Makes a swap area; answers its number. Without a priority it comes after all areas before it (Linux:
    /// -2 for the first such area, -3 for the second ...).
    pub fn swap_on(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        device: SwapDevice,
        priority: Option<i16>,
    ) -> Result<u8, SwapError> {
        let pages = device.pages();
        if pages == 0 || pages > Self::SWAP_PAGES_MAX {
            return Err(SwapError::Size);
        }
        let number = self.start_area(cx, device)?;
        let area = &self.swap.areas[usize::from(number)];
        if let Err(shortage) = self.prepare_area(cx, area, device) {
            self.set_life(cx, area, Life::Unused);
            return Err(shortage.into());
        }
        let priority = priority.map_or_else(
            || -1 - i64::try_from(self.swap.shared.unasked.add_shared(1)).unwrap_or(i64::MAX),
            i64::from,
        );
        area.priority.set(priority.clamp(i64::from(i16::MIN), i64::from(i16::MAX)));
        area.hand.set(0);
        self.set_life(cx, area, Life::Live);
        Ok(number)
    }

    /// Finds a number for an area, and says there what it is made of: of two that want one device at the same
    /// time the second finds the first.
    fn start_area(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, device: SwapDevice) -> Result<u8, SwapError> {
        let mut starting = self.swap.shared.starting.lock(cx);
        let is_taken = |area: &Area| area.life.get() != Life::Unused && area.is_made_of(device);
        if self.swap.areas.iter().any(is_taken) {
            return Err(SwapError::InUse);
        }
        for (number, area) in (0..).zip(self.swap.areas) {
            let _held = area.lock.lock(&mut starting);
            if area.life.get() == Life::Unused {
                area.name(device);
                area.life.set(Life::Starting);
                return Ok(number);
            }
        }
        Err(SwapError::TooMany)
    }

    fn prepare_area(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        area: &Area,
        device: SwapDevice,
    ) -> Result<(), Shortage> {
        let pages = device.pages();
        let before = area.words.ready();
        area.words.make_ready(cx.at(), self.frames(), pages)?;
        let prepared = self.prepare_kind(cx, area, device);
        if prepared.is_err() {
            area.words.cut(cx.at(), self.frames(), before);
        }
        prepared
    }

    fn prepare_kind(
        &self,
        cx: &mut Cx<'m, M, { level::LAYOUT }>,
        area: &Area,
        device: SwapDevice,
    ) -> Result<(), Shortage> {
        match device {
            SwapDevice::File { key, .. } => area.stable.set(cx.machine().files().stable_writes(key)),
            SwapDevice::Compressed { pages, .. } => {
                area.stable.set(false);
                area.places.make_ready(cx.at(), self.frames(), pages * 2)?;
            }
        }
        area.pages.set(device.pages());
        Ok(())
    }

    fn set_life(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, area: &Area, life: Life) {
        let _held = area.lock.lock(cx);
        area.life.set(life);
    }

    /// The area hands out no slots from here on (`swapoff`, first part). Its pages are to be brought back
    /// next; then [`Objects::end_swap_off`].
    pub fn begin_swap_off(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, number: u8) -> Result<(), SwapError> {
        let area = self.swap.areas.get(usize::from(number)).ok_or(SwapError::NoArea)?;
        let _held = area.lock.lock(cx);
        if area.life.get() != Life::Live {
            return Err(SwapError::NoArea);
        }
        area.life.set(Life::Ending);
        Ok(())
    }

    /// Ends what [`Objects::begin_swap_off`] began. An area that still has slots in use is live again:
    /// `false`.
    pub fn end_swap_off(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, number: u8) -> bool {
        let Some(area) = self.swap.areas.get(usize::from(number)) else { return false };
        // ORDERING: Acquire pairs with the Release in `take_last_step`: all words say that nobody has a slot.
        let empty = cx.load(&area.used, Acquire) == 0;
        self.set_life(cx, area, if empty { Life::Unused } else { Life::Live });
        empty
    }

    /// How many slots of an area are in use.
    pub fn slots_in_use(&self, number: u8) -> u64 {
        self.swap.areas.get(usize::from(number)).map_or(0, Area::used)
    }

    /// Takes pages out of the cache that no entry of an area names: what `swapoff` need not bring back.
    pub fn drop_kept(&self, cx: &mut Cx<'m, M, { level::LAYOUT }>, number: u8) {
        let Some(area) = self.swap.areas.get(usize::from(number)) else { return };
        for page in 0..area.pages.get() {
            let slot = Slot { area: number, page };
            let state = self.slot_state(cx, slot);
            if let (0, Some(frame), false) = (state.entries(), state.frame(), state.is_freeing()) {
                let last = self.slot_word(cx, slot).and_then(|word| slot::abandon(cx, word, frame));
                self.take_last_step(cx.at(), slot, last);
            }
        }
    }

    /// The area of a device; `None` if it is none.
    pub fn area_of(&self, device: SwapDevice) -> Option<u8> {
        self.swap_areas().find(|report| report.device == device).map(|report| report.area)
    }

    /// All areas together.
    pub fn swap_counts(&self) -> SwapCounts {
        let live = self.swap.areas.iter().filter(|area| area.life.get() == Life::Live);
        live.fold(SwapCounts::default(), |sum, area| SwapCounts {
            total: sum.total + area.pages.get(),
            free: sum.free + area.free(),
        })
    }

    /// The areas there are.
    pub fn swap_areas(&self) -> impl Iterator<Item = AreaReport> + '_ {
        let known = |area: &Area| matches!(area.life.get(), Life::Live | Life::Ending);
        (0..).zip(self.swap.areas).filter(move |(_, area)| known(area)).map(|(number, area)| AreaReport {
            area: number,
            device: area.device(),
            priority: area.priority.get() as i16,
            stable: area.stable.get(),
            used: area.used(),
            stored_frames: area.store.frames.get(),
        })
    }

    /// What a slot's word says, on a quiet machine.
    pub fn quiet_slot(&self, machine: &'m M, slot: Slot) -> SlotState {
        // RELAXED: the machine is quiet.
        let read = |word: &machine::Word| word.raw().load(core::sync::atomic::Ordering::Relaxed);
        SlotState(self.swap.area(slot).word(machine, slot.page).map_or(0, read))
    }

    /// Where the bytes of a slot are, on a quiet machine; `None` if it has none.
    pub fn quiet_stored(&self, machine: &'m M, slot: Slot) -> Option<Stored> {
        let (area, state) = (self.swap.area(slot), self.quiet_slot(machine, slot));
        if let Some(frame) = state.frame() {
            return Some(Stored::Cached(frame));
        }
        if !state.is_stored() {
            return None;
        }
        match area.device() {
            SwapDevice::File { key, .. } => Some(Stored::File(key)),
            SwapDevice::Compressed { .. } => {
                let word = |index| {
                    // RELAXED: the machine is quiet.
                    let read = |word: &machine::Word| word.raw().load(core::sync::atomic::Ordering::Relaxed);
                    area.places.word(machine, index).map(read)
                };
                quiet_object(machine, word(slot.page * 2)?, word(slot.page * 2 + 1)?)
            }
        }
    }

    /// Every slot of every area whose word says anything: for checkers of a quiet machine.
    pub fn slots<'a>(&'a self, machine: &'m M) -> impl Iterator<Item = SlotReport> + 'a {
        (0..).zip(self.swap.areas).flat_map(move |(number, area)| {
            (0..area.pages.get()).filter_map(move |page| {
                // RELAXED: the machine is quiet.
                let bits = area.word(machine, page)?.raw().load(core::sync::atomic::Ordering::Relaxed);
                let slot = Slot { area: number, page };
                (bits != 0).then_some(SlotReport { slot, state: slot::SlotState(bits) })
            })
        })
    }

    /// A word of the bytes that compressed memory has for a slot; `None` if it takes no room. For tests that
    /// damage it.
    pub fn stored_word(&self, cx: &Cx<'m, M>, slot: Slot) -> Option<&'m Field<u64>> {
        let (object, _) = self.place(cx, slot)?.read(cx)?;
        words_of(cx.machine(), object).first()
    }

    /// Every kernel frame that swap has: for checkers of a quiet machine.
    pub fn for_each_swap_frame(&self, machine: &'m M, see: &mut dyn FnMut(Pfn)) {
        for area in self.swap.areas {
            area.words.for_each_frame(machine, see);
            area.places.for_each_frame(machine, see);
            area.store.for_each_frame(self.frames(), see);
        }
    }
}
