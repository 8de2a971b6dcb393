//! Watching a replay, and comparing what was heard with what the manager has.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use freehold::Manager;
use freehold::machine::entry::Kind;
use freehold::machine::x86_64::X86_64;
use freehold::machine::{Entry, EntryFormat, Event, Pfn};
use freehold::table::Sight;
use freehold_lab::replay::{Options, Watch, replay_watched};
use freehold_lab::trace::{Ears, End, Header, Listener, Record, TraceWriter, What, read_to_end};
use record::Recording;
use sim::SimMachine;

/// A run that was watched: its trace, and what the manager had at its end.
#[derive(Default)]
pub(crate) struct Watched {
    /// What the trace has at its end.
    pub(crate) traced: End,
    /// What the manager has.
    pub(crate) had: End,
    /// Records that do not follow from those before them.
    pub(crate) gaps: Vec<String>,
}

impl Watched {
    /// Fails if the trace lacks anything.
    pub(crate) fn check(&self, name: &str) {
        assert!(self.gaps.is_empty(), "{name}: {:#?}", self.gaps.first());
        let (traced, had) = (&self.traced, &self.had);
        let differs =
            |a: &BTreeSet<u32>, b: &BTreeSet<u32>| a.difference(b).take(3).copied().collect::<Vec<_>>();
        let frames = (differs(&traced.allocated, &had.allocated), differs(&had.allocated, &traced.allocated));
        assert_eq!(frames, (vec![], vec![]), "{name}: frames in the trace only, and in the manager only");
        assert_eq!(traced.mapped, had.mapped, "{name}");
        assert_eq!(traced.copies, had.copies, "{name}");
    }
}

/// What a manager has.
fn state(manager: &Manager<'_, SimMachine>) -> End {
    let blocks = manager.frames().blocks().filter(|block| block.meta.state().is_handed_out());
    let allocated = blocks.flat_map(|block| block.pfn.0..block.pfn.0 + block.frames() as u32).collect();
    let mut mapped = BTreeSet::new();
    for id in manager.spaces().tables().ids() {
        let walker = manager.spaces().walker(id);
        let asid = manager.spaces().tables().get(id).domain().asid().0;
        walker.survey(manager.machine(), &mut |sight| {
            let Sight::Entry { page, level, entry } = sight else { return };
            let Kind::Leaf(frame) = X86_64::kind(entry, level) else { return };
            mapped.insert((asid, page.0, frame.0, X86_64::attrs(entry).perms.write));
        });
    }
    let copies = freehold::machine::Counter::CowCopied;
    End { allocated, mapped, copies: manager.core().total(copies), records: 0 }
}

/// Checks that each record follows from those before it.
#[derive(Default)]
pub(crate) struct NoGaps {
    blocks: BTreeMap<u32, u8>,
    entries: HashMap<(u32, u64, u8), Entry>,
    gaps: Arc<Mutex<Vec<String>>>,
}

impl NoGaps {
    /// How many entries are in use.
    pub(crate) fn mapped(&self) -> usize {
        self.entries.values().filter(|&&entry| entry != Entry::EMPTY).count()
    }

    /// Whether a frame is in a block that was handed out.
    fn has(&self, frame: Pfn) -> bool {
        let block = self.blocks.range(..=frame.0).next_back();
        block.is_some_and(|(first, order)| frame.0 - first < 1 << order)
    }

    /// What does not fit.
    pub(crate) fn gaps(&self) -> Vec<String> {
        self.gaps.lock().expect("one thread").clone()
    }
}

impl Listener for NoGaps {
    fn hear(&mut self, record: &Record) {
        let What::Machine(event) = &record.what else { return };
        let fits = match *event {
            Event::FrameAllocated { frame, order, .. } => self.blocks.insert(frame.0, order.0).is_none(),
            Event::FrameFreed { frame, order, .. } => self.blocks.remove(&frame.0) == Some(order.0),
            Event::FolioSplit { frame, order } => {
                let parts = frame.0..frame.0 + order.frames() as u32;
                let was = self.blocks.insert(frame.0, 0) == Some(order.0);
                self.blocks.extend(parts.map(|part| (part, 0)));
                was
            }
            Event::AnonBorn { frame, .. }
            | Event::PageCached { frame, .. }
            | Event::Pinned { frame, .. }
            | Event::Unpinned { frame }
            | Event::SwapCached { frame, .. }
            | Event::SwapUncached { frame } => self.has(frame),
            Event::Copied { from, to, .. } => self.has(from) && self.has(to),
            Event::EntryChanged { asid, page, level, before, after } => {
                let place = (asid.0, page.0, level.0);
                let known = self.entries.insert(place, after).unwrap_or(Entry::EMPTY);
                without_hardware_bits(known) == without_hardware_bits(before)
            }
            _ => true,
        };
        if !fits {
            self.gaps.lock().expect("one thread").push(format!("{record:?}"));
        }
    }
}

/// The entry without the accessed and dirty bits, which hardware sets untold.
fn without_hardware_bits(entry: Entry) -> Entry {
    Entry(entry.0 & !(1 << 5 | 1 << 6))
}

/// Replays a recording with a trace in a file; an error if it cannot be replayed.
pub(crate) fn watch(path: &Path, recording: &Recording, options: &Options) -> Result<Watched, String> {
    let name = "watched";
    let header = Header::of(name, recording, options.cpus, options.memory);
    let writer = TraceWriter::create(path, &header).expect("a writable directory");
    let checker = NoGaps::default();
    let gaps = checker.gaps.clone();
    let ears = Ears::new(vec![Box::new(writer), Box::new(checker)]);
    let had = RefCell::new(End::default());
    let at_end = |manager: &Manager<'_, SimMachine>| *had.borrow_mut() = state(manager);
    let watch = Watch { ears: &ears, at_end: &at_end };
    replay_watched(name, recording, options, Some(watch)).map_err(|error| error.to_string())?;
    ears.finish().expect("a writable directory");
    let traced = read_to_end(path).expect("a good trace");
    let gaps = gaps.lock().expect("one thread").clone();
    Ok(Watched { traced, had: had.into_inner(), gaps })
}
