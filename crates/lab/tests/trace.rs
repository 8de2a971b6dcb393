//! Traces: they hold all that happens, watching changes nothing, and damaged ones are refused in one line.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{freehold, own_file, real, refused, replayed, text, written};
use freehold::Manager;
use freehold::machine::entry::Kind;
use freehold::machine::x86_64::X86_64;
use freehold::machine::{Entry, EntryFormat, Event, Machine};
use freehold::table::Sight;
use freehold_lab::replay::{Options, Watch, When, replay_watched};
use freehold_lab::trace::{
    Ears, End, Header, KINDS, Listener, Record, TraceReader, TraceWriter, What, read_to_end,
};
use record::{Recording, example};
use serde_json::Value;
use sim::SimMachine;

/// A run that was watched: its trace, and what the manager had at its end.
struct Watched {
    traced: End,
    had: End,
    gaps: Vec<String>,
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
struct NoGaps {
    blocks: HashMap<u32, u8>,
    entries: HashMap<(u32, u64), Entry>,
    gaps: Arc<Mutex<Vec<String>>>,
}

impl Listener for NoGaps {
    fn hear(&mut self, record: &Record) {
        let What::Machine(event) = &record.what else { return };
        let fits = match *event {
            Event::FrameAllocated { frame, order, .. } => self.blocks.insert(frame.0, order.0).is_none(),
            Event::FrameFreed { frame, order, .. } => self.blocks.remove(&frame.0) == Some(order.0),
            Event::AnonBorn { frame, .. } | Event::PageCached { frame, .. } => {
                self.blocks.contains_key(&frame.0)
            }
            Event::Copied { from, to, .. } => {
                self.blocks.contains_key(&from.0) && self.blocks.contains_key(&to.0)
            }
            Event::EntryChanged { asid, page, before, after, .. } => {
                let known = self.entries.insert((asid.0, page.0), after).unwrap_or(Entry::EMPTY);
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

fn options(cpus: u32, memory: u64) -> Options {
    Options { cpus, nodes: 1, memory, audit: When::Off, cold: cpus == 3, seed: cpus.into() }
}

fn watch(name: &str, recording: &Recording, options: &Options) -> Watched {
    let path = own_file(&format!("{name}.fht"));
    let header = Header::of(name, recording, options.cpus, options.memory);
    let writer = TraceWriter::create(&path, &header).expect("a writable directory");
    let checker = NoGaps::default();
    let gaps = checker.gaps.clone();
    let ears = Ears::new(vec![Box::new(writer), Box::new(checker)]);
    let had = RefCell::new(End::default());
    let at_end = |manager: &Manager<'_, SimMachine>| *had.borrow_mut() = state(manager);
    let watch = Watch { ears: &ears, at_end: &at_end };
    replay_watched(name, recording, options, Some(watch)).expect("it can be replayed");
    ears.finish().expect("a writable directory");
    let traced = read_to_end(&path).expect("a good trace");
    let gaps = gaps.lock().expect("one thread").clone();
    Watched { traced, had: had.into_inner(), gaps }
}

/// The start of a real recording: at its end processes live, and pages are mapped.
fn start_of(name: &str, events: usize) -> Recording {
    let whole = Recording::read(Path::new(&real(name))).expect("a good recording");
    Recording { events: whole.events.iter().take(events).cloned().collect(), ..whole }
}

#[test]
fn a_trace_leaves_the_machine_as_it_is() {
    let cases = [
        ("redis-bgsave.fhr", 330, 4, 8 << 30),
        ("redis-bgsave.fhr", 330, 1, 8 << 30),
        ("redis-bgsave.fhr", 395, 3, 12 << 20),
        ("python-fork.fhr", 180, 4, 8 << 30),
        ("threads-map.fhr", 20_000, 8, 8 << 30),
        ("cc-compile.fhr", 10_000, 2, 8 << 30),
    ];
    for (number, (name, events, cpus, memory)) in cases.into_iter().enumerate() {
        let watched = watch(&format!("start-{number}"), &start_of(name, events), &options(cpus, memory));
        assert!(watched.gaps.is_empty(), "{name}: {:#?}", watched.gaps.first());
        let Watched { traced, had, .. } = watched;
        assert!(!had.allocated.is_empty(), "{name}: nothing to compare");
        let differs =
            |a: &BTreeSet<u32>, b: &BTreeSet<u32>| a.difference(b).take(3).copied().collect::<Vec<_>>();
        let frames = (differs(&traced.allocated, &had.allocated), differs(&had.allocated, &traced.allocated));
        assert_eq!(frames, (vec![], vec![]), "{name}: frames in the trace only, and in the manager only");
        assert_eq!(traced.mapped, had.mapped, "{name}");
        assert_eq!(traced.copies, had.copies, "{name}");
        assert!(number == 2 || traced.mapped.len() > 100, "{name}: {} pages", traced.mapped.len());
    }
}

#[test]
fn watching_changes_nothing() {
    let path = own_file("watched.fht");
    let timeline = own_file("watched.json");
    let path = path.to_str().expect("a plain path");
    let timeline = timeline.to_str().expect("a plain path");
    for options in [&["--audit", "off"][..], &["--cpus", "8", "--nodes", "2", "--seed", "5", "--cold"]] {
        let plain = without_wall(replayed(0, &real("redis-bgsave.fhr"), options));
        let watched = [options, &["--trace", path, "--perfetto", timeline]].concat();
        assert_eq!(plain, without_wall(replayed(0, &real("redis-bgsave.fhr"), &watched)), "{options:?}");
    }
}

fn without_wall(mut value: Value) -> Value {
    value.as_object_mut().and_then(|object| object.remove("wall_ms")).expect("a wall time");
    value
}

/// A trace of the example.
fn small() -> Vec<u8> {
    let path = own_file("small.fht");
    let name = path.to_str().expect("a plain path");
    replayed(0, &written("small.fhr", &example()), &["--cpus", "2", "--trace", name]);
    std::fs::read(&path).expect("it was written")
}

fn read(bytes: &[u8]) -> Result<u64, String> {
    let mut records = 0;
    let reader = TraceReader::new(bytes).map_err(|error| error.to_string())?;
    reader.for_each(|_| records += 1).map_err(|error| error.to_string())?;
    Ok(records)
}

#[test]
fn cut_and_damaged_traces_are_refused() {
    let good = small();
    assert!(read(&good).expect("a good trace") > 50);
    for len in 0..good.len() {
        let error = read(&good[..len]).expect_err("it was cut");
        assert!(!error.contains('\n') && error.contains("truncated"), "{len}: {error}");
    }
    for at in 0..good.len() {
        for bit in [0, 3, 7] {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let error = read(&bad).expect_err("a bit was flipped");
            assert!(!error.contains('\n') && !error.is_empty(), "{at}: {error}");
        }
    }
    let longer = [&good[..], b"x"].concat();
    assert!(read(&longer).expect_err("something follows").contains("follows the end"));
}

#[test]
fn bad_files_are_one_line_and_status_2() {
    let good = small();
    let path = own_file("bad.fht");
    let name = path.to_str().expect("a plain path");
    let cases: [(&[u8], &str); 5] = [
        (b"", "truncated"),
        (b"FHTRACE", "truncated"),
        (b"a text of some length", "wrong magic"),
        (&good[..good.len() - 1], "truncated"),
        (&good[..good.len() / 2], "truncated"),
    ];
    for (bytes, expected) in cases {
        std::fs::write(&path, bytes).expect("a writable directory");
        for question in [&[][..], &["frame", "1"], &["page", "100", "0x1000"], &["copy", "1"]] {
            let error = refused(&[&["explain", name], question].concat());
            assert!(error.contains(expected) && error.contains("bad.fht"), "{error}");
        }
    }
    assert!(refused(&["explain", "/nonexistent.fht"]).contains("No such file"));
    assert!(refused(&["explain", "/"]).contains("directory"));
    let nowhere = ["replay", &real("redis-bgsave.fhr"), "--trace", "/nonexistent/x.fht"];
    assert!(refused(&nowhere).contains("/nonexistent/x.fht"));
}

/// A trace whose blocks are other bytes, with checksums that are right.
fn sealed(good: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut at = 12;
    let mut blocks = Vec::new();
    loop {
        let len = u32::from_le_bytes(good[at..at + 4].try_into().expect("four bytes")) as usize;
        if len == 0 {
            break;
        }
        blocks.push(good[at + 12..at + 12 + len].to_vec());
        at += 12 + len;
    }
    change(blocks.last_mut().expect("records"));
    let mut out = good[..12].to_vec();
    for block in blocks {
        out.extend((block.len() as u32).to_le_bytes());
        out.extend(&blake3::hash(&block).as_bytes()[..8]);
        out.extend(&block);
    }
    out.extend(&good[at..]);
    out
}

#[test]
fn wild_records_are_told_or_refused() {
    let good = small();
    let path = own_file("wild.fht");
    let name = path.to_str().expect("a plain path");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut told = 0;
    for round in 0..60 {
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize
        };
        let bytes = sealed(&good, |block| {
            for _ in 0..1 + round % 4 {
                let at = random() % block.len();
                block[at] = random() as u8;
            }
        });
        std::fs::write(&path, bytes).expect("a writable directory");
        let timeline = own_file("wild.json");
        let timeline = timeline.to_str().expect("a plain path");
        let questions: [&[&str]; 5] = [
            &["--perfetto", timeline],
            &["frame", "0x100010"],
            &["frame", "4294967295"],
            &["page", "100", "0x7f0000001000"],
            &["copy", "1"],
        ];
        for question in questions {
            let output = freehold(&[&["explain", name], question].concat());
            let error = text(&output.stderr);
            let status = output.status.code();
            assert!(matches!(status, Some(0 | 2)), "round {round}, {question:?}: {error}");
            assert_eq!(error.lines().count(), usize::from(status == Some(2)), "round {round}: {error}");
            told += u32::from(status == Some(0));
        }
    }
    assert!(told > 0, "no wild trace was readable: the test tests nothing");
}

#[test]
fn the_document_lists_what_a_trace_holds() {
    let document = include_str!("../../../docs/trace.md");
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" |");
        Some((cells.next()?.trim().parse::<u8>().ok()?, cells.next()?.trim()))
    });
    let listed: Vec<(u8, &str)> = rows.filter(|row| row.0 < 64 && !row.1.starts_with("how many")).collect();
    let kinds: Vec<(u8, &str)> = KINDS.to_vec();
    assert_eq!(listed.iter().filter(|row| kinds.contains(row)).count(), kinds.len(), "{listed:?}");
    let numbered: BTreeSet<u8> = kinds.iter().map(|kind| kind.0).collect();
    assert_eq!(numbered.len(), kinds.len(), "a tag is used twice");
}

#[test]
fn every_cpu_of_the_machine_is_heard() {
    struct Heard(Arc<Mutex<BTreeSet<u32>>>);
    impl Listener for Heard {
        fn hear(&mut self, record: &Record) {
            self.0.lock().expect("one thread").insert(record.cpu);
        }
    }
    let heard = Arc::new(Mutex::new(BTreeSet::new()));
    let ears = Ears::new(vec![Box::new(Heard(heard.clone()))]);
    let at_end = |manager: &Manager<'_, SimMachine>| assert_eq!(manager.machine().cpus(), 4);
    let watch = Watch { ears: &ears, at_end: &at_end };
    let recording = start_of("threads-map.fhr", 2_000);
    replay_watched("threads", &recording, &options(4, 8 << 30), Some(watch)).expect("it can be replayed");
    assert_eq!(*heard.lock().expect("one thread"), BTreeSet::from([0, 1, 2, 3]));
}
