//! What a program may find in its memory.
//!
//! Programs are free of races where it matters: every *place* (a page of a slot, or a word of the commons) is
//! changed by one thread of its process only, so that thread knows what it holds. While a change is under way
//! the place may be in either state; a fork that runs meanwhile may copy any state that the place had between
//! its begin and its end.

use std::collections::BTreeMap;

/// What is at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Nothing: accesses are refused.
    Unmapped,
    /// Private memory that holds this word, and held `base` before anybody stored.
    Private { value: u64, base: u64, prot: u64 },
    /// A page of the shared file.
    Shared { page: u64, prot: u64 },
}

/// Stores of one thread to the commons, in its order.
#[derive(Clone, Default)]
pub(crate) struct Log {
    /// Word and value: first what there was, in no order.
    pub(crate) stores: Vec<(u64, u64)>,
    /// How many of them were there.
    pub(crate) old: usize,
}

/// A fork under way.
struct Window {
    ticket: u64,
    seen: BTreeMap<u64, Vec<State>>,
    /// By thread: what it stored to the commons since the fork began, its former values first.
    logs: Vec<Log>,
}

/// One address space.
#[derive(Default)]
pub(crate) struct Space {
    places: BTreeMap<u64, Vec<State>>,
    windows: Vec<Window>,
    tickets: u64,
    /// By thread slot: whether a thread has it.
    pub(crate) taken: [bool; THREADS],
    /// How many changes of rights of the commons are under way, and how many there were.
    pub(crate) narrowed: (u64, u64),
}

/// Threads of a process, at most.
pub(crate) const THREADS: usize = 4;

impl Space {
    /// What a place may be in.
    pub(crate) fn at(&self, place: u64) -> &[State] {
        self.places.get(&place).map_or(&[State::Unmapped], Vec::as_slice)
    }

    /// The state of a place that is not being changed and whose history is known.
    pub(crate) fn known(&self, place: u64) -> Option<State> {
        match self.at(place) {
            [state] => Some(*state),
            _ => None,
        }
    }

    /// A change begins: the place may be in the state it had, or in the new one.
    pub(crate) fn begin(&mut self, place: u64, new: State) {
        let states = self.places.entry(place).or_insert_with(|| vec![State::Unmapped]);
        if !states.contains(&new) {
            states.push(new);
        }
        for window in &mut self.windows {
            let seen = window.seen.entry(place).or_insert_with(|| vec![State::Unmapped]);
            for state in states.iter().filter(|state| !seen.contains(state)).collect::<Vec<_>>() {
                seen.push(*state);
            }
        }
    }

    /// The change is made.
    pub(crate) fn end(&mut self, place: u64, new: State) {
        self.places.insert(place, vec![new]);
    }

    /// A thread is about to store to the commons.
    pub(crate) fn log(&mut self, thread: usize, place: u64, value: u64) {
        for window in &mut self.windows {
            window.logs[thread].stores.push((place, value));
        }
    }

    /// That store was refused.
    pub(crate) fn unlog(&mut self, thread: usize, place: u64, value: u64) {
        for window in &mut self.windows {
            let log = &mut window.logs[thread];
            if let Some(index) = log.stores.iter().rposition(|&entry| entry == (place, value)) {
                log.stores.remove(index);
                log.old = log.old.min(log.stores.len());
            }
        }
    }

    /// A change was refused: the place is what it was.
    pub(crate) fn put_back(&mut self, place: u64, states: Vec<State>) {
        self.places.insert(place, states);
    }

    pub(crate) fn fork_begin(&mut self, commons: impl Fn(u64) -> Option<usize>) -> u64 {
        self.tickets += 1;
        let mut logs = vec![Log::default(); THREADS];
        for (&place, states) in &self.places {
            if let Some(thread) = commons(place) {
                // A store that is under way comes after what was there before.
                for state in states {
                    if let State::Private { value, .. } = state {
                        logs[thread].stores.push((place, *value));
                    }
                }
            }
        }
        logs.iter_mut().for_each(|log| log.old = log.stores.len());
        let window = Window { ticket: self.tickets, seen: self.places.clone(), logs };
        self.windows.push(window);
        self.tickets
    }

    /// The child's space, and what was stored meanwhile.
    pub(crate) fn fork_end(&mut self, ticket: u64) -> (Space, Vec<Log>) {
        let index = self.windows.iter().position(|window| window.ticket == ticket).expect("begun");
        let window = self.windows.remove(index);
        (Space { places: window.seen, ..Space::default() }, window.logs)
    }

    /// The place was looked at: only some states agree with what was found. Answers whether any does.
    pub(crate) fn narrow(&mut self, place: u64, agrees: impl Fn(&State) -> bool) -> bool {
        let left: Vec<_> = self.at(place).iter().copied().filter(|state| agrees(state)).collect();
        let any = !left.is_empty();
        if any {
            self.places.insert(place, left);
        }
        any
    }

    /// Every place there is.
    pub(crate) fn all(&self) -> Vec<u64> {
        self.places.keys().copied().collect()
    }
}
