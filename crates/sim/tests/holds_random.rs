//! The shadow's judgement of pins and references against a little kernel with frames, right and wrong.

use machine::{VirtAddr, Vpn, VpnRange};
use sim::shadow::{Hold, Keep, Mismatch, Pin, Reference, Shadow, Source};
use sim::synthetic::mix;
use std::collections::BTreeMap;

const PAGES: u64 = 4;
const WORDS: usize = 2;

/// What the little kernel does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    Nothing,
    /// fork shares pinned pages (C-24).
    ForkSharesPinned,
    /// A page that others map is pinned as it is.
    PinsShared,
    /// Who maps a page alone stores in place, whoever refers to it (C-1).
    ReusesByMapcount,
    /// What others refer to is copied before a store, pinned or not (C-3).
    CopiesByRefcount,
    /// A device's store goes to a copy.
    LosesDeviceStores,
}

#[derive(Clone, Copy)]
struct Entry {
    frame: usize,
    exclusive: bool,
}

struct Held {
    frame: usize,
    /// The one of these that the shadow knows.
    pin: Option<Pin>,
    reference: Option<Reference>,
}

/// Spaces, frames, and who holds frames, beside the shadow that is told.
struct Little {
    bug: Bug,
    dice: u64,
    shadow: Shadow,
    frames: Vec<[u64; WORDS]>,
    /// All pages of a space are mapped; those without an entry hold zero.
    spaces: BTreeMap<u32, BTreeMap<u64, Entry>>,
    held: Vec<Held>,
}

fn at(page: u64, word: usize) -> VirtAddr {
    VirtAddr(Vpn(page).addr().0 + word as u64 * 8)
}

fn one(page: u64) -> VpnRange {
    VpnRange::sized(Vpn(page), 1)
}

impl Little {
    fn new(bug: Bug, seed: u64) -> Little {
        let mut shadow = Shadow::new();
        shadow.process(1);
        shadow.map(1, VpnRange::sized(Vpn(0), PAGES), Source::Anonymous);
        let spaces = BTreeMap::from([(1, BTreeMap::new())]);
        Little { bug, dice: mix(seed), shadow, frames: Vec::new(), spaces, held: Vec::new() }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.dice = mix(self.dice);
        (self.dice >> 16) % n
    }

    fn frame(&mut self, words: [u64; WORDS]) -> Entry {
        self.frames.push(words);
        Entry { frame: self.frames.len() - 1, exclusive: true }
    }

    fn mappings(&self, frame: usize) -> usize {
        self.spaces.values().flat_map(BTreeMap::values).filter(|entry| entry.frame == frame).count()
    }

    fn is_held(&self, frame: usize) -> bool {
        self.held.iter().any(|held| held.frame == frame)
    }

    fn is_pinned(&self, frame: usize) -> bool {
        self.held.iter().any(|held| held.frame == frame && held.pin.is_some())
    }

    /// A page becomes the process's own: by copying, or because nobody else can see it.
    fn own(&mut self, pid: u32, page: u64) -> Entry {
        let known = self.spaces[&pid].get(&page).copied();
        let entry = match known {
            None => self.frame([0; WORDS]),
            Some(entry) if self.may_stay(entry) => Entry { exclusive: true, ..entry },
            Some(entry) => self.frame(self.frames[entry.frame]),
        };
        self.spaces.get_mut(&pid).unwrap().insert(page, entry);
        entry
    }

    fn may_stay(&self, entry: Entry) -> bool {
        let alone = self.mappings(entry.frame) == 1;
        match self.bug {
            Bug::CopiesByRefcount => alone && !self.is_held(entry.frame),
            Bug::ReusesByMapcount => entry.exclusive || alone,
            _ => entry.exclusive || alone && !self.is_held(entry.frame),
        }
    }

    fn fork(&mut self, child: u32) {
        let ticket = self.shadow.fork_begin(1);
        let mut copy = BTreeMap::new();
        for page in 0..PAGES {
            let Some(&entry) = self.spaces[&1].get(&page) else { continue };
            if self.is_pinned(entry.frame) && entry.exclusive && self.bug != Bug::ForkSharesPinned {
                copy.insert(page, self.frame(self.frames[entry.frame]));
                continue;
            }
            let shared = Entry { exclusive: false, ..entry };
            self.spaces.get_mut(&1).unwrap().insert(page, shared);
            copy.insert(page, shared);
        }
        self.spaces.insert(child, copy);
        self.shadow.fork_end(ticket, child);
    }

    fn hold(&mut self, pid: u32, page: u64) -> Result<(), Mismatch> {
        if self.below(2) == 0 {
            let shares = self.bug == Bug::PinsShared && self.spaces[&pid].contains_key(&page);
            let entry = if shares { self.spaces[&pid][&page] } else { self.own(pid, page) };
            let pin = self.shadow.pin(pid, one(page), Hold::Write)?;
            self.held.push(Held { frame: entry.frame, pin: Some(pin), reference: None });
        } else if let Some(&entry) = self.spaces[&pid].get(&page) {
            let reference = self.shadow.refer(pid, one(page));
            self.shadow.referred(reference)?;
            self.held.push(Held { frame: entry.frame, pin: None, reference: Some(reference) });
        }
        Ok(())
    }

    /// Somebody uses what he holds, or gives it up.
    fn use_held(&mut self, value: u64) -> Result<(), Mismatch> {
        if self.held.is_empty() {
            return Ok(());
        }
        let which = self.below(self.held.len() as u64) as usize;
        let (frame, pin, reference) =
            (self.held[which].frame, self.held[which].pin, self.held[which].reference);
        let (word, choice) = (self.below(WORDS as u64) as usize, self.below(8));
        match (pin, reference) {
            (Some(pin), _) if choice == 0 => self.shadow.unpin(pin),
            (_, Some(reference)) if choice == 0 => self.shadow.release(reference),
            (Some(pin), _) if choice < 5 => {
                if self.bug != Bug::LosesDeviceStores {
                    self.frames[frame][word] = value;
                }
                return self.shadow.pin_store(pin, word as u64 * 8, value);
            }
            _ => return self.look(which, word),
        }
        self.held.remove(which);
        Ok(())
    }

    fn look(&mut self, which: usize, word: usize) -> Result<(), Mismatch> {
        let (found, offset) = (self.frames[self.held[which].frame][word], word as u64 * 8);
        if let Some(pin) = self.held[which].pin {
            self.shadow.pin_load(pin, offset, found)?;
        }
        match self.held[which].reference {
            Some(reference) => self.shadow.reference_load(reference, offset, found),
            None => Ok(()),
        }
    }

    fn load(&mut self, pid: u32, page: u64, word: usize) -> Result<(), Mismatch> {
        let found = self.spaces[&pid].get(&page).map_or(0, |entry| self.frames[entry.frame][word]);
        self.shadow.load(pid, at(page, word), found)
    }

    fn step(&mut self, value: u64) -> Result<(), Mismatch> {
        let pids: Vec<u32> = self.spaces.keys().copied().collect();
        let pid = pids[self.below(pids.len() as u64) as usize];
        let (page, word) = (self.below(PAGES), self.below(WORDS as u64) as usize);
        match self.below(12) {
            0 if pids.len() < 4 => self.fork(10 + value as u32),
            1 if pid != 1 => {
                self.spaces.remove(&pid);
                self.shadow.exit(pid);
            }
            2 => {
                self.spaces.get_mut(&pid).unwrap().remove(&page);
                self.shadow.dontneed(pid, one(page));
            }
            3 => {
                let to = (page + 1) % PAGES;
                let space = self.spaces.get_mut(&pid).unwrap();
                space.remove(&to);
                if let Some(entry) = space.remove(&page) {
                    space.insert(to, entry);
                }
                self.shadow.remap(pid, one(page), one(to), Keep::Mapping);
            }
            4 | 5 => self.hold(pid, page)?,
            6 | 7 => self.use_held(value)?,
            8 => self.load(pid, page, word)?,
            _ => {
                let entry = self.own(pid, page);
                self.frames[entry.frame][word] = value;
                self.shadow.store(pid, at(page, word), value)?;
            }
        }
        Ok(())
    }

    fn look_at_all(&mut self) -> Result<(), Mismatch> {
        for word in 0..WORDS {
            (0..self.held.len()).try_for_each(|which| self.look(which, word))?;
            for pid in self.spaces.keys().copied().collect::<Vec<_>>() {
                (0..PAGES).try_for_each(|page| self.load(pid, page, word))?;
            }
        }
        Ok(())
    }
}

/// The first complaint in some runs of a little kernel.
fn complaint(bug: Bug, runs: u64) -> Option<(u64, Mismatch)> {
    (0..runs).find_map(|seed| {
        let mut little = Little::new(bug, seed);
        let ran = (1..60).try_for_each(|value| little.step(value)).and_then(|()| little.look_at_all());
        ran.err().map(|mismatch| (seed, mismatch))
    })
}

#[test]
fn a_kernel_that_is_right_is_never_blamed() {
    let blamed = complaint(Bug::Nothing, 5_000);
    assert!(blamed.is_none(), "{blamed:?}");
}

#[test]
fn each_bug_is_noticed() {
    let bugs = [
        Bug::ForkSharesPinned,
        Bug::PinsShared,
        Bug::ReusesByMapcount,
        Bug::CopiesByRefcount,
        Bug::LosesDeviceStores,
    ];
    for bug in bugs {
        let (seed, mismatch) = complaint(bug, 200).unwrap_or_else(|| panic!("{bug:?} is not noticed"));
        assert!(matches!(mismatch.expected, sim::shadow::Expected::Value(_)), "{bug:?}, {seed}: {mismatch}");
    }
}
