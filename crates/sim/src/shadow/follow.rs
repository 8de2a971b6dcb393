//! How what is used beside its mapping fares when the program changes its layout, or stores.

use crate::shadow::files::Files;
use crate::shadow::holds::{Coming, Fate, GivenUp, Holds, Place, Target, fate};
use crate::shadow::model::Shadow;
use crate::shadow::process::{Cell, Process};
use crate::shadow::source::Source;
use crate::shadow::window::Change;
use machine::{FileKey, PAGE_SHIFT, VirtAddr, Vpn, VpnRange};
use std::collections::BTreeMap;

/// Pages that one change takes from a program, by their number: those of them that are pinned, by the
/// number they get.
type Left = BTreeMap<u64, u64>;

impl Holds {
    /// The program gives a pinned page up; answers its place from here on.
    fn give_up(&mut self, number: u64, left: &mut Left, copy: impl FnOnce() -> Option<GivenUp>) -> Place {
        if let Some(&known) = left.get(&number) {
            return Place::GivenUp(known);
        }
        let Some(page) = copy() else { return Place::Unclear };
        let new = self.next();
        self.given_up.insert(new, page);
        left.insert(number, new);
        Place::GivenUp(new)
    }

    fn follow_pins(&mut self, (pid, process): (u32, &mut Process), files: &Files, change: &Change) -> Left {
        let mut left = Left::new();
        let mut all = std::mem::take(&mut self.pins);
        for pins in all.values_mut().filter(|pins| pins.pid == pid) {
            for page in &mut pins.pages {
                let Place::Mapped(number) = page.place else { continue };
                page.place = match fate(change, number) {
                    Fate::Stays => continue,
                    _ if pins.taking => Place::Unclear,
                    Fate::Moves(to) => Place::Mapped(to),
                    Fate::Leaves => self.give_up(number, &mut left, || {
                        let mut loose = page.loose.clone();
                        for (word, values) in process.unsettled_in(number) {
                            loose.entry(word).or_default().extend(values);
                        }
                        Some(GivenUp { bytes: process.copy_of(files, number)?, loose })
                    }),
                };
            }
        }
        self.pins = all;
        left
    }

    fn follow_references(&mut self, pid: u32, change: &Change, left: &Left) {
        for references in self.references.values_mut().filter(|taken| taken.pid == pid) {
            for page in &mut references.pages {
                let Place::Mapped(number) = page.place else { continue };
                page.place = match fate(change, number) {
                    Fate::Stays => continue,
                    _ if references.taking => Place::Unclear,
                    Fate::Moves(to) => Place::Mapped(to),
                    // Nobody stores to it any more unless it is pinned.
                    Fate::Leaves => Place::GivenUp(left.get(&number).copied().unwrap_or(0)),
                };
            }
        }
    }
}

impl Shadow {
    /// Before a change of the layout is made.
    pub(super) fn follow(&mut self, pid: u32, change: &Change) {
        if self.holds.is_empty() {
            return;
        }
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let left = self.holds.follow_pins((pid, process), &self.files, change);
        self.holds.follow_references(pid, change, &left);
        self.holds.follow_writes(pid, change);
    }

    /// Before a process ends, or gets an empty space.
    pub(super) fn give_up_all(&mut self, pid: u32) {
        self.follow(pid, &Change::Unmap { range: VpnRange::new(Vpn(0), Vpn(u64::MAX >> PAGE_SHIFT)) });
    }

    /// A file was cut off from page `first` on; `cut`: the first page of which anything is gone.
    pub(super) fn follow_truncation(&mut self, file: FileKey, (cut, first): (u64, u64)) {
        let from =
            |page: Option<(FileKey, u64)>, least: u64| page.is_some_and(|p| p.0 == file && p.1 >= least);
        for page in self.holds.pins.values_mut().flat_map(|pins| &mut pins.pages) {
            if from(page.file, first) {
                page.place = Place::Unclear;
            }
        }
        for page in self.holds.references.values_mut().flat_map(|taken| &mut taken.pages) {
            if from(page.file, cut) {
                page.place = Place::Unclear;
            }
        }
    }

    /// Whether a change under way may take a page from its program, or may have.
    pub(super) fn is_changing(&self, pid: u32, page: u64) -> bool {
        let changes = |change: &Change| fate(change, page) != Fate::Stays;
        self.windows.iter().any(|window| window.pid == pid && changes(&window.change))
    }

    /// What a word of a program is in memory: its own, and the file's as long as it has none of its own.
    pub(super) fn targets(&mut self, pid: u32, addr: VirtAddr) -> [Option<Target>; 2] {
        let word = (addr.offset() / 8) as usize;
        let number = addr.page().0;
        let own = Some(Target::Private(pid, addr));
        let Some(process) = self.processes.get_mut(&pid) else { return [own, None] };
        match process.source(number) {
            Some(Source::Shared { file, page }) => [Some(Target::File(file, page, word)), None],
            Some(Source::Private { file, page }) if process.page(number).is_none() => {
                [own, Some(Target::File(file, page, word))]
            }
            _ => [own, None],
        }
    }

    // ---- stores ----

    /// Before a program stores, by itself or by the kernel's hand.
    pub(super) fn follow_store(&mut self, pid: u32, addr: VirtAddr, value: u64) {
        let [target, _] = self.targets(pid, addr);
        self.loosen(pid, addr);
        self.see_store(target, value);
    }

    /// What pins see of a word is open if its page is about to be given up while it is stored to.
    fn loosen(&mut self, pid: u32, addr: VirtAddr) {
        let (number, word) = (addr.page().0, (addr.offset() / 8) as usize);
        if self.holds.pins.is_empty() || !self.is_changing(pid, number) {
            return;
        }
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let Cell::Word(old) = process.cell(&self.files, addr) else { return };
        let pages = self.holds.pins.values_mut().filter(|pins| pins.pid == pid).flat_map(|p| &mut p.pages);
        for page in pages.filter(|page| page.place == Place::Mapped(number)) {
            page.loose.entry(word).or_default().push(old);
        }
    }

    /// A change is over: stores to pages that are still the program's do not race with it any more.
    pub(super) fn tighten(&mut self, pid: u32) {
        if self.holds.pins.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.holds.pins);
        for page in all.values_mut().filter(|pins| pins.pid == pid).flat_map(|pins| &mut pins.pages) {
            match page.place {
                Place::Mapped(number) if self.is_changing(pid, number) => {}
                _ => page.loose.clear(),
            }
        }
        self.holds.pins = all;
    }

    /// Lets references, and stores of the kernel that are under way, know of a store.
    pub(super) fn see_store(&mut self, target: Option<Target>, value: u64) {
        let Some(target) = target else { return };
        self.holds.refer(target, value);
        for coming in self.holds.coming().filter(|coming| coming.target == target) {
            coming.raced = Some(value);
        }
    }
}

impl Holds {
    /// References may see a value from now on.
    pub(super) fn refer(&mut self, target: Target, value: u64) {
        for references in self.references.values_mut() {
            for page in &mut references.pages {
                let word = match target {
                    Target::Private(pid, addr) if pid == references.pid => {
                        (page.place == Place::Mapped(addr.page().0)).then_some((addr.offset() / 8) as usize)
                    }
                    Target::File(file, number, word) => (page.file == Some((file, number))).then_some(word),
                    Target::Private(..) => None,
                };
                if let Some(word) = word {
                    page.add(word, value);
                }
            }
        }
    }

    /// A device stored to a page that was given up: references to it may see that.
    pub(super) fn refer_given_up(&mut self, page: u64, word: usize, value: u64) {
        let pages = self.references.values_mut().flat_map(|references| &mut references.pages);
        for referred in pages.filter(|referred| referred.place == Place::GivenUp(page)) {
            referred.add(word, value);
        }
    }

    /// Forgets pages that were given up and are not pinned any more.
    pub(super) fn forget_given_up(&mut self) {
        let pages = || self.pins.values().flat_map(|pins| &pins.pages);
        self.given_up.retain(|&number, _| pages().any(|page| page.place == Place::GivenUp(number)));
    }

    /// Every word that the kernel is about to store.
    pub(super) fn coming(&mut self) -> impl Iterator<Item = &mut Coming> {
        self.writes.iter_mut().flat_map(|write| &mut write.words)
    }

    fn follow_writes(&mut self, pid: u32, change: &Change) {
        for write in &mut self.writes {
            let mut moved = Vec::new();
            for coming in &mut write.words {
                let Target::Private(of, addr) = coming.target else { continue };
                let found = if of == pid { fate(change, addr.page().0) } else { Fate::Stays };
                coming.disturbed |= found != Fate::Stays;
                if let Fate::Moves(to) = found {
                    let target = Target::Private(pid, VirtAddr(Vpn(to).addr().0 + addr.offset()));
                    moved.push(Coming { target, raced: None, ..*coming });
                }
            }
            write.words.extend(moved);
        }
    }
}
