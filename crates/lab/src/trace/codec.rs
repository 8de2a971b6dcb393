//! Records as bytes.
//!
//! The list of tags below is the list of events a trace may hold: docs/trace.md says what each means. Locks
//! are not among them.

use freehold::machine::Event;

use super::record::{Header, Program, Record, What};
use super::wire::{Bad, Reader, Wire};

macro_rules! events {
    ($($tag:literal $kind:literal $name:ident { $($field:ident),* })*) => {
        /// A short name for what a machine's event is about; `None` for what a trace does not hold.
        #[must_use]
        pub const fn kind_of(event: &Event) -> Option<&'static str> {
            match event {
                $(Event::$name { .. } => Some($kind),)*
                _ => None,
            }
        }

        /// The tags of the machine's events, with their short names.
        pub const KINDS: &[(u8, &str)] = &[$(($tag, $kind)),*];

        fn tag_of(event: &Event) -> Option<u8> {
            match event {
                $(Event::$name { .. } => Some($tag),)*
                _ => None,
            }
        }

        fn put_event(event: &Event, out: &mut Vec<u8>) {
            match event {
                $(Event::$name { $($field),* } => { $($field.put(out);)* })*
                _ => {}
            }
        }

        fn take_event(tag: u8, from: &mut Reader<'_>) -> Result<Event, Bad> {
            Ok(match tag {
                $($tag => Event::$name { $($field: Wire::take(from)?),* },)*
                _ => return Err(Bad("no such kind of record")),
            })
        }
    };
}

events! {
    1 "frame allocated" FrameAllocated { frame, order, mobility, owner, node, zone, source }
    2 "frame freed" FrameFreed { frame, order, to }
    3 "anonymous page born" AnonBorn { frame, lineage, index }
    4 "page cached" PageCached { frame, file, index }
    5 "page read in" PageRead { frame, file, index }
    6 "page uncached" PageUncached { frame, file, index, why }
    7 "page dirtied" PageDirtied { frame, file, index }
    8 "writeback begun" WritebackBegun { frame, file, index }
    9 "writeback ended" WritebackEnded { frame, file, index, stored }
    10 "space made" SpaceMade { asid, root }
    11 "space ended" SpaceEnded { asid }
    12 "table linked" TableLinked { asid, table, level, page }
    13 "table unlinked" TableUnlinked { asid, table, level, page }
    14 "entry changed" EntryChanged { asid, page, level, before, after }
    15 "fault begun" FaultBegun { asid, addr, access, asker }
    16 "fault retried" FaultRetried { page }
    17 "fault ended" FaultEnded { addr, outcome }
    18 "mapping chosen" MapChosen { page, frame, mapped }
    19 "store judged" StoreJudged { page, frame, verdict, held }
    20 "page copied" Copied { asid, page, from, to }
    21 "page shared by fork" ForkShared { page, frame, parent, child, what }
    22 "page not shared by fork" ForkRefused { page, frame, held }
    23 "range changed" WorkBegun { asid, pages, work }
    24 "flush begun" FlushBegun { asid, generation, pages, tables, cpus }
    25 "flush ended" FlushEnded { asid, generation }
    26 "grace period begun" GraceBegun {}
    27 "grace period ended" GraceEnded {}
    28 "reclaim" Reclaimed { pages }
    29 "OOM kill" OomKilled { asid, badness }
    30 "interrupt sent" IpiSent { to, flush }
    31 "interrupt taken" IpiTaken { from, flush }
    32 "interrupt answered" IpiAnswered { from, flush }
    33 "space loaded" SpaceLoaded { asid, stale }
    34 "task runs" TaskRuns {}
    35 "task stops" TaskStops {}
    48 "page moved" Moved { from, to, order }
    49 "page not moved" MoveRefused { frame, held }
    50 "page swapped out" SwappedOut { frame, slot }
    51 "page swapped in" SwappedIn { frame, slot }
    52 "page merged" Merged { asid, page, from, to }
    53 "block split" FolioSplit { frame, order }
    54 "page pinned" Pinned { frame, held }
    55 "page unpinned" Unpinned { frame }
    56 "transfer begun" TransferBegun { transfer, frame, offset, len, toward }
    57 "transfer ended" TransferEnded { transfer, frame, toward }
    58 "page in swap cache" SwapCached { frame, slot }
    59 "page out of swap cache" SwapUncached { frame }
}

/// Tags of what the program does.
const STARTS: u8 = 64;
const BORN: u8 = 65;
const HAS_SPACE: u8 = 66;
const BEGINS: u8 = 67;
const ENDS: u8 = 68;
const ANSWERS: u8 = 69;

/// A record's CPU is another than the last one's.
const OTHER_CPU: u8 = 1;
/// Its task is.
const OTHER_TASK: u8 = 2;

/// What differences are taken from; each block starts anew.
#[derive(Clone, Copy, Default)]
pub(crate) struct Last {
    at_ns: u64,
    cpu: u32,
    task: Option<u32>,
}

impl Last {
    /// Appends a record; answers whether a trace holds such records.
    pub(crate) fn put(&mut self, record: &Record, out: &mut Vec<u8>) -> bool {
        let Some(tag) = tag(&record.what) else { return false };
        let cpu = if record.cpu == self.cpu { 0 } else { OTHER_CPU };
        let task = if record.task == self.task { 0 } else { OTHER_TASK };
        out.extend([tag, cpu | task]);
        if cpu != 0 {
            record.cpu.put(out);
        }
        if task != 0 {
            record.task.put(out);
        }
        record.at_ns.wrapping_sub(self.at_ns).cast_signed().put(out);
        *self = Last { at_ns: record.at_ns, cpu: record.cpu, task: record.task };
        match &record.what {
            What::Machine(event) => put_event(event, out),
            What::Program(program) => put_program(program, out),
        }
        true
    }

    /// Reads the next record.
    pub(crate) fn take(&mut self, from: &mut Reader<'_>) -> Result<Record, Bad> {
        let (tag, who) = (from.byte()?, from.byte()?);
        if who & !(OTHER_CPU | OTHER_TASK) != 0 {
            return Err(Bad("a record says of nobody whose it is"));
        }
        if who & OTHER_CPU != 0 {
            self.cpu = u32::take(from)?;
        }
        if who & OTHER_TASK != 0 {
            self.task = Wire::take(from)?;
        }
        self.at_ns = self.at_ns.wrapping_add(i64::take(from)?.cast_unsigned());
        let what = match take_program(tag, from)? {
            Some(program) => What::Program(program),
            None => What::Machine(take_event(tag, from)?),
        };
        Ok(Record { at_ns: self.at_ns, cpu: self.cpu, task: self.task, what })
    }
}

fn tag(what: &What) -> Option<u8> {
    match what {
        What::Machine(event) => tag_of(event),
        What::Program(program) => Some(match program {
            Program::Starts => STARTS,
            Program::Born { .. } => BORN,
            Program::HasSpace { .. } => HAS_SPACE,
            Program::Begins { .. } => BEGINS,
            Program::Ends { .. } => ENDS,
            Program::Answers { .. } => ANSWERS,
        }),
    }
}

fn put_program(program: &Program, out: &mut Vec<u8>) {
    match program {
        Program::Starts => {}
        Program::Born { task } => task.put(out),
        Program::HasSpace { process, asid } => {
            process.put(out);
            asid.put(out);
        }
        Program::Begins { event, text } => {
            event.put(out);
            text.put(out);
        }
        Program::Ends { event } => event.put(out),
        Program::Answers { event, answer } => {
            event.put(out);
            answer.put(out);
        }
    }
}

fn take_program(tag: u8, from: &mut Reader<'_>) -> Result<Option<Program>, Bad> {
    Ok(Some(match tag {
        STARTS => Program::Starts,
        BORN => Program::Born { task: Wire::take(from)? },
        HAS_SPACE => Program::HasSpace { process: Wire::take(from)?, asid: Wire::take(from)? },
        BEGINS => Program::Begins { event: Wire::take(from)?, text: Wire::take(from)? },
        ENDS => Program::Ends { event: Wire::take(from)? },
        ANSWERS => Program::Answers { event: Wire::take(from)?, answer: Wire::take(from)? },
        _ => return Ok(None),
    }))
}

impl Wire for Header {
    fn put(&self, out: &mut Vec<u8>) {
        self.recording.put(out);
        self.cpus.put(out);
        self.frames.put(out);
        self.processes.put(out);
        self.tasks.put(out);
        self.files.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Header, Bad> {
        Ok(Header {
            recording: Wire::take(from)?,
            cpus: Wire::take(from)?,
            frames: Wire::take(from)?,
            processes: Wire::take(from)?,
            tasks: Wire::take(from)?,
            files: Wire::take(from)?,
        })
    }
}
