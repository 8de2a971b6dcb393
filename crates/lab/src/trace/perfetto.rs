//! A timeline for the Perfetto viewer (<https://ui.perfetto.dev>), in simulated time: JSON trace events,
//! a track for each CPU, counters, and an arrow from each request to flush to the CPU that answers it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use freehold::machine::Event;
use freehold::machine::trace::{Asker, FaultOutcome};
use serde_json::{Value, json};

use super::record::{Header, Listener, Program, Record, What};
use super::tell::{access_name, range};

/// Counters are told at most once in so many simulated nanoseconds.
const COUNTER_NS: u64 = 1_000;
/// The viewer's number for the machine, whose CPUs are the tracks.
const MACHINE: u32 = 1;

/// What a slice of a track is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Task,
    Step,
    Fault,
    Flush,
    Grace,
    Interrupt,
}

/// A slice that has begun.
#[derive(Clone, Debug)]
struct Slice {
    kind: Kind,
    name: String,
}

/// One CPU's track.
#[derive(Clone, Default, Debug)]
struct Track {
    open: Vec<Slice>,
    last_ns: u64,
}

/// Writes a timeline as it is told.
pub struct Timeline<W: Write> {
    out: W,
    header: Header,
    tracks: Vec<Track>,
    /// What a task that lost its CPU was in the middle of.
    saved: HashMap<u32, Vec<Slice>>,
    /// By task of the machine: whose it is.
    names: HashMap<u32, String>,
    /// By task of the machine: what the call it is in the middle of returns.
    answers: HashMap<u32, i64>,
    /// Arrows under way, by flush and CPU asked.
    arrows: HashMap<(u64, u32), u64>,
    next_arrow: u64,
    started: bool,
    events: u64,
    counters: Counters,
    failed: Option<io::Error>,
}

#[derive(Default)]
struct Counters {
    frames: u64,
    faults: u64,
    copies: u64,
    told_ns: u64,
}

impl Timeline<BufWriter<File>> {
    /// A timeline in a new file.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or written.
    pub fn create(path: &Path, header: &Header) -> io::Result<Self> {
        Timeline::new(BufWriter::new(File::create(path)?), header)
    }
}

impl<W: Write> Timeline<W> {
    /// A timeline that is written to `out`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
        let mut timeline = Timeline {
            out,
            header: header.clone(),
            tracks: Vec::new(),
            saved: HashMap::new(),
            names: HashMap::new(),
            answers: HashMap::new(),
            arrows: HashMap::new(),
            next_arrow: 1,
            started: false,
            events: 0,
            counters: Counters::default(),
            failed: None,
        };
        let name = format!("{} on {} simulated CPUs", header.recording, header.cpus);
        timeline
            .put(&json!({ "ph": "M", "name": "process_name", "pid": MACHINE, "args": { "name": name } }))?;
        Ok(timeline)
    }

    fn put(&mut self, event: &Value) -> io::Result<()> {
        let comma = if self.events == 0 { "\n" } else { ",\n" };
        self.events += 1;
        self.out.write_all(comma.as_bytes())?;
        serde_json::to_writer(&mut self.out, event).map_err(io::Error::from)
    }

    fn see(&mut self, record: &Record) -> io::Result<()> {
        self.count(record);
        if let What::Program(Program::Starts) = record.what {
            self.started = true;
        }
        // An absurd number of CPUs (a trace may say what it likes) gets no tracks.
        if !self.started || record.cpu >= freehold::machine::mask::CPUS_MAX {
            return Ok(());
        }
        self.make_tracks(record.cpu)?;
        match &record.what {
            What::Program(program) => self.program(record, program)?,
            What::Machine(event) => self.machine(record, event)?,
        }
        self.tell_counters(record)
    }

    fn make_tracks(&mut self, cpu: u32) -> io::Result<()> {
        while self.tracks.len() <= cpu as usize {
            let number = self.tracks.len();
            let tid = number + 1;
            let name = format!("CPU {number}");
            let args = json!({ "name": name });
            self.put(&json!({ "ph": "M", "name": "thread_name", "pid": MACHINE, "tid": tid, "args": args }))?;
            let args = json!({ "sort_index": number });
            self.put(
                &json!({ "ph": "M", "name": "thread_sort_index", "pid": MACHINE, "tid": tid, "args": args }),
            )?;
            self.tracks.push(Track::default());
        }
        Ok(())
    }

    fn program(&mut self, record: &Record, program: &Program) -> io::Result<()> {
        match program {
            Program::Born { task } => {
                let process = self.header.tasks.get(*task as usize).map_or(0, |task| task.1);
                let name = self.header.processes.get(process as usize);
                let name =
                    name.map_or_else(|| format!("task {task}"), |(pid, name)| format!("{name}[{pid}]"));
                if let Some(number) = record.task {
                    self.names.insert(number, name);
                }
                Ok(())
            }
            Program::Begins { text, .. } => self.begin(record, Kind::Step, text.clone()),
            Program::Ends { .. } => self.end(record, Kind::Step),
            Program::Answers { answer, .. } => {
                self.answers.extend(record.task.map(|task| (task, *answer)));
                Ok(())
            }
            Program::Starts | Program::HasSpace { .. } => Ok(()),
        }
    }

    fn machine(&mut self, record: &Record, event: &Event) -> io::Result<()> {
        match *event {
            Event::TaskRuns => self.task_runs(record),
            Event::TaskStops => self.task_stops(record),
            Event::FaultBegun { addr, access, asker, .. } => {
                let who = if asker == Asker::Program { "fault" } else { "populate" };
                let name = format!("{who}: {} {:#x}", access_name(access), addr.0);
                self.begin(record, Kind::Fault, name)
            }
            Event::FaultEnded { .. } => self.end(record, Kind::Fault),
            Event::FlushBegun { pages, cpus, generation, .. } if cpus > 0 => {
                let what = pages.map_or("everything".into(), range);
                self.begin(record, Kind::Flush, format!("flush {generation}: {what}"))
            }
            Event::FlushEnded { .. } => self.end(record, Kind::Flush),
            Event::GraceBegun => self.begin(record, Kind::Grace, "grace period".into()),
            Event::GraceEnded => self.end(record, Kind::Grace),
            Event::IpiSent { to, flush } => self.arrow_starts(record, (flush, to.0)),
            Event::IpiTaken { from, flush } => {
                self.begin(record, Kind::Interrupt, format!("flushes for CPU {}", from.0))?;
                self.arrow_ends(record, (flush, record.cpu))
            }
            Event::IpiAnswered { .. } => self.end(record, Kind::Interrupt),
            _ => Ok(()),
        }
    }

    fn task_runs(&mut self, record: &Record) -> io::Result<()> {
        let Some(task) = record.task else { return Ok(()) };
        let name = self.names.get(&task).cloned().unwrap_or_else(|| format!("task {task}"));
        self.begin(record, Kind::Task, name)?;
        for slice in self.saved.remove(&task).unwrap_or_default() {
            self.begin(record, slice.kind, slice.name)?;
        }
        Ok(())
    }

    /// What the task is in the middle of goes on when it runs again, perhaps elsewhere.
    fn task_stops(&mut self, record: &Record) -> io::Result<()> {
        let open = &self.tracks[record.cpu as usize].open;
        let at = open.iter().rposition(|slice| slice.kind == Kind::Task);
        let inner = at.map_or_else(Vec::new, |at| open[at + 1..].to_vec());
        if let Some(task) = record.task {
            self.saved.insert(task, inner);
        }
        self.end(record, Kind::Task)
    }

    fn begin(&mut self, record: &Record, kind: Kind, name: String) -> io::Result<()> {
        let ts = self.moment(record);
        self.put(&json!({
            "ph": "B", "name": name, "cat": category(kind), "pid": MACHINE, "tid": record.cpu + 1, "ts": ts,
        }))?;
        self.tracks[record.cpu as usize].open.push(Slice { kind, name });
        Ok(())
    }

    /// Ends the innermost slice of a kind, and what is inside it; nothing if there is none.
    fn end(&mut self, record: &Record, kind: Kind) -> io::Result<()> {
        let open = &self.tracks[record.cpu as usize].open;
        let Some(at) = open.iter().rposition(|slice| slice.kind == kind) else { return Ok(()) };
        while self.tracks[record.cpu as usize].open.len() > at {
            let slice = self.tracks[record.cpu as usize].open.pop();
            let ts = self.moment(record);
            let mut event = json!({ "ph": "E", "pid": MACHINE, "tid": record.cpu + 1, "ts": ts });
            // A slice that is only cut, because its task lost the CPU, has not answered.
            let is_over = kind == Kind::Step && slice.is_some_and(|slice| slice.kind == Kind::Step);
            let answer = record.task.filter(|_| is_over).and_then(|task| self.answers.remove(&task));
            if let Some(answer) = answer {
                event["args"] = json!({ "returns": answered(answer) });
            }
            self.put(&event)?;
        }
        Ok(())
    }

    fn arrow_starts(&mut self, record: &Record, key: (u64, u32)) -> io::Result<()> {
        if self.tracks[record.cpu as usize].open.is_empty() {
            return Ok(());
        }
        let id = self.next_arrow;
        self.next_arrow += 1;
        self.arrows.insert(key, id);
        let ts = self.moment(record);
        self.put(&json!({
            "ph": "s", "id": id, "name": "shootdown", "cat": "flush",
            "pid": MACHINE, "tid": record.cpu + 1, "ts": ts,
        }))
    }

    fn arrow_ends(&mut self, record: &Record, key: (u64, u32)) -> io::Result<()> {
        let Some(id) = self.arrows.remove(&key) else { return Ok(()) };
        let ts = self.moment(record);
        self.put(&json!({
            "ph": "f", "bp": "e", "id": id, "name": "shootdown", "cat": "flush",
            "pid": MACHINE, "tid": record.cpu + 1, "ts": ts,
        }))
    }

    fn count(&mut self, record: &Record) {
        let What::Machine(event) = &record.what else { return };
        let counters = &mut self.counters;
        match *event {
            Event::FrameAllocated { order, .. } => counters.frames += order.frames(),
            Event::FrameFreed { order, .. } => {
                counters.frames = counters.frames.saturating_sub(order.frames());
            }
            Event::FaultEnded { outcome: FaultOutcome::Resolved, .. } => {
                counters.faults += u64::from(self.started);
            }
            Event::Copied { .. } => counters.copies += 1,
            _ => {}
        }
    }

    fn tell_counters(&mut self, record: &Record) -> io::Result<()> {
        if self.counters.told_ns != 0 && record.at_ns < self.counters.told_ns.saturating_add(COUNTER_NS) {
            return Ok(());
        }
        self.counters.told_ns = record.at_ns.max(1);
        let Counters { frames, faults, copies, told_ns } = self.counters;
        let free = self.header.frames.saturating_sub(frames);
        for (name, value) in [("free frames", free), ("faults", faults), ("pages copied", copies)] {
            self.put(&json!({
                "ph": "C", "name": name, "pid": MACHINE, "ts": us(told_ns), "args": { "value": value },
            }))?;
        }
        Ok(())
    }

    /// The moment on the track, which never goes back.
    fn moment(&mut self, record: &Record) -> Value {
        let track = &mut self.tracks[record.cpu as usize];
        track.last_ns = track.last_ns.max(record.at_ns);
        us(track.last_ns)
    }

    fn close(&mut self) -> io::Result<()> {
        for cpu in 0..self.tracks.len() {
            let ts = us(self.tracks[cpu].last_ns);
            while self.tracks[cpu].open.pop().is_some() {
                self.put(&json!({ "ph": "E", "pid": MACHINE, "tid": cpu + 1, "ts": ts }))?;
            }
        }
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}

impl<W: Write + Send> Listener for Timeline<W> {
    fn hear(&mut self, record: &Record) {
        if self.failed.is_none() {
            self.failed = self.see(record).err();
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        match self.failed.take() {
            Some(error) => Err(error.to_string()),
            None => self.close().map_err(|error| error.to_string()),
        }
    }
}

/// What a call returned.
fn answered(answer: i64) -> String {
    if answer < 0 { format!("errno {}", answer.unsigned_abs()) } else { format!("{answer:#x}") }
}

fn category(kind: Kind) -> &'static str {
    match kind {
        Kind::Task => "task",
        Kind::Step => "program",
        Kind::Fault => "fault",
        Kind::Flush => "flush",
        Kind::Grace => "grace period",
        Kind::Interrupt => "interrupt",
    }
}

/// Microseconds, as the format has them.
fn us(ns: u64) -> Value {
    json!(ns as f64 / 1000.0)
}
