//! Who may go when.
//!
//! A recording's events stand in their order of effect. Replaying them one after the other would leave
//! nothing to run concurrently, so the order is kept only where a program could tell:
//!
//! * *Layout* events of one memory (calls, forks, execs, exits) follow each other, and everything before them
//!   is over when they start.
//! * *Accesses* (faults, touches) of one memory run side by side. They wait for the layout events before
//!   them, except for one that was still going on in the recording when the access began.
//! * *Global* events are alone: a file's size changes, or a memory goes away (exec, the exit of a last task),
//!   which decides for others whether a page they write must be copied.
//!
//! Memories are what address spaces are to programs: threads and `vfork` children share one,
//! fork and exec make one.

use record::{Call, Event, EventKind, ForkMemory, Recording};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    Access,
    Layout,
    Global,
}

/// What an event needs to know about those before it.
#[derive(Clone, Copy, Debug)]
struct Place {
    class: Class,
    memory: u32,
    layouts_before: u32,
    accesses_before: u32,
}

#[derive(Clone, Default, Debug)]
struct Memory {
    layouts_started: u32,
    layouts_done: u32,
    accesses_done: u32,
    /// The end of the layout event under way.
    under_way_until: Option<u64>,
}

/// The order of a recording's events, and how far it has come.
#[derive(Debug)]
pub(crate) struct Order {
    places: Vec<Place>,
    times: Vec<(u64, u64)>,
    memories: Vec<Memory>,
    globals: Vec<usize>,
    globals_done: usize,
    done: usize,
    running: usize,
    paused: bool,
}

impl Order {
    /// The order of a recording that was validated.
    pub(crate) fn new(recording: &Recording) -> Order {
        let mut memory_of = vec![0u32; recording.processes.len()];
        let mut counts = vec![(0u32, 0u32)];
        let mut alive = vec![0u32; recording.processes.len()];
        alive[0] = 1;
        let mut places = Vec::with_capacity(recording.events.len());
        for event in &recording.events {
            let process = recording.tasks[event.task.0 as usize].process.0 as usize;
            let memory = memory_of[process];
            let class = class_of(&event.kind, count_tasks(&mut alive, event, process));
            let (layouts, accesses) = &mut counts[memory as usize];
            places.push(Place { class, memory, layouts_before: *layouts, accesses_before: *accesses });
            match class {
                Class::Access => *accesses += 1,
                Class::Layout | Class::Global => *layouts += 1,
            }
            if let Some((process, fresh)) = moves(event, process) {
                memory_of[process] = if fresh { counts.len() as u32 } else { memory };
                if fresh {
                    counts.push((0, 0));
                }
            }
        }
        let globals = (0..places.len()).filter(|&i| places[i].class == Class::Global).collect();
        Order {
            places,
            times: recording.events.iter().map(|event| (event.time_ns, event.end_ns)).collect(),
            memories: vec![Memory::default(); counts.len()],
            globals,
            globals_done: 0,
            done: 0,
            running: 0,
            paused: false,
        }
    }

    /// Whether an event may start now.
    pub(crate) fn is_ready(&self, event: usize) -> bool {
        let place = &self.places[event];
        let memory = &self.memories[place.memory as usize];
        if self.paused || self.globals.get(self.globals_done).is_some_and(|&global| global < event) {
            return false;
        }
        match place.class {
            Class::Access => {
                let overlaps = |until: u64| until > self.times[event].0;
                memory.layouts_started == place.layouts_before && memory.under_way_until.is_none_or(overlaps)
            }
            Class::Layout => {
                memory.layouts_done == place.layouts_before && memory.accesses_done == place.accesses_before
            }
            Class::Global => self.done == event,
        }
    }

    /// An event starts.
    pub(crate) fn start(&mut self, event: usize) {
        debug_assert!(self.is_ready(event));
        self.running += 1;
        let place = self.places[event];
        let memory = &mut self.memories[place.memory as usize];
        if place.class != Class::Access {
            memory.layouts_started += 1;
            memory.under_way_until = Some(self.times[event].1);
        }
    }

    /// An event is over. Answers how many are.
    pub(crate) fn finish(&mut self, event: usize) -> usize {
        let place = self.places[event];
        let memory = &mut self.memories[place.memory as usize];
        match place.class {
            Class::Access => memory.accesses_done += 1,
            Class::Layout | Class::Global => {
                memory.layouts_done += 1;
                memory.under_way_until = None;
            }
        }
        self.globals_done += usize::from(place.class == Class::Global);
        self.done += 1;
        self.running -= 1;
        self.done
    }

    /// Lets nothing start until [`Order::resume`].
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// Lets events start again.
    pub(crate) fn resume(&mut self) {
        self.paused = false;
    }

    /// Whether nothing starts.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// An event that was started stands still: an audit may come.
    pub(crate) fn stand_still(&mut self) {
        self.running -= 1;
    }

    /// It goes on.
    pub(crate) fn go_on(&mut self) {
        self.running += 1;
    }

    /// Whether who waits may go: an event that stands still (`usize::MAX`), or one that is ready.
    pub(crate) fn may_go(&self, event: usize) -> bool {
        if event == usize::MAX { !self.paused } else { self.is_ready(event) }
    }

    /// Whether nothing starts and nothing runs.
    pub(crate) fn is_quiet(&self) -> bool {
        self.paused && self.running == 0
    }
}

/// Keeps count of each process's tasks; answers how many the actor's process has left.
fn count_tasks(alive: &mut [u32], event: &Event, process: usize) -> u32 {
    match &event.kind {
        EventKind::Fork { child_process, .. } => alive[child_process.0 as usize] += 1,
        EventKind::Exit => alive[process] -= 1,
        _ => {}
    }
    alive[process]
}

fn class_of(kind: &EventKind, tasks_left: u32) -> Class {
    match kind {
        EventKind::Fault { .. } | EventKind::Touch { .. } | EventKind::Content { .. } => Class::Access,
        EventKind::Call { call: Call::Ftruncate { .. }, .. } | EventKind::Exec { .. } => Class::Global,
        EventKind::Exit if tasks_left == 0 => Class::Global,
        _ => Class::Layout,
    }
}

/// Which process has another memory after the event, and whether that is a fresh one or the actor's.
fn moves(event: &Event, actor: usize) -> Option<(usize, bool)> {
    match &event.kind {
        EventKind::Exec { .. } => Some((actor, true)),
        EventKind::Fork { child_process, memory, .. } => match memory {
            ForkMemory::Copied => Some((child_process.0 as usize, true)),
            ForkMemory::BorrowedUntilExec | ForkMemory::Shared => Some((child_process.0 as usize, false)),
            ForkMemory::Thread => None,
        },
        _ => None,
    }
}
