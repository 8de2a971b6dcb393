//! Whether both sides answered the same.

use native::{Answer, Area, Backing, Call};

use super::known::{self, Known};
use super::native::Answers;
use super::ours::Ran;
use super::print;
use super::program::Program;

/// The first thing that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Difference {
    /// At which operation; past the last one for what was found at the end.
    pub(crate) number: usize,
    /// What.
    pub(crate) what: String,
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// The first difference.
    pub(crate) difference: Option<Difference>,
    /// Differences that the list knows.
    pub(crate) known: Vec<Known>,
    /// How many operations were compared, those of processes that do not live included.
    pub(crate) operations: usize,
}

/// How far layouts must agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Merges {
    /// To the mapping.
    Exact,
    /// Private neighbours may be one or two: that depends on when and where their pages were touched (Linux:
    /// `is_mergeable_anon_vma`).
    SharedOnly,
}

/// Compares what the two sides answered to a program without the operations that were dropped.
pub(crate) fn compare(program: &Program, linux: &Answers, ours: &Ran) -> Compared {
    let mut compared = Compared::default();
    let merges = if program.never_touches() && !ours.has_landed { Merges::Exact } else { Merges::SharedOnly };
    let (mut linux_areas, mut our_areas) = (&linux.areas[..], &ours.answers.areas[..]);
    for (number, op) in program.ops.iter().enumerate() {
        compared.operations = number;
        let (theirs, mine) = (linux.answers.get(number), ours.answers.answers.get(number));
        let (Some(theirs), Some(mine)) = (theirs, mine) else {
            let what = format!("Freehold stopped: {}", ours.wrong.join("; "));
            return Compared { difference: Some(Difference { number, what }), ..compared };
        };
        let what = if op.call == Call::Layout && theirs.status == mine.status {
            layouts(take(&mut linux_areas, theirs), take(&mut our_areas, mine), merges)
        } else if known::may_fail(op) || agree(theirs, mine, ours.doubt.get(&number).copied().unwrap_or(0)) {
            None
        } else if let Some(known) = known::parts(theirs, mine, ours.moves.get(&number).copied()) {
            compared.known.push(known);
            return compared;
        } else {
            let (theirs, mine) = (print::answer(op, theirs), print::answer(op, mine));
            Some(format!("Linux: {theirs}, Freehold: {mine}"))
        };
        if let Some(what) = what {
            compared.difference = Some(Difference { number, what });
            return compared;
        }
    }
    compared.operations = program.ops.len();
    if let Some(what) = ours.wrong.first() {
        let number = program.ops.len();
        compared.difference = Some(Difference { number, what: format!("Freehold, on its own: {what}") });
    }
    compared
}

fn take<'a>(areas: &mut &'a [Area], answer: &Answer) -> &'a [Area] {
    let (now, later) = areas.split_at((answer.value as usize).min(areas.len()));
    *areas = later;
    now
}

/// Whether answers are equal but for the bits in doubt.
fn agree(linux: &Answer, ours: &Answer, doubt: u64) -> bool {
    linux.status == ours.status && (linux.value ^ ours.value) & !doubt == 0
}

/// Areas joined where nothing but their being two tells them apart.
fn coalesced(areas: &[Area]) -> Vec<Area> {
    let mut joined: Vec<Area> = Vec::new();
    for area in areas {
        match joined.last_mut() {
            Some(last) if continues(last, area) => last.end = area.end,
            _ => joined.push(*area),
        }
    }
    joined
}

fn continues(last: &Area, next: &Area) -> bool {
    let same = (last.end, last.bits, last.backing) == (next.start, next.bits, next.backing);
    let anonymous = last.backing == Backing::Anonymous;
    let in_file = last.inode == next.inode && last.offset + (last.end - last.start) == next.offset;
    same && (anonymous || in_file)
}

/// What must be equal of an area on both sides.
fn shape(area: &Area) -> (u64, u64, u64, Backing, u64) {
    (area.start, area.end, area.bits, area.backing, area.offset)
}

fn layouts(linux: &[Area], ours: &[Area], merges: Merges) -> Option<String> {
    let told = |what: &str, linux: &[Area], ours: &[Area]| {
        Some(format!("{what}: Linux: {}; Freehold: {}", shown(linux), shown(ours)))
    };
    let (theirs, mine) = (coalesced(linux), coalesced(ours));
    if !theirs.iter().map(shape).eq(mine.iter().map(shape)) {
        return told("layout", &theirs, &mine);
    }
    let is_start_of = |areas: &[Area], start: u64| areas.iter().any(|area| area.start == start);
    let may_differ = |area: &Area| match merges {
        // Two openings of a file are one file here (known::TwoOpenings).
        Merges::Exact => area.bits & SHARED == 0 && area.backing != Backing::Anonymous,
        Merges::SharedOnly => area.bits & SHARED == 0,
    };
    let must_agree = |area: &&Area| !may_differ(area);
    let split_here = ours.iter().filter(must_agree).find(|area| !is_start_of(linux, area.start));
    if split_here.is_some() {
        return told("a mapping is split", linux, ours);
    }
    let split_there = linux.iter().filter(must_agree).find(|area| !is_start_of(ours, area.start));
    split_there.and_then(|_| told("mappings are merged", linux, ours))
}

/// The bit of an area that says whether it is shared.
const SHARED: u64 = 8;

fn shown(areas: &[Area]) -> String {
    let one = |area: &Area| {
        let flags = [(1, 'r'), (2, 'w'), (4, 'x')];
        let flags: String = flags.map(|(bit, c)| if area.bits & bit != 0 { c } else { '-' }).iter().collect();
        let sharing = if area.bits & SHARED != 0 { 's' } else { 'p' };
        let backing = match area.backing {
            Backing::Anonymous => String::new(),
            backing => format!(" {backing:?}+{:#x}", area.offset).to_lowercase(),
        };
        format!("{}..{} {flags}{sharing}{backing}", print::address(area.start), print::address(area.end))
    };
    if areas.is_empty() { "nothing".into() } else { areas.iter().map(one).collect::<Vec<_>>().join(", ") }
}
