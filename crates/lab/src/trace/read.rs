//! Reading a trace for an answer: once to know what it holds, once more to pick the story out.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use freehold::machine::x86_64::X86_64;
use freehold::machine::{EntryFormat, Vpn};
use serde_json::Value;

use super::file::{TraceError, TraceReader};
use super::index::{Copy, Index};
use super::scene::Scene;
use super::show;
use super::story::{Line, Story, Subject, Until, places};
use super::summary;

/// A trace that was read once, from beginning to end.
pub(crate) struct Trace {
    path: PathBuf,
    index: Index,
}

/// What is asked of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    Summary,
    /// A frame, and which of its lives.
    Frame(u32, Option<u64>),
    /// A page of a process.
    Page(u32, Vpn),
    /// The copy of this number, from 1.
    Copy(u64),
}

/// How a trace leaves the machine: for comparing with the machine itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Frames that are allocated.
    pub allocated: BTreeSet<u32>,
    /// Pages that are mapped: the space's name in TLBs, the page, its frame, and whether stores pass.
    pub mapped: BTreeSet<(u32, u64, u32, bool)>,
    /// Pages copied.
    pub copies: u64,
    /// Records.
    pub records: u64,
}

/// Reads a whole trace.
///
/// # Errors
///
/// When it is damaged or cut.
pub fn read_to_end(path: &Path) -> Result<End, TraceError> {
    let (index, scene) = first_reading(path, &mut |_, _| {})?;
    let names: HashMap<_, _> = scene.spaces().iter().map(|(asid, life)| (*life, asid.0)).collect();
    let mapped = scene.leaves().filter_map(|((life, page), frame, entry)| {
        Some((*names.get(&life)?, page.0, frame, X86_64::attrs(entry).perms.write))
    });
    let blocks = scene.allocated().iter();
    Ok(End {
        allocated: blocks.flat_map(|(&first, &n)| first..(first.saturating_add(n as u32))).collect(),
        mapped: mapped.collect(),
        copies: index.copies.len() as u64,
        records: index.records,
    })
}

fn first_reading(
    path: &Path,
    see: &mut dyn FnMut(&Scene, &super::Record),
) -> Result<(Index, Scene), TraceError> {
    let reader = TraceReader::open(path)?;
    let mut scene = Scene::new(reader.header().clone());
    let mut index = Index::new(reader.header().clone());
    reader.for_each(|record| {
        index.see(&scene, &record);
        see(&scene, &record);
        scene.advance(&record);
    })?;
    Ok((index, scene))
}

impl Trace {
    /// Reads it once.
    pub(crate) fn open(path: &Path) -> Result<Trace, TraceError> {
        let (index, _) = first_reading(path, &mut |_, _| {})?;
        Ok(Trace { path: path.into(), index })
    }

    /// The answer, as JSON and as text.
    pub(crate) fn answer(&self, wanted: Wanted, limit: usize) -> Result<(Value, String), String> {
        match wanted {
            Wanted::Summary => Ok(summary::both(&self.index)),
            Wanted::Frame(frame, life) => self.frame(frame, life, limit),
            Wanted::Page(pid, page) => self.page(pid, page, limit),
            Wanted::Copy(number) => self.copy(number, limit),
        }
    }

    fn frame(&self, frame: u32, life: Option<u64>, limit: usize) -> Result<(Value, String), String> {
        let lives = self.index.lives.get(&frame).copied().unwrap_or(0);
        let frames = self.index.header.frames;
        if lives == 0 && u64::from(frame) >= frames {
            return Err(format!("no frame {frame:#x}: the machine has {frames} frames"));
        }
        if lives == 0 {
            return Err(format!("frame {frame:#x} was never allocated"));
        }
        if let Some(life) = life.filter(|&life| life == 0 || life > lives) {
            return Err(format!("no life {life} of frame {frame:#x}: it had {lives}"));
        }
        let (mut told, end) = self.tell(vec![Subject::Frame(frame)])?;
        let lines = told.remove(0);
        let still = places(&end, &self.index, frame);
        Ok(show::frame(&self.index, (frame, lives, life), &lines, &still, limit))
    }

    fn page(&self, pid: u32, page: Vpn, limit: usize) -> Result<(Value, String), String> {
        if !self.index.header.processes.iter().any(|process| process.0 == pid) {
            let pids: Vec<String> = self.index.header.processes.iter().map(|p| p.0.to_string()).collect();
            return Err(format!("no process {pid}: there are {}", shortened(&pids)));
        }
        let spaces = self.index.spaces_of(pid);
        let (mut told, _) = self.tell(vec![Subject::Page(spaces, page)])?;
        let lines = told.remove(0);
        if lines.is_empty() {
            return Err(format!("process {pid} never had anything mapped at {:#x}", page.addr().0));
        }
        Ok(show::page(&self.index, (pid, page), &lines, limit))
    }

    fn copy(&self, number: u64, limit: usize) -> Result<(Value, String), String> {
        let copies = &self.index.copies;
        let at = number.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let Some(copy) = at.and_then(|at| copies.get(at)) else {
            return Err(format!("no copy {number}: the trace has {} (the first is 1)", copies.len()));
        };
        let until = if copy.judged.is_some() { Until::FaultEnds } else { Until::Last };
        let deed = Subject::Deed { task: copy.task, begun: copy.begun, last: copy.record, until };
        let subjects = vec![Subject::Frame(copy.from), Subject::Frame(copy.to), deed];
        let mut others = Vec::new();
        let (told, _) = self.tell_and(subjects, &mut |scene| {
            if scene.record == copy.record {
                others = places(scene, &self.index, copy.from);
            }
        })?;
        let story = show::CopyStory {
            number,
            copy,
            others,
            before: before(&told[0], copy),
            deed: told[2].clone(),
            original: after(&told[0], copy),
            copied: after(&told[1], copy),
        };
        Ok(show::copy(&self.index, &story, limit))
    }

    fn tell(&self, subjects: Vec<Subject>) -> Result<(Vec<Vec<Line>>, Scene), String> {
        self.tell_and(subjects, &mut |_| {})
    }

    /// Reads once more; answers the lines of each subject, and how it all ended.
    fn tell_and(
        &self,
        subjects: Vec<Subject>,
        look: &mut dyn FnMut(&Scene),
    ) -> Result<(Vec<Vec<Line>>, Scene), String> {
        let mut stories: Vec<Story<'_>> =
            subjects.into_iter().map(|subject| Story::new(&self.index, subject)).collect();
        let read = first_reading(&self.path, &mut |scene, record| {
            look(scene);
            stories.iter_mut().for_each(|story| story.see(scene, record));
        });
        let (_, end) = read.map_err(|error| error.to_string())?;
        Ok((stories.into_iter().map(|story| story.lines).collect(), end))
    }
}

/// The life of the copied frame up to the copy.
fn before(lines: &[Line], copy: &Copy) -> Vec<Line> {
    let earlier = |line: &&Line| line.record < copy.begun;
    let life = lines.iter().filter(earlier).map(|line| line.life).max();
    lines.iter().filter(earlier).filter(|line| Some(line.life) == life).cloned().collect()
}

/// What becomes of a frame after the copy, in the same life.
fn after(lines: &[Line], copy: &Copy) -> Vec<Line> {
    let life = lines.iter().filter(|line| line.record <= copy.record).map(|line| line.life).max();
    let later = lines.iter().filter(|line| line.record > copy.record && Some(line.life) == life);
    later.cloned().collect()
}

fn shortened(names: &[String]) -> String {
    match names.len() {
        0..=12 => names.join(", "),
        more => format!("{} and {} more", names[..12].join(", "), more - 12),
    }
}
