//! What is going on while a trace is read: who runs where, what each task is doing, and what is mapped.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use freehold::machine::entry::Kind;
use freehold::machine::trace::{Held, Verdict};
use freehold::machine::x86_64::X86_64;
use freehold::machine::{Access, Asid, Entry, EntryFormat, Event, Level, VirtAddr, Vpn};

use super::decide::{Decision, decision_of};
use super::record::{Header, Program, Record, What};
use super::tell::access_name;

/// An address space's life: its name in TLBs may be another space's later. Numbered from 0 in order of birth.
pub(crate) type SpaceLife = usize;

/// Where a page is mapped.
pub(crate) type Place = (SpaceLife, Vpn);

/// An entry of a table: its page (of a large entry: the first), and its level.
type Slot = (Place, Level);

/// A fault under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) addr: VirtAddr,
    pub(crate) access: Access,
    /// The number of its first record.
    pub(crate) begun: u64,
    /// What was decided about the store last.
    pub(crate) judged: Option<(Verdict, Held)>,
}

/// A task of the machine.
#[derive(Clone, Default, Debug)]
pub(crate) struct Doing {
    /// Its process, by the recording's number.
    pub(crate) process: Option<u32>,
    /// The event of the recording.
    pub(crate) event: Option<(u32, String)>,
    pub(crate) fault: Option<Fault>,
    /// Why entries change just now, as far as a whole range is concerned.
    pub(crate) work: Option<&'static Decision>,
}

/// Everything known at one record.
pub(crate) struct Scene {
    pub(crate) header: Header,
    /// How many records were read.
    pub(crate) record: u64,
    /// Whether the run has started.
    pub(crate) started: bool,
    tasks: HashMap<u32, Doing>,
    idle: Doing,
    /// By name in TLBs: the life it names now.
    spaces: HashMap<Asid, SpaceLife>,
    /// How many lives have begun.
    pub(crate) lives: usize,
    entries: HashMap<Slot, Entry>,
    mapped: HashMap<u32, BTreeSet<Slot>>,
    /// Blocks in use: first frame, and how many.
    allocated: BTreeMap<u32, u64>,
}

impl Scene {
    pub(crate) fn new(header: Header) -> Scene {
        Scene {
            header,
            record: 0,
            started: false,
            tasks: HashMap::new(),
            idle: Doing::default(),
            spaces: HashMap::new(),
            lives: 0,
            entries: HashMap::new(),
            mapped: HashMap::new(),
            allocated: BTreeMap::new(),
        }
    }

    /// What the record's task is doing.
    pub(crate) fn doing(&self, record: &Record) -> &Doing {
        record.task.and_then(|task| self.tasks.get(&task)).unwrap_or(&self.idle)
    }

    /// The space of this name.
    pub(crate) fn life(&self, asid: Asid) -> Option<SpaceLife> {
        self.spaces.get(&asid).copied()
    }

    /// Where a frame is mapped now.
    pub(crate) fn places(&self, frame: u32) -> impl Iterator<Item = (Place, Entry)> + '_ {
        let slots = self.mapped.get(&frame).into_iter().flatten();
        slots.filter_map(|slot| Some((slot.0, *self.entries.get(slot)?)))
    }

    /// Every entry that maps a frame: its page, the (first) frame, and itself.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (Place, u32, Entry)> + '_ {
        self.entries
            .iter()
            .filter_map(|(&(place, level), &entry)| Some((place, frame_of(entry, level)?, entry)))
    }

    /// Blocks in use: first frame, and how many.
    pub(crate) fn allocated(&self) -> &BTreeMap<u32, u64> {
        &self.allocated
    }

    /// The names in TLBs of the spaces there are.
    pub(crate) fn spaces(&self) -> &HashMap<Asid, SpaceLife> {
        &self.spaces
    }

    /// A file's name: keys are the recording's numbers from 1 on.
    pub(crate) fn file_name(&self, key: u64) -> String {
        let number = key.checked_sub(1).and_then(|number| usize::try_from(number).ok());
        match number.and_then(|number| self.header.files.get(number)) {
            Some(name) => plain(name),
            None => format!("nameless shared memory {key:#x}"),
        }
    }

    /// A process by its number in the recording: its name and its number on Linux.
    pub(crate) fn process_name(&self, process: u32) -> String {
        match self.header.processes.get(process as usize) {
            Some((pid, name)) => format!("{}[{pid}]", plain(name)),
            None => format!("process {process}"),
        }
    }

    /// Takes a record in: from here on everything is as it is after it.
    pub(crate) fn advance(&mut self, record: &Record) {
        match &record.what {
            What::Program(program) => self.program(record, program),
            What::Machine(event) => self.machine(record, event),
        }
        self.record += 1;
    }

    fn program(&mut self, record: &Record, program: &Program) {
        let Some(task) = record.task else {
            self.started |= *program == Program::Starts;
            return;
        };
        let doing = self.tasks.entry(task).or_default();
        match program {
            Program::Starts => self.started = true,
            Program::Born { task } => {
                let process = self.header.tasks.get(*task as usize).map(|task| task.1);
                *doing = Doing { process, ..Doing::default() };
            }
            Program::HasSpace { .. } | Program::Answers { .. } => {}
            Program::Begins { event, text } => {
                doing.event = Some((*event, text.clone()));
                doing.work = None;
            }
            Program::Ends { .. } => {
                doing.event = None;
                doing.work = None;
            }
        }
    }

    fn machine(&mut self, record: &Record, event: &Event) {
        match *event {
            Event::SpaceMade { asid, .. } => {
                self.spaces.insert(asid, self.lives);
                self.lives += 1;
            }
            Event::SpaceEnded { asid } => drop(self.spaces.remove(&asid)),
            Event::FrameAllocated { frame, order, .. } => {
                self.allocated.insert(frame.0, order.frames());
            }
            Event::FrameFreed { frame, .. } => drop(self.allocated.remove(&frame.0)),
            Event::FolioSplit { frame, order } => {
                let parts = u64::from(frame.0)..u64::from(frame.0) + order.frames();
                self.allocated.extend(parts.map(|part| (part as u32, 1)));
            }
            Event::EntryChanged { asid, page, level, before, after } => {
                if let Some(life) = self.life(asid) {
                    self.change(((life, page), level), before, after);
                }
            }
            _ => {}
        }
        if let Some(task) = record.task {
            let number = self.record;
            step(self.tasks.entry(task).or_default(), event, number);
        }
    }

    fn change(&mut self, place: Slot, before: Entry, after: Entry) {
        let (before, now) = (frame_of(before, place.1), frame_of(after, place.1));
        if before != now {
            if let Some(places) = before.and_then(|frame| self.mapped.get_mut(&frame)) {
                places.remove(&place);
            }
            if let Some(frame) = now {
                self.mapped.entry(frame).or_default().insert(place);
            }
        }
        match after {
            Entry::EMPTY => drop(self.entries.remove(&place)),
            after => drop(self.entries.insert(place, after)),
        }
    }
}

/// What a task does after an event of its own.
fn step(doing: &mut Doing, event: &Event, number: u64) {
    match *event {
        Event::FaultBegun { addr, access, .. } => {
            doing.fault = Some(Fault { addr, access, begun: number, judged: None });
            doing.work = None;
        }
        Event::FaultEnded { .. } => doing.fault = None,
        Event::StoreJudged { verdict, held, .. } => {
            doing.work = None;
            if let Some(fault) = &mut doing.fault {
                fault.judged = Some((verdict, held));
            }
        }
        Event::MapChosen { mapped, .. } => {
            doing.work = None;
            let copies = mapped == freehold::machine::trace::Mapped::PrivateCopy;
            if let Some(fault) = doing.fault.as_mut().filter(|_| copies) {
                fault.judged = Some((Verdict::FilePage, Held::default()));
            }
        }
        Event::WorkBegun { .. } => doing.work = decision_of(event),
        _ => {}
    }
}

impl Doing {
    /// What it is doing, in words.
    pub(crate) fn text(&self) -> Option<String> {
        let event = self.event_text();
        let fault = self.fault.map(|fault| format!("{} {:#x}", access_name(fault.access), fault.addr.0));
        match (fault, event) {
            (Some(fault), Some(event)) => Some(format!("{fault}, in {event}")),
            (one, other) => one.or(other),
        }
    }

    /// The event of the recording, in words.
    pub(crate) fn event_text(&self) -> Option<String> {
        self.event.as_ref().map(|(number, text)| format!("event {number}: {}", plain(text)))
    }
}

/// The frame an entry maps.
pub(crate) fn frame_of(entry: Entry, level: Level) -> Option<u32> {
    match X86_64::kind(entry, level) {
        Kind::Leaf(frame) => Some(frame.0),
        _ => None,
    }
}

/// What a trace says must not drive the terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
