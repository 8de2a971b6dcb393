//! A first reading of a trace: what can be asked of it.

use std::collections::{BTreeMap, HashMap};

use freehold::machine::trace::{Held, Verdict};
use freehold::machine::{Asid, Event, Vpn};

use super::codec::kind_of;
use super::record::{Header, Program, Record, What};
use super::scene::{Scene, SpaceLife};

/// A page that was copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    /// The number of the record that says so.
    pub(crate) record: u64,
    /// The number of the first record of the fault (or of the fork's decision).
    pub(crate) begun: u64,
    /// The task.
    pub(crate) task: Option<u32>,
    pub(crate) life: Option<SpaceLife>,
    pub(crate) page: Vpn,
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Why; `None` for fork's copies.
    pub(crate) judged: Option<(Verdict, Held)>,
}

/// What a trace holds.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) header: Header,
    pub(crate) records: u64,
    /// The last moment of any CPU.
    pub(crate) end_ns: u64,
    pub(crate) by_kind: BTreeMap<&'static str, u64>,
    pub(crate) copies: Vec<Copy>,
    /// By space: the process it was made for, and its name in TLBs.
    pub(crate) spaces: Vec<(Option<u32>, Asid)>,
    /// By page: how often it was copied.
    pub(crate) copied: HashMap<(SpaceLife, Vpn), u64>,
    /// By frame: how often it was allocated.
    pub(crate) lives: HashMap<u32, u64>,
    /// By frame: allocated when, as long as it is.
    since: HashMap<u32, u64>,
    /// The page that lived longest and was freed: how long, and its frame.
    pub(crate) oldest: Option<(u64, u32)>,
    /// Reused pages, by why.
    pub(crate) reused: [u64; 2],
    fork: HashMap<u32, u64>,
}

impl Index {
    /// Nothing yet.
    pub(crate) fn new(header: Header) -> Index {
        Index { header, ..Index::default() }
    }

    /// One more record; `scene` is as it was before it.
    pub(crate) fn see(&mut self, scene: &Scene, record: &Record) {
        self.records += 1;
        if scene.started {
            self.end_ns = self.end_ns.max(record.at_ns);
        }
        match &record.what {
            What::Program(program) => self.program(scene, program),
            What::Machine(event) => {
                if let Some(kind) = kind_of(event) {
                    *self.by_kind.entry(kind).or_default() += 1;
                }
                self.machine(scene, record, event);
            }
        }
    }

    fn program(&mut self, scene: &Scene, program: &Program) {
        match *program {
            Program::HasSpace { process, asid } => {
                let space = scene.life(Asid(asid)).and_then(|life| self.spaces.get_mut(life));
                if let Some((owner @ None, _)) = space {
                    *owner = Some(process);
                }
            }
            Program::Starts => self.since.values_mut().for_each(|at| *at = 0),
            _ => {}
        }
    }

    fn machine(&mut self, scene: &Scene, record: &Record, event: &Event) {
        match *event {
            Event::SpaceMade { asid, .. } => self.spaces.push((None, asid)),
            Event::FrameAllocated { frame, .. } => {
                *self.lives.entry(frame.0).or_default() += 1;
                self.since.insert(frame.0, record.at_ns);
            }
            Event::FrameFreed { frame, .. } => {
                if let Some(at) = self.since.remove(&frame.0) {
                    self.oldest = self.oldest.max(Some((record.at_ns.saturating_sub(at), frame.0)));
                }
            }
            Event::StoreJudged { verdict: Verdict::Exclusive, .. } => self.reused[0] += 1,
            Event::StoreJudged { verdict: Verdict::Alone, .. } => self.reused[1] += 1,
            Event::ForkRefused { .. } => {
                self.fork.insert(record.task.unwrap_or(u32::MAX), scene.record);
            }
            Event::Copied { asid, page, from, to } => self.copy(scene, record, (asid, page), (from.0, to.0)),
            _ => {}
        }
    }

    fn copy(&mut self, scene: &Scene, record: &Record, (asid, page): (Asid, Vpn), (from, to): (u32, u32)) {
        let fault = scene.doing(record).fault;
        let of_fork = self.fork.remove(&record.task.unwrap_or(u32::MAX));
        let life = scene.life(asid);
        if let Some(life) = life {
            *self.copied.entry((life, page)).or_default() += 1;
        }
        self.copies.push(Copy {
            record: scene.record,
            begun: of_fork.or(fault.map(|fault| fault.begun)).unwrap_or(scene.record),
            task: record.task,
            life,
            page,
            from,
            to,
            judged: fault.and_then(|fault| fault.judged).filter(|_| of_fork.is_none()),
        });
    }

    /// The process that a space was made for.
    pub(crate) fn owner(&self, life: SpaceLife) -> Option<u32> {
        self.spaces.get(life).and_then(|space| space.0)
    }

    /// The spaces of the processes with this number on Linux.
    pub(crate) fn spaces_of(&self, pid: u32) -> Vec<SpaceLife> {
        let is = |process: u32| self.header.processes.get(process as usize).is_some_and(|p| p.0 == pid);
        let spaces = self.spaces.iter().enumerate();
        spaces.filter(|(_, (owner, _))| owner.is_some_and(is)).map(|(life, _)| life).collect()
    }
}
