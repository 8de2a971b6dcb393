//! Lives of frames and pages, picked out of a trace.

use std::collections::{BTreeSet, HashMap};

use freehold::machine::x86_64::X86_64;
use freehold::machine::{Asid, Entry, EntryFormat, Event, Level, Order, Pfn, Vpn, VpnRange};

use super::decide::{Decision, decision_of};
use super::index::Index;
use super::record::{Record, What};
use super::scene::{Place, Scene, SpaceLife, frame_of};
use super::tell::{access_name, counts, outcome_name, rights, tell, verdict_name};

/// Whose life is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// A frame.
    Frame(u32),
    /// A page of some spaces.
    Page(Vec<SpaceLife>, Vpn),
    /// What a task did from one record to the end of its fault.
    Deed { task: Option<u32>, begun: u64, last: u64, until: Until },
}

/// How a deed ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// With the fault.
    FaultEnds,
    /// With its last record.
    Last,
}

/// One line of a story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// The record's number.
    pub(crate) record: u64,
    /// Which life of the frame, from 1; which space of the page.
    pub(crate) life: u64,
    /// Before the run started.
    pub(crate) setting_up: bool,
    pub(crate) at_ns: u64,
    pub(crate) cpu: u32,
    pub(crate) who: String,
    pub(crate) what: String,
    /// What the task was doing.
    pub(crate) during: Option<String>,
    pub(crate) decision: Option<&'static Decision>,
}

/// Collects the lines of one subject.
pub(crate) struct Story<'i> {
    index: &'i Index,
    subject: Subject,
    pub(crate) lines: Vec<Line>,
    life: u64,
    /// Translations taken back that some CPU may still have.
    stale: BTreeSet<Place>,
    /// Flushes under way: how many CPUs they ask.
    flushes: HashMap<(Asid, u64), (u32, Option<VpnRange>)>,
    /// Flushes of the machine that other CPUs were asked for in this deed.
    asked: BTreeSet<u64>,
    over: bool,
}

impl<'i> Story<'i> {
    pub(crate) fn new(index: &'i Index, subject: Subject) -> Story<'i> {
        Story {
            index,
            subject,
            lines: Vec::new(),
            life: 0,
            stale: BTreeSet::new(),
            flushes: HashMap::new(),
            asked: BTreeSet::new(),
            over: false,
        }
    }

    /// One more record; `scene` is as it was before it.
    pub(crate) fn see(&mut self, scene: &Scene, record: &Record) {
        let What::Machine(event) = &record.what else { return };
        self.note_flush(event);
        let what = match &self.subject {
            Subject::Frame(frame) => self.of_frame(scene, event, *frame),
            Subject::Page(lives, page) => self.of_page(scene, (record, event), lives, *page),
            Subject::Deed { task, begun, last, until } => {
                let own = record.task == *task && scene.record >= *begun && !self.over;
                let ends = *until == Until::Last || matches!(event, Event::FaultEnded { .. });
                self.over |= own && scene.record >= *last && ends;
                if let (true, Event::IpiSent { flush, .. }) = (own, event) {
                    self.asked.insert(*flush);
                }
                if own { self.of_deed(scene, event) } else { self.of_answer(event) }
            }
        };
        self.note_life(scene, event);
        if let Some(what) = what.or_else(|| self.of_flush(scene, event)) {
            let line = self.line(scene, record, (event, what));
            self.lines.push(line);
        }
        if let (Event::FlushEnded { asid, generation }, Subject::Frame(_) | Subject::Page(..)) =
            (event, &self.subject)
        {
            self.flushes.remove(&(*asid, *generation));
        }
    }

    fn line(&self, scene: &Scene, record: &Record, (event, what): (&Event, String)) -> Line {
        let doing = scene.doing(record);
        let who = match doing.process {
            Some(process) => scene.process_name(process),
            None if matches!(event, Event::TransferEnded { .. }) => "a device".into(),
            None if scene.started && record.task.is_none() => "idle".into(),
            None => "set-up".into(),
        };
        let decision = match event {
            Event::EntryChanged { .. } => doing.work,
            event => decision_of(event),
        };
        Line {
            record: scene.record,
            life: self.life,
            setting_up: !scene.started,
            at_ns: record.at_ns,
            cpu: record.cpu,
            who,
            what,
            during: match self.subject {
                Subject::Frame(_) => doing.text(),
                // The fault is told itself.
                Subject::Page(..) | Subject::Deed { .. } => doing.event_text(),
            },
            decision,
        }
    }

    /// Counts lives, and keeps what a flush must still void.
    fn note_life(&mut self, scene: &Scene, event: &Event) {
        match (&self.subject, *event) {
            (Subject::Frame(frame), Event::FrameAllocated { frame: first, order, .. })
                if covers(first, order, *frame) =>
            {
                self.life += 1;
            }
            (Subject::Page(lives, _), Event::SpaceMade { .. }) if lives.contains(&scene.lives) => {
                self.life += 1;
            }
            (subject, Event::EntryChanged { asid, page, level, before, after }) => {
                let Some(life) = scene.life(asid) else { return };
                let concerned = match subject {
                    Subject::Frame(frame) => frame_of(before, level) == Some(*frame),
                    Subject::Page(lives, of) => *of == page && lives.contains(&life),
                    Subject::Deed { .. } => false,
                };
                let (old, new) = (X86_64::attrs(before).perms, X86_64::attrs(after).perms);
                let narrower = old.read && (old.write && !new.write || !new.read);
                if concerned && (frame_of(before, level) != frame_of(after, level) || narrower) && old.read {
                    self.stale.insert((life, page));
                }
            }
            _ => {}
        }
    }

    fn note_flush(&mut self, event: &Event) {
        if let Event::FlushBegun { asid, generation, pages, cpus, .. } = *event {
            self.flushes.insert((asid, generation), (cpus, pages));
        }
    }

    /// A flush is over that voided what was taken back here.
    fn of_flush(&mut self, scene: &Scene, event: &Event) -> Option<String> {
        let Event::FlushEnded { asid, generation } = *event else { return None };
        let (cpus, pages) = self.flushes.get(&(asid, generation)).copied()?;
        let life = scene.life(asid)?;
        let void = |place: &Place| place.0 == life && pages.is_none_or(|pages| pages.contains(place.1));
        let before = self.stale.len();
        self.stale.retain(|place| !void(place));
        (self.stale.len() < before).then(|| {
            let asked = match cpus {
                0 => "no CPU is in the space".into(),
                1 => "1 CPU is in the space, and has flushed".into(),
                cpus => format!("the {cpus} CPUs in the space have flushed"),
            };
            format!("no CPU can use the old translation any more: {asked}")
        })
    }

    fn of_frame(&self, scene: &Scene, event: &Event, own: u32) -> Option<String> {
        match *event {
            Event::FrameAllocated { frame, order, .. } | Event::FrameFreed { frame, order, .. } => {
                covers(frame, order, own).then(|| tell(event))
            }
            Event::AnonBorn { frame, .. } if frame.0 == own => {
                Some("becomes an anonymous page, exclusive to its first mapping".into())
            }
            Event::PageCached { frame, file, index } if frame.0 == own => {
                Some(format!("becomes page {index} of {}", scene.file_name(file.0)))
            }
            Event::PageRead { frame, .. } if frame.0 == own => Some("is read from the file".into()),
            Event::Moved { from, to, order } => {
                (covers(from, order, own) || covers(to, order, own)).then(|| tell(event))
            }
            Event::MoveRefused { frame, .. } if frame.0 == own => Some(tell(event)),
            Event::FolioSplit { frame, order } => covers(frame, order, own).then(|| tell(event)),
            _ if held_by_others(event) == Some(own) => Some(tell(event)),
            Event::Merged { from, to, .. } if from.0 == own || to.0 == own => Some(tell(event)),
            Event::PageUncached { frame, .. } if frame.0 == own => Some("leaves the file's cache".into()),
            Event::PageDirtied { frame, .. } if frame.0 == own => Some("is marked dirty".into()),
            Event::WritebackBegun { frame, .. } if frame.0 == own => {
                Some("is going to be written to the file".into())
            }
            Event::WritebackEnded { frame, stored, .. } if frame.0 == own => {
                Some(if stored { "is written to the file" } else { "could not be written" }.into())
            }
            Event::TableLinked { asid, table, level, page } if table.0.0 == own => {
                let whose = self.owner_of(scene, asid);
                Some(format!("becomes a page table of {whose}, level {}, for {:#x}", level.0, page.addr().0))
            }
            Event::TableUnlinked { table, .. } if table.0.0 == own => {
                Some("has no entries any more and is unlinked".into())
            }
            Event::SpaceMade { root, .. } if root.0.0 == own => {
                Some("becomes the root table of a new space".into())
            }
            Event::EntryChanged { before, after, level, .. } => {
                let concerned = [before, after].iter().any(|&entry| maps(entry, level, own));
                if concerned { self.entry(scene, event) } else { None }
            }
            Event::StoreJudged { frame, .. } | Event::ForkRefused { frame, .. } if frame.0 == own => {
                self.choice(scene, event)
            }
            Event::MapChosen { frame, .. } | Event::ForkShared { frame, .. } if frame.0 == own => {
                self.choice(scene, event)
            }
            Event::Copied { from, to, .. } if from.0 == own || to.0 == own => self.choice(scene, event),
            _ => None,
        }
    }

    fn of_page(
        &self,
        scene: &Scene,
        (record, event): (&Record, &Event),
        lives: &[SpaceLife],
        own: Vpn,
    ) -> Option<String> {
        let is_own = |asid: Asid| scene.life(asid).is_some_and(|life| lives.contains(&life));
        let at_fault = || {
            let fault = scene.doing(record).fault;
            fault.is_some_and(|fault| fault.addr.page() == own) && self.is_of(scene, record, lives)
        };
        match *event {
            Event::EntryChanged { asid, page, .. } if page == own && is_own(asid) => self.entry(scene, event),
            Event::Copied { asid, page, .. } if page == own && is_own(asid) => self.choice(scene, event),
            Event::ForkShared { page, parent, child, .. } if page == own => {
                if is_own(parent) || is_own(child) { self.choice(scene, event) } else { None }
            }
            Event::ForkRefused { page, .. } if page == own && self.is_of(scene, record, lives) => {
                self.choice(scene, event)
            }
            Event::MapChosen { page, .. } | Event::StoreJudged { page, .. }
                if page == own && self.is_of(scene, record, lives) =>
            {
                self.choice(scene, event)
            }
            Event::FaultBegun { asid, addr, access, .. } if addr.page() == own && is_own(asid) => {
                Some(format!("{} {:#x} faults", access_name(access), addr.0))
            }
            _ if held_by_others(event).is_some_and(|frame| self.maps_here(scene, lives, (own, frame))) => {
                Some(tell(event))
            }
            Event::FaultRetried { .. } if at_fault() => Some("starts over: something changed".into()),
            Event::FaultEnded { outcome, .. } if at_fault() => {
                Some(format!("the fault is over: {}", outcome_name(outcome)))
            }
            _ => None,
        }
    }

    fn of_deed(&self, scene: &Scene, event: &Event) -> Option<String> {
        match *event {
            Event::FaultBegun { addr, access, .. } => {
                Some(format!("{} {:#x} faults", access_name(access), addr.0))
            }
            Event::FaultEnded { outcome, .. } => {
                Some(format!("the fault is over: {}", outcome_name(outcome)))
            }
            Event::FaultRetried { .. } => Some("the fault starts over: something changed".into()),
            Event::EntryChanged { .. } => self.entry(scene, event),
            Event::FrameAllocated { .. } | Event::FrameFreed { .. } => Some(tell(event)),
            _ if held_by_others(event).is_some() => Some(tell(event)),
            Event::FlushBegun { cpus, .. } => Some(match cpus {
                0 => "flush: no CPU is in the space".into(),
                1 => "flush: this CPU alone is in the space".into(),
                cpus => format!("flush: {cpus} CPUs are in the space"),
            }),
            Event::IpiSent { to, .. } => Some(format!("CPU {} is asked to flush", to.0)),
            Event::FlushEnded { .. } => Some("no CPU can use the old translation any more".into()),
            _ => self.choice(scene, event),
        }
    }

    /// Another CPU answers.
    fn of_answer(&self, event: &Event) -> Option<String> {
        match *event {
            Event::IpiAnswered { from, flush } if self.asked.contains(&flush) => {
                Some(format!("has flushed, and tells CPU {}", from.0))
            }
            _ => None,
        }
    }

    /// Decisions about pages, with the names of processes.
    fn choice(&self, scene: &Scene, event: &Event) -> Option<String> {
        Some(match *event {
            Event::MapChosen { page, frame, .. } => {
                format!("frame {:#x} is chosen for {:#x}", frame.0, page.addr().0)
            }
            Event::StoreJudged { page, verdict, held, .. } => {
                format!("a store to {:#x}: {}", page.addr().0, verdict_name(verdict, held))
            }
            Event::ForkShared { page, parent, child, .. } => format!(
                "fork: {:#x} of {} is shared with {}",
                page.addr().0,
                self.owner_of(scene, parent),
                self.owner_of(scene, child)
            ),
            Event::ForkRefused { page, held, .. } => {
                format!("fork: {:#x} may not be shared ({})", page.addr().0, counts(held))
            }
            Event::Copied { page, from, to, asid } => format!(
                "{:#x} of {} is a copy now: frame {:#x} was copied to {:#x}",
                page.addr().0,
                self.owner_of(scene, asid),
                from.0,
                to.0
            ),
            _ => return None,
        })
    }

    /// A changed entry.
    fn entry(&self, scene: &Scene, event: &Event) -> Option<String> {
        let Event::EntryChanged { asid, page, level, before, after } = *event else { return None };
        let place = format!("{:#x} of {}", page.addr().0, self.owner_of(scene, asid));
        let allows = |entry| rights(X86_64::attrs(entry).perms);
        Some(match (frame_of(before, level), frame_of(after, level)) {
            (None, Some(frame)) => format!("frame {frame:#x} is mapped at {place}, {}", allows(after)),
            (Some(frame), None) => format!("frame {frame:#x} is unmapped from {place}"),
            (Some(old), Some(new)) if old == new && allows(before) != allows(after) => {
                format!("at {place}: {} becomes {}", allows(before), allows(after))
            }
            (Some(old), Some(new)) if old == new => format!("at {place}: accessed or dirty bits change"),
            _ => tell(event),
        })
    }

    /// Whose space it is.
    fn owner_of(&self, scene: &Scene, asid: Asid) -> String {
        let owner = scene.life(asid).and_then(|life| self.index.owner(life));
        owner.map_or_else(|| format!("space {}", asid.0), |process| scene.process_name(process))
    }

    /// Whether a page of some spaces is the frame's just now.
    fn maps_here(&self, scene: &Scene, lives: &[SpaceLife], (page, frame): (Vpn, u32)) -> bool {
        scene.places(frame).any(|((life, at), _)| at == page && lives.contains(&life))
    }

    /// Whether the record's task runs in one of these spaces.
    fn is_of(&self, scene: &Scene, record: &Record, lives: &[SpaceLife]) -> bool {
        let process = scene.doing(record).process;
        process.is_some() && lives.iter().any(|&life| self.index.owner(life) == process)
    }
}

/// Whether an entry maps a frame, alone or among others.
fn maps(entry: Entry, level: Level, frame: u32) -> bool {
    let frames = 1 << level.span_shift();
    frame_of(entry, level)
        .is_some_and(|first| (u64::from(first)..u64::from(first) + frames).contains(&frame.into()))
}

/// The frame that somebody has, or gives back, beside its mappings: the swap cache, who pins it, a device.
fn held_by_others(event: &Event) -> Option<u32> {
    match *event {
        Event::SwapCached { frame, .. }
        | Event::SwapUncached { frame }
        | Event::SwappedOut { frame, .. }
        | Event::SwappedIn { frame, .. }
        | Event::Pinned { frame, .. }
        | Event::Unpinned { frame }
        | Event::TransferBegun { frame, .. }
        | Event::TransferEnded { frame, .. } => Some(frame.0),
        _ => None,
    }
}

fn covers(first: Pfn, order: Order, frame: u32) -> bool {
    (u64::from(first.0)..u64::from(first.0) + order.frames()).contains(&u64::from(frame))
}

/// Where a frame is mapped, in words.
pub(crate) fn places(scene: &Scene, index: &Index, frame: u32) -> Vec<String> {
    let name = |life: SpaceLife| {
        index.owner(life).map_or_else(|| "a space".into(), |process| scene.process_name(process))
    };
    let places = scene.places(frame).map(|((life, page), entry)| {
        let perms = X86_64::attrs(entry).perms;
        format!("{:#x} of {}, {}", page.addr().0, name(life), rights(perms))
    });
    places.collect()
}
