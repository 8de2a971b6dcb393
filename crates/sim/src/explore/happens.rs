//! Which steps of a run depended on each other, and which of these could have come the other way round.
//!
//! Two steps depend on each other if they are of one agent, or touch one thing and at least one of them
//! changes it. Orders of independent steps are equivalent: only *races* (dependent steps that nothing else
//! orders) give the search a reason to try another order (Flanagan and Godefroid, "Dynamic partial-order
//! reduction", POPL 2005). Vector clocks say what orders what.

use super::agent::{Agent, Shape};
use machine::FileKey;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// How a step touched a thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touch {
    /// It read it.
    Read,
    /// It changed it.
    Write,
}

/// Something that CPUs share and that is no part of the machine's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outside {
    /// What is stored of a file.
    File(FileKey),
    /// Something of the caller's own, by a number below 2^56.
    Own(u64),
}

/// Something that steps can touch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Thing(u64);

impl Thing {
    const KIND_SHIFT: u32 = 56;

    /// A shared word, by its number.
    pub(crate) fn word(number: u64) -> Thing {
        Thing(number & ((1 << Self::KIND_SHIFT) - 1))
    }
    /// The translations that a CPU keeps.
    pub(crate) fn tlb(cpu: u32) -> Thing {
        Thing(1 << Self::KIND_SHIFT | u64::from(cpu))
    }
    /// All bytes of a user frame. Who touches a word of it reads this.
    pub(crate) fn frame(pfn: u32) -> Thing {
        Thing(2 << Self::KIND_SHIFT | u64::from(pfn))
    }
    /// A word of a user frame.
    pub(crate) fn bytes(pfn: u32, word: u64) -> Thing {
        Thing(3 << Self::KIND_SHIFT | u64::from(pfn) << 9 | word)
    }
    /// Whether a task may go on.
    pub(crate) fn task(task: u32) -> Thing {
        Thing(4 << Self::KIND_SHIFT | u64::from(task))
    }
    /// The order of a CPU's ready tasks.
    pub(crate) fn ready(cpu: u32) -> Thing {
        Thing(5 << Self::KIND_SHIFT | u64::from(cpu))
    }
    /// What is stored of a file.
    pub(crate) fn file(key: u64) -> Thing {
        Thing(6 << Self::KIND_SHIFT | key & ((1 << Self::KIND_SHIFT) - 1))
    }
    /// Something of those who run the machine.
    pub(crate) fn outside(what: Outside) -> Thing {
        match what {
            Outside::File(key) => Thing::file(key.0),
            Outside::Own(number) => Thing(8 << Self::KIND_SHIFT | number & ((1 << Self::KIND_SHIFT) - 1)),
        }
    }
    /// The order of transfers.
    pub(crate) fn transfers() -> Thing {
        Thing(10 << Self::KIND_SHIFT)
    }
    /// Whether a device has made a transfer.
    pub(crate) fn transfer(number: u64) -> Thing {
        Thing(9 << Self::KIND_SHIFT | number & ((1 << Self::KIND_SHIFT) - 1))
    }
    /// Whether a CPU's handler has begun.
    pub(crate) fn handler(cpu: u32) -> Thing {
        Thing(11 << Self::KIND_SHIFT | u64::from(cpu))
    }
    /// A kernel frame as a whole.
    pub(crate) fn kernel_frame(pfn: u32) -> Thing {
        Thing(7 << Self::KIND_SHIFT | u64::from(pfn))
    }
}

/// A step, by number from 1; 0 is none.
pub(crate) type Event = u32;

/// A decision before which an agent has to be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Race {
    /// The decision that led to the earlier step.
    pub(crate) decision: u32,
    /// The agent of the later step.
    pub(crate) agent: Agent,
}

/// Hashes one integer.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(26) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The steps of a run so far.
pub(crate) struct Happens {
    shape: Shape,
    agents: usize,
    /// For each event: its agent, its number among its agent's, the decision that led to it.
    events: Vec<(u8, u32, u32)>,
    /// For each event, for each agent: how many of that agent's events come before or are it.
    clocks: Vec<u32>,
    /// For each agent, its last event's clock, joined with what it learned since.
    now: Vec<u32>,
    places: HashMap<Thing, u32, BuildHasherDefault<Mixer>>,
    /// For each place, for each agent: its last reading and its last writing event.
    touches: Vec<[Event; 2]>,
    /// The clock of the running step's agent before the step.
    before: Vec<u32>,
    /// The running step.
    step: Option<(Agent, Event)>,
    races: Vec<Race>,
}

impl Happens {
    pub(crate) fn new(shape: Shape) -> Happens {
        let agents = shape.agents();
        Happens {
            shape,
            agents,
            events: vec![(0, 0, u32::MAX)],
            clocks: vec![0; agents],
            now: vec![0; agents * agents],
            places: HashMap::default(),
            touches: Vec::new(),
            before: vec![0; agents],
            step: None,
            races: Vec::new(),
        }
    }

    /// What can be done differently.
    pub(crate) fn into_races(self) -> Vec<Race> {
        self.races
    }

    /// The running step, which begins with its first touch. `decision` led to it (`u32::MAX`: nobody else
    /// could have gone on).
    pub(crate) fn step(&mut self, agent: Agent, decision: u32) -> Event {
        if let Some((of, event)) = self.step
            && of == agent
        {
            return event;
        }
        self.end_step();
        let (own, event) = (self.shape.place(agent), self.events.len() as Event);
        let row = own * self.agents..(own + 1) * self.agents;
        self.before.copy_from_slice(&self.now[row.clone()]);
        self.now[row.start + own] += 1;
        self.events.push((own as u8, self.now[row.start + own], decision));
        self.clocks.extend_from_slice(&self.now[row]);
        self.step = Some((agent, event));
        event
    }

    /// The next touch belongs to another step.
    pub(crate) fn end_step(&mut self) {
        let Some((agent, event)) = self.step.take() else { return };
        let (row, from) = (self.shape.place(agent) * self.agents, event as usize * self.agents);
        self.now[row..row + self.agents].copy_from_slice(&self.clocks[from..from + self.agents]);
    }

    /// `cause` comes before whatever the agent does from now on, and could not have come later.
    pub(crate) fn order(&mut self, cause: Event, agent: Agent) {
        self.end_step();
        let (row, from) = (self.shape.place(agent) * self.agents, cause as usize * self.agents);
        for other in 0..self.agents {
            self.now[row + other] = self.now[row + other].max(self.clocks[from + other]);
        }
    }

    /// The running step touches something.
    pub(crate) fn touch(&mut self, (agent, event): (Agent, Event), thing: Thing, touch: Touch) {
        let own = self.shape.place(agent);
        let fresh = self.touches.len() / self.agents;
        let place = *self.places.entry(thing).or_insert(fresh as u32) as usize;
        if place == fresh {
            self.touches.resize(self.touches.len() + self.agents, [0; 2]);
        }
        for other in 0..self.agents {
            let [read, written] = self.touches[place * self.agents + other];
            let last = if touch == Touch::Write { read.max(written) } else { written };
            if last == 0 || other == own {
                continue;
            }
            let (_, count, decision) = self.events[last as usize];
            if count > self.before[other] {
                self.note_race(Race { decision, agent });
            }
            self.join(event, last);
        }
        self.touches[place * self.agents + own][usize::from(touch == Touch::Write)] = event;
    }

    fn join(&mut self, event: Event, earlier: Event) {
        let (row, from) = (event as usize * self.agents, earlier as usize * self.agents);
        for other in 0..self.agents {
            self.clocks[row + other] = self.clocks[row + other].max(self.clocks[from + other]);
        }
    }

    fn note_race(&mut self, race: Race) {
        if race.decision != u32::MAX && self.races.last() != Some(&race) {
            self.races.push(race);
        }
    }
}
