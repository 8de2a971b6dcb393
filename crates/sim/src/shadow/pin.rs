//! Pins: what a device (or the kernel) loads and stores through pages that a program pinned.
//!
//! As long as the program has not given the page up, a pin is one with the program's memory: a load must
//! find what the program would find, a store is a store of the program. Afterwards the page goes on with
//! bytes of its own. Where the program moves the page, the pin follows. Children of the program have
//! nothing to do with it.

use crate::shadow::files::Extent;
use crate::shadow::holds::{Hold, Pin, Pinned, Pins, Place, Target};
use crate::shadow::mismatch::{Expected, Mismatch, mismatch};
use crate::shadow::model::Shadow;
use crate::shadow::process::{Cell, fresh_cell};
use crate::shadow::source::Source;
use crate::shadow::window::{Change, Stored};
use machine::{FileKey, VirtAddr, VpnRange};

/// One word of a pin.
#[derive(Clone, Copy)]
struct Spot {
    pid: u32,
    /// Where it was when it was pinned.
    addr: VirtAddr,
    pin: u64,
    /// Number of the page within the pin, of the word within the page.
    page: usize,
    word: usize,
}

impl Shadow {
    /// A call begins that pins pages of a process. It ends with [`Shadow::pin_end`], or [`Shadow::unpin`]
    /// if it fails.
    pub fn pin_begin(&mut self, pid: u32, range: VpnRange, hold: Hold) -> Pin {
        let page = |number| Pinned {
            place: if self.is_changing(pid, number) { Place::Unclear } else { Place::Mapped(number) },
            loose: Default::default(),
            fresh: false,
            file: self.page_of_file(pid, number),
        };
        let pages = (range.start.0..range.end.0).map(page).collect();
        let pins = Pins { pid, range, hold, taking: true, pages };
        let pin = self.holds.next();
        self.holds.pins.insert(pin, pins);
        Pin(pin)
    }

    /// The call pinned all of the pages. Pages that changed hands meanwhile are not judged. An error if
    /// nothing was mapped that could be pinned.
    pub fn pin_end(&mut self, pin: Pin) -> Result<(), Mismatch> {
        let Some(mut pins) = self.holds.pins.remove(&pin.0) else { return Err(no_such(None)) };
        pins.taking = false;
        let (pid, hold) = (pins.pid, pins.hold);
        let took = pins.pages.iter_mut().try_for_each(|page| self.take(pid, hold, page));
        self.holds.pins.insert(pin.0, pins);
        took
    }

    /// Pages of a process were pinned, in this very step.
    pub fn pin(&mut self, pid: u32, range: VpnRange, hold: Hold) -> Result<Pin, Mismatch> {
        let pin = self.pin_begin(pid, range, hold);
        self.pin_end(pin).map(|()| pin)
    }

    /// The pages are not pinned any more, or never were.
    pub fn unpin(&mut self, pin: Pin) {
        self.holds.pins.remove(&pin.0);
        if !self.holds.given_up.is_empty() {
            self.holds.forget_given_up();
        }
    }

    /// The page of a file that a program has at a place, and no copy of: a truncation takes it.
    fn page_of_file(&mut self, pid: u32, number: u64) -> Option<(FileKey, u64)> {
        let process = self.processes.get_mut(&pid)?;
        match process.source(number)? {
            Source::Private { .. } if process.page(number).is_some() => None,
            Source::Private { file, page } | Source::Shared { file, page } => Some((file, page)),
            Source::Anonymous => None,
        }
    }

    /// Finds out what one page of a new pin is.
    fn take(&mut self, pid: u32, hold: Hold, page: &mut Pinned) -> Result<(), Mismatch> {
        let Place::Mapped(number) = page.place else { return Ok(()) };
        page.file = None;
        let refused = |expected| mismatch(pid, machine::Vpn(number).addr(), None, expected);
        if self.is_changing(pid, number) {
            page.place = Place::Unclear;
            return Ok(());
        }
        let Some(process) = self.processes.get_mut(&pid) else { return Err(refused(Expected::NoProcess)) };
        let is_own = process.page(number).is_some();
        let extent = match process.source(number) {
            None => return Err(refused(Expected::Unmapped)),
            Some(Source::Anonymous) => Extent::Inside,
            Some(Source::Private { .. }) if is_own => Extent::Inside,
            Some(Source::Private { file, page: of } | Source::Shared { file, page: of }) => {
                page.file = Some((file, of));
                self.files.extent(file, of)
            }
        };
        match (extent, process.source(number), hold) {
            (Extent::Beyond, ..) => return Err(refused(Expected::BeyondEnd)),
            (Extent::Cutting, ..) => page.place = Place::Unclear,
            (_, Some(Source::Shared { file, page: of }), _) => page.place = Place::Shared(file, of),
            (.., Hold::Read) => page.fresh = !is_own,
            (.., Hold::Write | Hold::LongRead) => {
                process.break_sharing(&self.files, number);
                page.file = None;
            }
        }
        Ok(())
    }

    // ---- accesses ----

    /// A load through a pin, `offset` bytes from its start (rounded down to a word), found `value`. It is
    /// told in the same step, or after all that was told of steps before and before all that is told of
    /// steps after.
    pub fn pin_load(&mut self, pin: Pin, offset: u64, value: u64) -> Result<(), Mismatch> {
        self.loads += 1;
        let Some((spot, place)) = self.spot(pin, offset) else { return Err(no_such(Some(value))) };
        if self.is_being_cut(spot) {
            return Ok(());
        }
        let mut values = Vec::new();
        match place {
            Place::Unclear => return Ok(()),
            Place::Mapped(number) => {
                let addr = VirtAddr(machine::Vpn(number).addr().0 + spot.addr.offset());
                let fresh = self.fresh(spot);
                if fresh == Some(value) || self.agrees(spot.pid, addr, value) {
                    return Ok(());
                }
                values.extend(self.peek(spot.pid, addr));
                if self.is_changing(spot.pid, number) {
                    values.extend(self.open_stores(spot.pid, addr));
                    values.extend(self.loose(spot));
                }
            }
            Place::Shared(file, page) => {
                values.push(self.files.word(file, page, spot.word));
                if self.see_coming([Some(Target::File(file, page, spot.word)), None], value) {
                    return Ok(());
                }
            }
            Place::GivenUp(number) => {
                values.extend(self.given_up(number, spot.word));
                if self.fresh(spot) != Some(value) && values.contains(&value) {
                    self.store_given_up(number, spot.word, value);
                    return Ok(());
                }
            }
        }
        values.extend(self.fresh(spot));
        if values.contains(&value) {
            return Ok(());
        }
        Err(self.disagree(spot, Some(value), Expected::Value(values)))
    }

    /// A device stored `value` through a pin, as [`Shadow::pin_load`].
    pub fn pin_store(&mut self, pin: Pin, offset: u64, value: u64) -> Result<(), Mismatch> {
        self.stores += 1;
        let Some((spot, place)) = self.spot(pin, offset) else { return Err(no_such(None)) };
        if self.holds.pins.get(&spot.pin).is_none_or(|pins| pins.hold != Hold::Write) {
            return Err(self.disagree(spot, None, Expected::Unmapped));
        }
        match place {
            Place::Unclear => {
                self.see_store(Some(Target::Private(spot.pid, spot.addr)), value);
                if let Some(process) = self.processes.get_mut(&spot.pid) {
                    process.unsettle(spot.addr, value);
                }
            }
            Place::Mapped(number) => {
                let addr = VirtAddr(machine::Vpn(number).addr().0 + spot.addr.offset());
                self.store_by_device(spot.pid, addr, value);
            }
            Place::Shared(file, page) => {
                if self.files.extent(file, page) == Extent::Inside {
                    self.file_write(file, page, spot.word, value);
                }
            }
            Place::GivenUp(number) => {
                self.holds.refer_given_up(number, spot.word, value);
                self.store_given_up(number, spot.word, value);
            }
        }
        Ok(())
    }

    /// A store to a page that is the program's still, or was until just now: it reaches the page itself,
    /// never one that takes its place.
    fn store_by_device(&mut self, pid: u32, addr: VirtAddr, value: u64) {
        let (number, word) = (addr.page().0, (addr.offset() / 8) as usize);
        self.see_store(Some(Target::Private(pid, addr)), value);
        let forks = self.windows.iter_mut().filter(|w| w.pid == pid && w.change == Change::Fork);
        // What was there before matters to moves alone.
        forks.for_each(|window| window.stores.push(Stored { addr, value, before: None }));
        for page in self.holds.pins.values_mut().filter(|p| p.pid == pid).flat_map(|p| &mut p.pages) {
            if page.place == Place::Mapped(number) {
                page.loose.remove(&word);
            }
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.store(&mut self.files, addr, value);
        }
    }

    /// Whether the program would find this value too.
    fn agrees(&mut self, pid: u32, addr: VirtAddr, value: u64) -> bool {
        let Some(process) = self.processes.get_mut(&pid) else { return false };
        let cell = process.cell(&self.files, addr);
        if cell == Cell::Free {
            return true;
        }
        if cell == Cell::Word(value) && !process.is_unsettled(addr) {
            return true;
        }
        if process.may_be_dropped(addr, value)
            || (cell == Cell::Word(value) && process.is_lazy(addr.page().0))
        {
            if !self.is_changing(pid, addr.page().0)
                && let Some(process) = self.processes.get_mut(&pid)
            {
                process.settle_lazy(addr, value);
            }
            return true;
        }
        if process.unsettled(addr).contains(&value) || cell == Cell::Word(value) {
            if !self.is_changing(pid, addr.page().0) {
                self.settle_at(pid, addr, value);
            }
            return true;
        }
        let targets = self.targets(pid, addr);
        self.see_coming(targets, value)
    }

    /// Values that the program stored while its layout changes.
    fn open_stores(&self, pid: u32, addr: VirtAddr) -> Vec<u64> {
        let open = self.windows.iter().filter(|window| window.pid == pid);
        let stores = open.flat_map(|window| &window.stores);
        stores.filter(|store| store.addr == addr).map(|store| store.value).collect()
    }

    // ---- one word ----

    fn spot(&self, pin: Pin, offset: u64) -> Option<(Spot, Place)> {
        let pins = self.holds.pins.get(&pin.0).filter(|pins| !pins.taking)?;
        let addr = VirtAddr(pins.range.start.addr().0.checked_add(offset)? & !7);
        let page = (addr.page().0 - pins.range.start.0) as usize;
        let place = pins.pages.get(page)?.place;
        let word = (addr.offset() / 8) as usize;
        Some((Spot { pid: pins.pid, addr, pin: pin.0, page, word }, place))
    }

    /// The values that a word of a page that was given up may have.
    fn given_up(&self, number: u64, word: usize) -> Vec<u64> {
        let Some(page) = self.holds.given_up.get(&number) else { return Vec::new() };
        let loose = page.loose.get(&word).into_iter().flatten().copied();
        std::iter::once(page.bytes.word(word)).chain(loose).collect()
    }

    /// A word of such a page has this value, and no other.
    fn store_given_up(&mut self, number: u64, word: usize, value: u64) {
        if let Some(page) = self.holds.given_up.get_mut(&number) {
            page.bytes.set(word, value);
            page.loose.remove(&word);
        }
    }

    fn loose(&self, spot: Spot) -> Vec<u64> {
        let page = self.holds.pins.get(&spot.pin).and_then(|pins| pins.pages.get(spot.page));
        page.and_then(|page| page.loose.get(&spot.word)).cloned().unwrap_or_default()
    }

    /// Whether the pin may be of a page that a truncation is just taking away.
    fn is_being_cut(&self, spot: Spot) -> bool {
        let page = self.holds.pins.get(&spot.pin).and_then(|pins| pins.pages.get(spot.page));
        let file = page.and_then(|page| page.file);
        file.is_some_and(|(file, page)| self.files.extent(file, page) == Extent::Cutting)
    }

    /// What the word is where the pin may still be of the zero page, or of the file's page.
    fn fresh(&self, spot: Spot) -> Option<u64> {
        let page = self.holds.pins.get(&spot.pin)?.pages.get(spot.page).filter(|page| page.fresh)?;
        let source = match page.file {
            Some((file, page)) => Source::Private { file, page },
            None => Source::Anonymous,
        };
        match fresh_cell(&self.files, source, spot.word) {
            Cell::Word(value) => Some(value),
            _ => None,
        }
    }

    fn disagree(&mut self, spot: Spot, got: Option<u64>, expected: Expected) -> Mismatch {
        let state = self.holds.pins.get(&spot.pin).and_then(|pins| pins.pages.get(spot.page));
        let source = match state.map(|page| page.place) {
            Some(Place::GivenUp(_)) => "through a pin, page given up".into(),
            Some(Place::Shared(file, page)) => format!("through a pin, file {:#x} page {page}", file.0),
            Some(Place::Mapped(number)) => {
                let process = self.processes.get_mut(&spot.pid);
                let of = process.map(|process| process.describe(machine::Vpn(number).addr()));
                format!("through a pin, {}", of.unwrap_or_default())
            }
            Some(Place::Unclear) | None => "through a pin".into(),
        };
        Mismatch { source, ..mismatch(spot.pid, spot.addr, got, expected) }
    }
}

fn no_such(got: Option<u64>) -> Mismatch {
    Mismatch {
        source: "through a pin that is none".into(),
        ..mismatch(0, VirtAddr(0), got, Expected::Unmapped)
    }
}
