//! Traces: they hold all that happens, watching changes nothing, and damaged ones are refused in one line.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;
#[path = "fuzz/generate.rs"]
#[allow(dead_code, reason = "each test uses what it needs of it")]
mod generate;
#[path = "fuzz/random.rs"]
#[allow(dead_code, reason = "each test uses what it needs of it")]
mod random;
mod watched;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{freehold, own_file, real, refused, replayed, text, written};
use freehold::Manager;
use freehold::machine::{Event, Machine};
use freehold::space::HugePages;
use freehold_lab::replay::{Features, Options, Watch, When, replay_watched};
use freehold_lab::trace::{Ears, KINDS, Listener, Record, TraceReader};
use random::Random;
use record::{Recording, example};
use serde_json::Value;
use sim::SimMachine;
use watched::{NoGaps, watch};

fn options(cpus: u32, memory: u64) -> Options {
    let cold = cpus == 3;
    Options { cpus, memory, audit: When::Off, cold, seed: cpus.into(), ..Options::default() }
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
        let path = own_file(&format!("start-{number}.fht"));
        let watched = watch(&path, &start_of(name, events), &options(cpus, memory)).expect("a good start");
        watched.check(name);
        let pages = watched.traced.mapped.len();
        assert!(number == 2 || pages > 100, "{name}: {pages} pages");
    }
}

#[test]
fn a_trace_of_swap_merging_and_large_pages_has_no_gap_either() {
    let features = |swap: &str, ksm: &str| Features {
        swap: (!swap.is_empty()).then(|| swap.parse().expect("an area")),
        ksm: ksm.parse().expect("a way of merging"),
    };
    let cases = [
        ("redis-bgsave.fhr", 350, HugePages::Always, features("lz4:64M", "off"), 24 << 20),
        ("python-fork.fhr", 180, HugePages::Always, features("64M", "off"), 40 << 20),
        ("postgres-pgbench.fhr", 3_000, HugePages::Never, features("", "all,zero-pages"), 8 << 30),
        ("node-gc.fhr", 4_000, HugePages::Always, features("64M", "all"), 24 << 20),
    ];
    for (number, (name, events, thp, features, memory)) in cases.into_iter().enumerate() {
        let path = own_file(&format!("features-{number}.fht"));
        let options = Options { thp, features, ..options(4, memory) };
        watch(&path, &start_of(name, events), &options).expect("a good start").check(name);
    }
}

#[test]
fn absurd_programs_leave_no_gap_in_a_trace() {
    let path = own_file("absurd.fht");
    let (mut whole, mut mapped) = (0, 0);
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let mut recording = generate::recording(&mut random);
        recording.events.retain(|event| event.kind != record::EventKind::Exit);
        let memory = random.pick(&[6 << 20, 16 << 20, 64 << 20]);
        let options = options(1 + random.below(6) as u32, memory);
        // What cannot be replayed is left out.
        for _ in 0..40 {
            match watch(&path, &recording, &options) {
                Ok(watched) => {
                    watched.check(&format!("seed {seed}"));
                    mapped += watched.traced.mapped.len();
                    whole += 1;
                    break;
                }
                Err(why) => {
                    let number =
                        why.split("event ").nth(1).and_then(|rest| rest.split(':').next()?.parse().ok());
                    let Some(number) = number.filter(|&number: &usize| number < recording.events.len())
                    else {
                        break;
                    };
                    drop(recording.events.remove(number));
                    generate::repair(&mut recording);
                }
            }
        }
    }
    assert!(whole > 50 && mapped > 500, "{whole} programs with {mapped} pages at their ends: too few");
}

#[test]
fn a_record_that_is_missing_is_noticed() {
    let mut records = Vec::new();
    let bytes = small();
    let reader = TraceReader::new(&bytes[..]).expect("a good trace");
    reader.for_each(|record| records.push(record)).expect("a good trace");
    let counts = |record: &Record| {
        let entry = matches!(record.event(), Some(Event::EntryChanged { .. }));
        let born = matches!(record.event(), Some(Event::AnonBorn { .. }));
        // Of frames, those of pages: the manager keeps others to the end.
        entry || born
    };
    let is_whole = |records: &mut dyn Iterator<Item = &Record>| {
        let mut checker = NoGaps::default();
        records.for_each(|record| checker.hear(record));
        // The program ended: nothing is mapped any more.
        checker.gaps().is_empty() && checker.mapped() == 0
    };
    assert!(is_whole(&mut records.iter()));
    let mut left_out = 0;
    for number in (0..records.len()).filter(|&number| counts(&records[number])) {
        let left = match records[number].event() {
            // Without its allocation a page is born in a frame nobody had.
            Some(Event::AnonBorn { frame, .. }) => {
                let of = |record: &Record| match record.event() {
                    Some(Event::FrameAllocated { frame: first, .. }) => first == frame,
                    _ => false,
                };
                (0..number).rfind(|&earlier| of(&records[earlier])).expect("it was allocated")
            }
            _ => number,
        };
        let mut others = records.iter().enumerate().filter(|&(other, _)| other != left).map(|pair| pair.1);
        assert!(!is_whole(&mut others), "{:?}", records[left]);
        left_out += 1;
    }
    assert!(left_out > 6, "{left_out}");
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
